"""Images of many formats, read in parts; labels written whole or not at all."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image as PillowImage

from napari_sam2_openvino._files import tiff_pages
from napari_sam2_openvino._files.images import (
    check_labels_path,
    check_not_read,
    labels_dtype,
    open_image,
    save_labels,
    scratch_labels,
)
from napari_sam2_openvino._files.tiff_pages import PagesOfFiles, TiffPages
from napari_sam2_openvino.core.errors import InputError

STACK = np.random.default_rng(0).integers(0, 60000, (4, 3, 70, 90)).astype(np.uint16)
COLOUR = np.random.default_rng(1).integers(0, 255, (70, 90, 3)).astype(np.uint8)
INDICES = [
    (2, 1, slice(None), slice(None)),
    (2, 1, slice(10, 33), slice(17, 90)),
    (slice(None), 1, slice(5, 6), slice(0, 90)),
    (slice(1, 3), slice(0, 2), 40, slice(None)),
    (0, 0, 0, 0),
    (3, slice(None)),
    1,
    (1, 1, slice(20, 20), slice(None)),
]


def write_and_open(folder, name="image é.tif", pixels=STACK, **options):
    path = folder / name
    tifffile.imwrite(path, pixels, **options)
    return open_image(path)


@pytest.mark.parametrize("index", INDICES, ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True, "byteorder": ">"},
        {"compression": "zlib", "rowsperstrip": 16},
        {"compression": "zlib", "tile": (32, 48)},
        {"tile": (32, 48)},
    ],
    ids=str,
)
def test_any_part_of_a_tiff_is_what_numpy_says(options, index, tmp_path):
    with write_and_open(tmp_path, photometric="minisblack", **options) as image:
        assert image.levels[0].shape == STACK.shape
        np.testing.assert_array_equal(np.asarray(image.levels[0][index]), STACK[index])


@pytest.mark.parametrize("compression", ["packbits", "tiff_adobe_deflate"])
def test_compressions_of_other_programs(compression, tmp_path):
    path = tmp_path / "image.tif"
    PillowImage.fromarray(COLOUR).save(path, compression=compression)
    with open_image(path) as image:
        np.testing.assert_array_equal(image.levels[0][10:40, 20:50], COLOUR[10:40, 20:50])


def test_only_the_tiles_of_a_part_are_unpacked(tmp_path, monkeypatch):
    """Reading a corner of a large compressed plane costs the corner."""
    decoded = []
    paste = TiffPages._paste
    monkeypatch.setattr(
        tiff_pages.TiffPages,
        "_paste",
        staticmethod(lambda *args: (decoded.append(args[1]), paste(*args))),
    )
    pixels = np.arange(1024 * 2048, dtype=np.uint32).reshape(1024, 2048)
    with write_and_open(tmp_path, pixels=pixels, compression="zlib", tile=(128, 128)) as image:
        part = image.levels[0][200:300, 1000:1030]
    np.testing.assert_array_equal(part, pixels[200:300, 1000:1030])
    assert sorted(decoded) == [(128, 896), (128, 1024), (256, 896), (256, 1024)]


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "tile": (32, 32)}], ids=str)
def test_colours_and_axes_of_a_tiff(options, tmp_path):
    with write_and_open(tmp_path, pixels=COLOUR, photometric="rgb", **options) as image:
        assert image.axes == "YXS"
        np.testing.assert_array_equal(image.levels[0][:], COLOUR)
        np.testing.assert_array_equal(
            image.levels[0][3:9, :, 0:2],
            COLOUR[3:9, :, 0:2],
        )


def test_colours_in_planes_of_their_own(tmp_path):
    planar = np.moveaxis(COLOUR, -1, 0).copy()
    with write_and_open(
        tmp_path, pixels=planar, photometric="rgb", planarconfig="separate", compression="zlib"
    ) as image:
        np.testing.assert_array_equal(np.asarray(image.levels[0]), planar)


def test_ome_tiff_with_its_pyramid(tmp_path):
    path = tmp_path / "pyramid.ome.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK, subifds=1, metadata={"axes": "TCYX"}, compression="zlib", tile=(32, 32))
        writer.write(STACK[..., ::2, ::2], subfiletype=1, compression="zlib", tile=(32, 32))
    with open_image(path) as image:
        assert image.axes == "TCYX"
        assert [level.shape for level in image.levels] == [(4, 3, 70, 90), (4, 3, 35, 45)]
        np.testing.assert_array_equal(image.levels[1][3, 2], STACK[3, 2, ::2, ::2])


OME_XML = """<?xml version="1.0"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{own}">
<Image ID="I:0"><Pixels ID="P:0" DimensionOrder="XYZCT" Type="uint16" SizeX="90" SizeY="70"
SizeZ="{n}" SizeC="1" SizeT="1">{planes}</Pixels></Image></OME>"""
OME_PLANE = """<TiffData IFD="0" FirstZ="{z}" PlaneCount="1">
<UUID FileName="{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>"""


def write_planes_as_files(folder, planes, **options):
    """Write an OME-TIFF of one file for each plane, each of which stands for them all."""
    entries = "".join(OME_PLANE.format(z=z) for z in range(len(planes)))
    paths = [folder / f"{z}.ome.tif" for z in range(len(planes))]
    for z, path in enumerate(paths):
        with tifffile.TiffWriter(path, ome=False) as writer:
            xml = OME_XML.format(own=z, n=len(planes), planes=entries)
            writer.write(
                planes[z], description=xml, metadata=None, photometric="minisblack", **options
            )
    return paths


@pytest.mark.parametrize("opened", [0, 2])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "tile": (32, 48)}], ids=str)
def test_planes_of_an_ome_tiff_of_several_files_are_those_of_each_file(options, opened, tmp_path):
    planes = STACK[:, 0]
    path = write_planes_as_files(tmp_path, planes, **options)[opened]
    with open_image(path) as image:
        pages = image.levels[0]
        assert isinstance(pages, PagesOfFiles)
        assert image.axes == "ZYX"
        np.testing.assert_array_equal(np.asarray(pages), planes)
        np.testing.assert_array_equal(pages[1:3, 20:33, 7], planes[1:3, 20:33, 7])
        assert pages[1, 5:5].shape == (0, 90)
        with ThreadPoolExecutor(4) as pool:
            read = pool.map(lambda number: pages[number % 4], range(100))
            for number, plane in enumerate(read):
                np.testing.assert_array_equal(plane, planes[number % 4])


def test_a_plane_whose_file_is_missing_is_black(tmp_path):
    planes = STACK[:, 0]
    paths = write_planes_as_files(tmp_path, planes)
    paths[2].unlink()
    with open_image(paths[1]) as image:
        np.testing.assert_array_equal(image.levels[0][1], planes[1])
        np.testing.assert_array_equal(image.levels[0][3], planes[3])
        assert not image.levels[0][2].any()


def test_imagej_stack(tmp_path):
    with write_and_open(tmp_path, imagej=True, metadata={"axes": "TCYX"}) as image:
        np.testing.assert_array_equal(image.levels[0][2, 1], STACK[2, 1])


def test_zarr_array_group_and_ome_zarr(tmp_path):
    array = zarr.create_array(
        tmp_path / "array.zarr", data=STACK, chunks=(1, 1, 64, 64), dimension_names=list("tcyx")
    )
    with open_image(tmp_path / "array.zarr") as image:
        assert image.axes == "TCYX"
        assert isinstance(image.levels[0], zarr.Array)
        np.testing.assert_array_equal(image.levels[0][1, 2], array[1, 2])

    for version, name in ((2, "v04.zarr"), (3, "v05.zarr")):
        group = zarr.open_group(tmp_path / name, mode="w", zarr_format=version)
        group.create_array("s0", data=STACK)
        group.create_array("s1", data=STACK[..., ::2, ::2])
        multiscales = [
            {
                "axes": [{"name": each} for each in "tcyx"],
                "datasets": [{"path": "s0"}, {"path": "s1"}],
            }
        ]
        content = {"multiscales": multiscales}
        group.attrs.update(content if version == 2 else {"ome": content})
        with open_image(tmp_path / name) as image:
            assert image.axes == "TCYX"
            assert [level.shape[-1] for level in image.levels] == [90, 45]

    zarr.open_group(tmp_path / "plain.zarr", mode="w").create_array("0", data=STACK)
    with open_image(tmp_path / "plain.zarr") as image:
        assert image.levels[0].shape == STACK.shape


def test_the_image_of_bioformats2raw_keeps_its_axes_and_sizes(tmp_path):
    root = zarr.open_group(tmp_path / "raw.zarr", mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    root.create_group("OME")
    image = root.create_group("0")
    image.create_array("0", data=STACK)
    sizes = {"type": "scale", "scale": [1, 1, 0.5, 0.25]}
    image.attrs["multiscales"] = [
        {
            "axes": [{"name": name} for name in "tcyx"],
            "datasets": [{"path": "0", "coordinateTransformations": [sizes]}],
        }
    ]
    with open_image(tmp_path / "raw.zarr") as found:
        assert (found.axes, found.scale) == ("TCYX", (1, 1, 0.5, 0.25))


@pytest.mark.parametrize(
    ("names", "letters"),
    [
        (["t", "c", None, None], "TC??"),
        (["Time", "channel", "y", "x"], "TCYX"),
        (["depth", "wavelength", "y", "x"], "Z?YX"),
    ],
)
def test_axes_of_a_zarr_are_those_whose_names_are_known(names, letters, tmp_path):
    group = zarr.create_group(tmp_path / "in.zarr")
    group.create_array("0", data=STACK, dimension_names=names)
    for path in (tmp_path / "in.zarr" / "0", tmp_path / "in.zarr"):
        with open_image(path) as image:
            assert image.axes == letters


def test_axes_of_ome_zarr_are_known_by_name_or_type(tmp_path):
    group = zarr.open_group(tmp_path / "in.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=STACK)
    axes = [{"name": "lag", "type": "time"}, {"name": "channel"}, {"name": "y"}, "x"]
    sizes = {"type": "scale", "scale": [9, 1, 0.5, 0.25]}
    datasets = [{"path": "0", "coordinateTransformations": [sizes]}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets}]
    with open_image(tmp_path / "in.zarr") as image:
        assert (image.axes, image.scale) == ("TCYX", (9, 1, 0.5, 0.25))


@pytest.mark.parametrize("wrong", [0, -2, float("inf"), float("nan")])
def test_sizes_of_pixels_that_are_none_are_not_known(wrong, tmp_path):
    known = {"PhysicalSizeX": 0.25, "PhysicalSizeY": wrong, "PhysicalSizeZ": 2}
    with write_and_open(
        tmp_path, "in.ome.tif", STACK[:, 0], metadata={"axes": "ZYX", **known}
    ) as image:
        assert (image.scale, image.units) == ((2, 1, 0.25), ("µm", "", "µm"))
    with write_and_open(
        tmp_path,
        pixels=STACK[:, 0],
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "spacing": wrong, "unit": "um"},
    ) as image:
        assert (image.scale, image.units) == ((1, 0.5, 0.25), ("", "um", "um"))
    group = zarr.open_group(tmp_path / "in.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=STACK[:, 0])
    axes = [{"name": name, "unit": "micrometer"} for name in "zyx"]
    scales = [{"type": "scale", "scale": [2, wrong, 0.25]}]
    datasets = [{"path": "0", "coordinateTransformations": scales}]
    attributes = {"multiscales": [{"axes": axes, "datasets": datasets}]}
    # Not every version of zarr writes such numbers.
    (tmp_path / "in.zarr" / ".zattrs").write_text(json.dumps(attributes))
    with open_image(tmp_path / "in.zarr") as image:
        assert (image.scale, image.units) == ((2, 1, 0.25), ("micrometer", "", "micrometer"))


def test_grey_with_alpha_is_grey(tmp_path):
    grey = PillowImage.fromarray(COLOUR[..., 0])
    grey.putalpha(PillowImage.fromarray(COLOUR[..., 1]))
    grey.save(tmp_path / "grey.png")
    with open_image(tmp_path / "grey.png") as image:
        assert image.axes == "YX"
        np.testing.assert_array_equal(image.levels[0], COLOUR[..., 0])


def test_inks_are_read_as_red_green_and_blue_or_refused(tmp_path):
    grey = PillowImage.fromarray(np.full((20, 30), 200, np.uint8))
    grey.convert("CMYK").save(tmp_path / "inks.jpg")
    with open_image(tmp_path / "inks.jpg") as image:
        assert (image.axes, image.levels[0].shape) == ("YXS", (20, 30, 3))
        assert np.abs(image.levels[0].astype(int) - 200).max() < 8
    inks = np.zeros((20, 30, 4), np.uint8)
    with (
        pytest.raises(InputError, match=r"CMYK.* save it with red"),
        write_and_open(tmp_path, pixels=inks, photometric="separated"),
    ):
        pass


def test_pictures_of_an_animation_are_planes(tmp_path):
    pages = STACK[:, 0].astype(np.uint8)
    first, *others = [PillowImage.fromarray(page) for page in pages]
    first.save(tmp_path / "in.png", save_all=True, append_images=others)
    with open_image(tmp_path / "in.png") as image:
        assert image.axes == ""
        np.testing.assert_array_equal(image.levels[0], pages)


def test_npy_stays_on_disk_and_png_is_read(tmp_path):
    np.save(tmp_path / "stack.npy", STACK)
    with open_image(tmp_path / "stack.npy") as image:
        assert isinstance(image.levels[0], np.memmap)
    PillowImage.fromarray(COLOUR).save(tmp_path / "colour.png")
    with open_image(tmp_path / "colour.png") as image:
        assert image.axes == "YXS"
        np.testing.assert_array_equal(image.levels[0], COLOUR)
    PillowImage.fromarray(STACK[0, 0]).save(tmp_path / "grey.png")
    with open_image(tmp_path / "grey.png") as image:
        assert image.axes == "YX"
        np.testing.assert_array_equal(image.levels[0], STACK[0, 0])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.tif", None, "There is no image"),
        ("cut off.tif", b"II*\0\x10\0", "cannot be read"),
        ("text.tif", b"hello", "cannot be read"),
        ("text.png", b"hello", "cannot be read"),
        ("text.npy", b"hello", "cannot be read"),
        ("text.csv", b"x,y", "cannot be read"),
    ],
)
def test_what_is_no_image_is_refused_in_one_sentence(name, content, said, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught, open_image(path):
        pass
    assert str(path) in str(caught.value)


def test_folders_that_hold_no_image_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"), open_image(tmp_path):
        pass
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    with pytest.raises(InputError, match="holds no array"), open_image(tmp_path / "empty.zarr"):
        pass


@pytest.mark.parametrize(
    ("largest", "dtype"), [(0, "u2"), (65535, "u2"), (65536, "u4"), (2**32, "u8")]
)
def test_labels_are_as_wide_as_their_ids_need(largest, dtype):
    assert labels_dtype(largest) == np.dtype(dtype)


def random_labels(shape, largest):
    labels = np.zeros(shape, labels_dtype(largest))
    labels[..., 3:9, 4:8] = largest
    return labels


@pytest.mark.parametrize("name", ["labels é.tif", "labels.ome.tif", "labels.zarr", "labels.NPY"])
@pytest.mark.parametrize("shape", [(30, 20), (3, 30, 20), (2, 1, 30, 20), (2100, 2200)], ids=str)
@pytest.mark.parametrize("largest", [7, 70_000])
def test_labels_come_back_from_their_file(name, shape, largest, tmp_path):
    labels = random_labels(shape, largest)
    save_labels(tmp_path / name, labels, axes="TCYX"[-len(shape) :])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with open_image(tmp_path / name) as image:
        again = np.asarray(image.levels[0][:])
    assert again.dtype == labels.dtype
    np.testing.assert_array_equal(again.reshape(shape), labels)


def test_labels_of_a_tiff_are_compressed(tmp_path):
    save_labels(tmp_path / "labels.tif", np.zeros((5, 512, 512), np.uint16))
    assert (tmp_path / "labels.tif").stat().st_size < 50_000


def test_scratch_labels_are_empty_and_leave_nothing(tmp_path):
    labels = scratch_labels((3, 40, 50), 70_000, tmp_path)
    assert labels.dtype == np.uint32
    assert not labels.any()
    labels[1, 2, 3] = 9
    save_labels(tmp_path / "labels.tif", labels)
    del labels
    assert [path.name for path in tmp_path.iterdir()] == ["labels.tif"]
    with pytest.raises(InputError, match="choose another folder"):
        scratch_labels((3, 3), 1, tmp_path / "nope")


@pytest.mark.parametrize("name", ["labels.tif", "labels.zarr", "labels.npy"])
def test_labels_that_are_there_are_kept_unless_said_otherwise(name, tmp_path):
    path = tmp_path / name
    save_labels(path, random_labels((30, 20), 1))
    with pytest.raises(InputError, match="is there already"):
        save_labels(path, random_labels((30, 20), 2))
    save_labels(path, random_labels((30, 20), 2), overwrite=True)
    with open_image(path) as image:
        assert np.asarray(image.levels[0]).max() == 2
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", fail)
    with pytest.raises(InputError, match="No space left on device"):
        save_labels(tmp_path / "labels.tif", random_labels((30, 20), 1))
    assert list(tmp_path.iterdir()) == []


def test_names_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(InputError, match="choose another"):
        check_labels_path(tmp_path / "labels.jpg")
    with pytest.raises(InputError, match="There is no folder"):
        check_labels_path(tmp_path / "nope" / "labels.tif")


def test_a_zarr_that_holds_what_is_read_is_never_replaced(tmp_path):
    labels = tmp_path / "in.zarr" / "labels" / "cells"
    with pytest.raises(InputError, match="is an image that is read, or holds one"):
        check_not_read(tmp_path / "in.zarr", [labels])
    check_not_read(labels / "0.zarr", [labels])


@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif"])
def test_a_folder_of_something_else_is_never_overwritten(name, tmp_path):
    path = tmp_path / name
    path.mkdir()
    (path / "notes.txt").write_text("weeks of work")
    with pytest.raises(InputError, match="is a folder with something else"):
        save_labels(path, np.zeros((4, 4), np.uint16), overwrite=True)
    assert (path / "notes.txt").exists()

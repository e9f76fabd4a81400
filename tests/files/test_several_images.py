"""Files that hold several images: pages of one, an image with a thumbnail, or different ones."""

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image as PillowImage

from napari_sam2_openvino._files.images import open_image
from napari_sam2_openvino._files.several_images import find_main
from napari_sam2_openvino._files.tiff_pages import TiffPages
from napari_sam2_openvino.core.errors import InputError

PAGES = np.random.default_rng(0).integers(0, 60000, (5, 70, 90)).astype(np.uint16)
COLOURS = np.random.default_rng(1).integers(0, 255, (3, 70, 90, 3)).astype(np.uint8)


def append(path, pages, **options):
    for page in pages:
        tifffile.imwrite(path, page, append=path.exists(), **options)


def write_apart(path, pages, **options):
    with tifffile.TiffWriter(path) as writer:
        for page in pages:
            writer.write(page, contiguous=False, **options)


@pytest.mark.parametrize("write", [append, write_apart])
@pytest.mark.parametrize(
    ("pages", "options"),
    [
        (PAGES, {}),
        (PAGES, {"compression": "zlib", "tile": (32, 48)}),
        (PAGES, {"metadata": None}),
        (COLOURS, {"photometric": "rgb"}),
        (np.moveaxis(COLOURS, -1, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        # Each is a stack of its own.
        (PAGES[:4].reshape(2, 2, 70, 90), {"metadata": {"axes": "ZYX"}}),
    ],
    ids=["pages", "compressed", "plain", "colours", "planar", "stacks"],
)
def test_pages_that_were_written_one_by_one_are_one_image(write, pages, options, tmp_path):
    options = {"photometric": "minisblack", **options}
    write(tmp_path / "in.tif", pages, **options)
    with open_image(tmp_path / "in.tif") as image:
        assert (image.levels[0].shape, image.n_images) == (pages.shape, 1)
        assert len(image.axes) == pages.ndim
        np.testing.assert_array_equal(np.asarray(image.levels[0]), pages)
        np.testing.assert_array_equal(image.levels[0][1, 0:1], pages[1, 0:1])
        # Colours in planes of their own are read whole.
        assert isinstance(image.levels[0], TiffPages) == ("planarconfig" not in options)


def test_pages_of_another_program_are_one_image(tmp_path):
    first, *others = [PillowImage.fromarray(page) for page in PAGES]
    first.save(tmp_path / "in.tif", save_all=True, append_images=others)
    with open_image(tmp_path / "in.tif") as image:
        np.testing.assert_array_equal(np.asarray(image.levels[0]), PAGES)


def write_ome(path, *images):
    with tifffile.TiffWriter(path, ome=True) as writer:
        for number, pixels in enumerate(images):
            sizes = {"PhysicalSizeX": number + 0.5, "PhysicalSizeY": number + 0.5}
            axes = "ZYX"[-pixels.ndim :]
            writer.write(pixels, metadata={"axes": axes, "Name": f"pos{number}", **sizes})


@pytest.mark.parametrize(
    "images",
    [
        tuple(PAGES[:3]),
        (PAGES[0], PAGES[1, :50, :60]),
        # A long stack, and an overview with larger planes.
        (np.tile(PAGES, (9, 1, 1)), np.tile(PAGES[0], (2, 2))),
    ],
    ids=["positions", "another size", "overview"],
)
def test_different_images_are_refused_with_their_names(images, tmp_path):
    path = tmp_path / "in.ome.tif"
    write_ome(path, *images)
    said = rf"in.ome.tif holds {len(images)} images \(pos0 of .* save each as a file of its own"
    with pytest.raises(InputError, match=said), open_image(path):
        pass


def test_pages_that_differ_are_refused(tmp_path):
    for page in (PAGES[0], PAGES[0].astype(np.uint8), PAGES[1]):
        tifffile.imwrite(tmp_path / "in.tif", page, append=(tmp_path / "in.tif").exists())
    said = r"3 images \(1 of 70 x 90, 2 of 70 x 90, 3 of 70 x 90\)"
    with pytest.raises(InputError, match=said), open_image(tmp_path / "in.tif"):
        pass


@pytest.mark.parametrize("main", [0, 1])
def test_a_thumbnail_beside_an_image_is_left_alone(main, tmp_path):
    images = [PAGES[0, :20, :30], PAGES[1, :10, :10]]
    images.insert(main, PAGES)
    write_ome(tmp_path / "in.ome.tif", *images)
    with open_image(tmp_path / "in.ome.tif") as image:
        np.testing.assert_array_equal(np.asarray(image.levels[0]), PAGES)
        assert (image.axes, image.n_images) == ("ZYX", 3)
        # Sizes of pixels are those of the image, too.
        assert image.scale[-1] == main + 0.5


def test_a_slide_keeps_its_levels_beside_label_and_overview(tmp_path):
    """As Aperio writes it, which tells what a page is by its description."""
    slide = np.tile(COLOURS[0], (4, 4, 1))
    options = {"photometric": "rgb", "metadata": None, "contiguous": False}
    with tifffile.TiffWriter(tmp_path / "slide.tif") as writer:
        about = "Aperio Image Library v1\r\n360x280 [0,0 360x280] (32x32) |AppMag = 20|MPP = 0.5"
        writer.write(slide, description=about, tile=(32, 32), **options)
        writer.write(slide[::8, ::8], description="Aperio Image Library v1\r\nthumb", **options)
        writer.write(slide[::4, ::4], description=about, tile=(32, 32), **options)
        for name, pixels in (("label", slide[:60, :50]), ("macro", slide[:50, :80])):
            text = f"Aperio Image Library v1\r\n{name} 1x1"
            writer.write(pixels, description=text, subfiletype=1, **options)
    with open_image(tmp_path / "slide.tif") as image:
        assert [level.shape[:2] for level in image.levels] == [(280, 360), (70, 90)]
        np.testing.assert_array_equal(image.levels[0][:], slide)
        assert image.n_images > 1


def test_of_several_files_with_an_image_each_the_one_is_read_that_was_opened(tmp_path):
    """As microscopes write positions: each file tells of the images of all of them."""
    xml = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{own}">'
    for number in range(3):
        xml += (
            f'<Image ID="I:{number}"><Pixels ID="P:{number}" DimensionOrder="XYZCT" Type="uint16" '
            f'SizeX="90" SizeY="70" SizeZ="1" SizeC="1" SizeT="1" PhysicalSizeX="{number + 1}">'
            f'<TiffData IFD="0"><UUID FileName="{number}.ome.tif">urn:uuid:{number}</UUID>'
            "</TiffData></Pixels></Image>"
        )
    for number in range(3):
        text = xml.format(own=number) + "</OME>"
        tifffile.imwrite(
            tmp_path / f"{number}.ome.tif", PAGES[number], description=text, metadata=None
        )
    for number in range(3):
        with open_image(tmp_path / f"{number}.ome.tif") as image:
            np.testing.assert_array_equal(np.asarray(image.levels[0]), PAGES[number])
            assert (image.n_images, image.scale[-1]) == (1, number + 1)


def write_groups(path, *images):
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    root.create_group("OME")
    for number, pixels in enumerate(images):
        group = root.create_group(str(number))
        group.create_array("0", data=pixels)
        axes = [{"name": name} for name in "zyx"]
        group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]


def test_one_of_several_images_of_bioformats2raw_can_be_given(tmp_path):
    path = tmp_path / "raw.zarr"
    write_groups(path, PAGES, PAGES[::-1])
    said = rf"2 images \(0 of 5 x 70 x 90, 1 of .* give one, such as {path / '0'}"
    with pytest.raises(InputError, match=said), open_image(path):
        pass
    with open_image(path / "1") as image:
        np.testing.assert_array_equal(np.asarray(image.levels[0]), PAGES[::-1])
        assert image.axes == "ZYX"


def test_label_and_overview_of_bioformats2raw_are_left_alone(tmp_path):
    write_groups(tmp_path / "raw.zarr", PAGES, PAGES[:1, :20, :20], PAGES[:1, :30, :30])
    with open_image(tmp_path / "raw.zarr") as image:
        np.testing.assert_array_equal(np.asarray(image.levels[0]), PAGES)
        assert image.n_images == 3


@pytest.mark.parametrize(
    ("images", "main"),
    [
        ([(100, 100), (25, 25)], 0),
        ([(25, 25), (100, 100), (20, 20)], 1),
        ([(100, 100), (26, 26)], None),
        ([(100, 100), (100, 100)], None),
        # Few planes as large, and many small ones, are no thumbnails.
        ([(100, 1000), (100, 100)], None),
        ([(100, 100), (10, 50)], None),
    ],
)
def test_an_image_is_the_main_one_where_all_others_are_much_smaller(images, main):
    assert find_main(images) == main

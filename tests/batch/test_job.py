"""Stacks of any kind become labels: the same, whatever they come from and go to."""

import itertools
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image
from napari.layers._source import layer_source
from PIL import Image as PillowImage
from skimage.measure import label
from tests.batch.segmenters import BrightSpots
from tests.batch.stacks import spots

from napari_sam2_openvino._files.images import open_image
from napari_sam2_openvino.batch.images import stack_image
from napari_sam2_openvino.batch.job import BatchJob
from napari_sam2_openvino.batch.parameters import BatchParameters, LinkParameters, PlaneParameters
from napari_sam2_openvino.batch.stack import Stack, StackSettings
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.normalize import to_rgb

STACK = spots((6, 48, 64))


def expected(stack):
    """What the segmenter does, without the batch."""
    planes = stack.reshape(-1, *stack.shape[-2:])
    found = [label(to_rgb(plane)[..., 0] > 128) for plane in planes]
    return np.stack(found).reshape(stack.shape)


def settings(recipe=None, **options):
    return StackSettings(recipe or BrightSpots(), **options)


def run(image, output, recipe=None, axes=None, **options):
    job = BatchJob([(image, output)], settings(recipe, **options), axes=axes)
    for _ in job.run():
        pass
    return job


def read(path: Path):
    with open_image(path) as file:
        return np.array(file.levels[0]), file.axes


def leftovers(folder, output):
    return sorted(path.name for path in folder.iterdir()) != sorted(
        [output.name, f"{output.name}.json"]
    )


def as_tiff(folder):
    tifffile.imwrite(folder / "in.tif", STACK, metadata={"axes": "ZYX"})
    return folder / "in.tif"


def as_ome_tiff(folder):
    tifffile.imwrite(folder / "in.ome.tif", STACK, metadata={"axes": "ZYX"}, compression="zlib")
    return str(folder / "in.ome.tif")


def as_ome_zarr(folder):
    group = zarr.open_group(folder / "in.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=STACK, chunks=(1, 20, 64))
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    return folder / "in.zarr"


@pytest.mark.parametrize(
    "image",
    [
        as_tiff,
        as_ome_tiff,
        as_ome_zarr,
        lambda _: STACK,
        lambda _: da.from_array(STACK, chunks=(2, 30, 30)),
        lambda folder: zarr.open(as_ome_zarr(folder), mode="r")["0"],
        lambda _: Image(STACK),
        lambda _: Image([STACK, STACK[:, ::2, ::2]], multiscale=True),
    ],
    ids=["tiff", "ome-tiff", "ome-zarr", "numpy", "dask", "zarr", "layer", "pyramid"],
)
def test_an_image_of_any_kind_becomes_the_same_labels(image, tmp_path):
    job = run(image(tmp_path), tmp_path / "labels.zarr")
    labels, axes = read(tmp_path / "labels.zarr")
    np.testing.assert_array_equal(labels, expected(STACK))
    assert axes == "ZYX"
    assert job.report.is_whole
    assert job.report.stacks[0].n_objects == sum(plane.max() for plane in expected(STACK))


@pytest.mark.parametrize("name", ["labels é.zarr", "labels.tif", "labels.npy"])
def test_labels_go_to_any_format_and_nothing_else_is_left(name, tmp_path):
    run(STACK, tmp_path / name)
    labels, _ = read(tmp_path / name)
    np.testing.assert_array_equal(labels, expected(STACK))
    assert not leftovers(tmp_path, tmp_path / name)


@pytest.mark.parametrize("letters", ["YX", "ZYX", "TZYX", "TCZYX", "ZTCYX", "PTZYX"])
def test_two_to_five_dimensions_in_any_order(letters, tmp_path):
    shape = tuple({"T": 2, "C": 2, "Z": 3, "P": 2, "Y": 40, "X": 50}[each] for each in letters)
    image = spots(shape)
    parameters = BatchParameters(channels=(1,) if "C" in letters else ())
    run(image, tmp_path / "labels.zarr", axes=letters, parameters=parameters)
    labels, axes = read(tmp_path / "labels.zarr")
    wanted = image.take(1, letters.index("C")) if "C" in letters else image
    order = [letters.replace("C", "").index(letter) for letter in axes]
    np.testing.assert_array_equal(labels, expected(np.transpose(wanted, order)))
    assert axes == "".join(letter for letter in "TPZYX" if letter in letters)


def test_a_file_that_a_layer_or_an_array_reads_is_not_replaced(tmp_path):
    zarr.create_array(tmp_path / "in.zarr" / "0", data=STACK)
    with layer_source(path=str(tmp_path / "in.zarr" / "0")):
        layer = Image(da.from_zarr(str(tmp_path / "in.zarr" / "0")))
    np.save(tmp_path / "in.npy", STACK)
    mapped = np.load(tmp_path / "in.npy", mmap_mode="r")
    for image, name in ((layer, "in.zarr"), (mapped, "in.npy")):
        job = run(image, tmp_path / name, axes="ZYX", overwrite=True)
        with pytest.raises(InputError, match="is an image that is read"):
            raise job.errors[0]
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "in.zarr" / "0"), STACK)
    np.testing.assert_array_equal(np.load(tmp_path / "in.npy"), STACK)


def test_planes_that_are_left_out_are_no_gaps_between_objects(tmp_path):
    same = np.repeat(STACK[:1], 7, axis=0)
    run(
        same,
        tmp_path / "l.npy",
        planes="z=::3",
        parameters=BatchParameters(linking=LinkParameters("z")),
    )
    labels, _ = read(tmp_path / "l.npy")
    assert labels[0].any()
    for number in (3, 6):
        np.testing.assert_array_equal(labels[number], labels[0])


def test_where_an_image_cannot_be_handed_on_its_labels_are_free_again(tmp_path):
    output = tmp_path / "labels.tif"
    begun = Stack(stack_image(STACK), output, settings())
    begun.close()
    # Where the array should go there is a folder already.
    (tmp_path / "labels.tif.partial" / "image 0.npy").mkdir()
    job = BatchJob([(STACK, output)], settings(resume=True), runner=lambda *_: iter(()))
    list(job._tasks())
    assert "cannot be written" in str(job.errors[0])
    assert run(STACK, output, resume=True).report.is_whole


def test_other_processes_get_all_levels_of_a_pyramid(tmp_path):
    spooled = stack_image([STACK, STACK[:, ::2, ::2]]).spooled(tmp_path).absolute()
    with spooled.open() as arrays:
        assert [level.shape for level in arrays.levels] == [(6, 48, 64), (6, 24, 32)]
        np.testing.assert_array_equal(arrays.levels[1], STACK[:, ::2, ::2])
    (tmp_path / "image 1.npy").unlink()
    with pytest.raises(InputError, match="cannot be read any more"), spooled.open():
        pass


def test_channels_of_colours_are_refused(tmp_path):
    rgb = np.zeros((20, 30, 3), np.uint8)
    parameters = BatchParameters(channels=(0,))
    (problem,) = run(rgb, tmp_path / "l.npy", axes="YXS", parameters=parameters).errors.values()
    assert "are seen together: choose no channels" in str(problem)
    each = np.zeros((2, 20, 30, 3), np.uint8)
    (problem,) = run(each, tmp_path / "l.npy", axes="CYXS").errors.values()
    assert "give one channel as an image of its own" in str(problem)


def test_colours_and_a_picture(tmp_path):
    picture = np.repeat(spots((48, 64), dtype=np.uint8)[..., None], 3, axis=-1)
    PillowImage.fromarray(picture).save(tmp_path / "in.png")
    run(tmp_path / "in.png", tmp_path / "labels.tif")
    labels, _ = read(tmp_path / "labels.tif")
    np.testing.assert_array_equal(labels, label(picture[..., 0] > 128))


def test_some_planes_only(tmp_path):
    job = run(STACK, tmp_path / "labels.tif", planes="z=1:3")
    labels, _ = read(tmp_path / "labels.tif")
    wanted = expected(STACK)
    wanted[[0, 3, 4, 5]] = 0
    np.testing.assert_array_equal(labels, wanted)
    assert job.report.stacks[0].n_planes == 2


def test_planes_with_few_bright_pixels_are_not_empty_and_set_no_mark(tmp_path):
    stack = np.zeros((3, 48, 64), np.uint16)
    stack[0, 4, 5] = 60_000
    stack[1] = spots((48, 64), seed=3)
    options = BatchParameters(planes=PlaneParameters(skip_empty=0.2))
    run(stack, tmp_path / "labels.zarr", axes="zyx", parameters=options)
    labels, _ = read(tmp_path / "labels.zarr")
    assert labels.any(axis=(1, 2)).tolist() == [True, True, False]


def test_empty_planes_are_skipped(tmp_path):
    image = STACK.copy()
    rng = np.random.default_rng(5)
    # Noise, which the segmenter takes for objects.
    image[[0, 4]] = rng.normal(300, 20, image[:2].shape)
    assert expected(image)[0].max() > 20
    options = BatchParameters(planes=PlaneParameters(skip_empty=0.2))
    run(image, tmp_path / "labels.tif", parameters=options)
    labels, _ = read(tmp_path / "labels.tif")
    assert [plane.max() > 0 for plane in labels] == [False, True, True, True, False, True]
    np.testing.assert_array_equal(labels[1], expected(image)[1])


def test_the_store_is_there_from_the_start_and_grows(tmp_path):
    job = BatchJob([(STACK, tmp_path / "labels.zarr")], settings())
    seen = []
    for _ in job.run():
        if (tmp_path / "labels.zarr").exists():
            labels, _ = read(tmp_path / "labels.zarr")
            assert labels.shape == STACK.shape
            seen.append(int(sum(plane.any() for plane in labels)))
    assert seen == sorted(seen)
    assert {1, 2, 3, 4, 5, 6} <= set(seen)


def test_progress_tells_planes_per_minute_and_the_time_left(tmp_path):
    job = BatchJob([(STACK, tmp_path / "labels.zarr")], settings(BrightSpots(seconds=0.02)))
    reports = list(job.run())
    shares = [report.done for report in reports]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    half = next(each.detail for each in reports if each.detail.startswith("3 of 6 planes, "))
    assert "planes per minute" in half
    assert half.endswith(" s left")


def test_memory_does_not_follow_the_stack(tmp_path):
    read_planes = []

    class Lazy:
        shape, dtype, ndim = (1000, 64, 64), np.dtype(np.uint16), 3

        def __getitem__(self, index):
            read_planes.append(index[0])
            assert isinstance(index[0], int)
            return spots((64, 64), seed=index[0])

    job = BatchJob([(Lazy(), tmp_path / "labels.zarr")], settings())
    for _ in itertools.islice(job.run(), 40):
        pass
    # The first one twice, to know the image again, and then one after the other.
    assert read_planes[:5] == [0, 0, 1, 2, 3]
    assert len(read_planes) < 40


def test_cancel_keeps_what_is_done(tmp_path):
    job = BatchJob([(STACK, tmp_path / "labels.zarr")], settings(BrightSpots(seconds=0.05)))
    reports = job.run()
    while not next(reports).detail.startswith("2 of 6"):
        pass
    job.cancel()
    with pytest.raises(JobCancelledError):
        list(reports)
    (stack,) = job.report.stacks
    assert (stack.n_finished, stack.is_whole) == (2, False)
    again = run(STACK, tmp_path / "labels.zarr", resume=True)
    assert again.report.is_whole
    np.testing.assert_array_equal(read(tmp_path / "labels.zarr")[0], expected(STACK))


@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif", "labels.npy"])
@pytest.mark.parametrize("stage", ["Linking", "Writing"])
def test_cancel_while_planes_are_linked_and_written(stage, name, tmp_path):
    linked = BatchParameters(linking=LinkParameters("z"))
    run(STACK, tmp_path / f"whole {name}", parameters=linked)
    job = BatchJob([(STACK, tmp_path / name)], settings(parameters=linked))
    steps = job.run()
    while not next(steps).stage.startswith(stage):
        pass
    job.cancel()
    with pytest.raises(JobCancelledError):
        next(steps)
    assert not (tmp_path / f"{name}.json").exists()
    assert run(STACK, tmp_path / name, parameters=linked, resume=True).report.is_whole
    whole = read(tmp_path / f"whole {name}")[0]
    np.testing.assert_array_equal(read(tmp_path / name)[0], whole)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels.png", "choose another"),
        ("no/labels.tif", "There is no folder"),
        ("there.tif", "there already"),
        ("in.tif", "is an image that is read"),
    ],
)
def test_places_where_labels_cannot_go(name, message, tmp_path):
    image = as_tiff(tmp_path)
    (tmp_path / "there.tif").write_bytes(b"mine")
    job = run(image, tmp_path / name)
    assert message in str(job.errors[0])
    assert (tmp_path / "there.tif").read_bytes() == b"mine"


def test_what_was_not_made_by_a_batch_is_never_resumed_over(tmp_path):
    (tmp_path / "labels.tif").write_bytes(b"mine")
    job = run(STACK, tmp_path / "labels.tif", resume=True)
    assert "was not made by a batch" in str(job.errors[0])
    assert (tmp_path / "labels.tif").read_bytes() == b"mine"


def test_overwrite_begins_anew(tmp_path):
    run(STACK, tmp_path / "labels.zarr")
    run(STACK[::-1], tmp_path / "labels.zarr", overwrite=True)
    np.testing.assert_array_equal(read(tmp_path / "labels.zarr")[0], expected(STACK[::-1]))


def test_no_images_are_refused():
    with pytest.raises(InputError, match="no image"):
        BatchJob([], settings())


def test_sizes_of_pixels_go_into_the_store(tmp_path):
    layer = Image(spots((2, 3, 40, 50)), scale=(5, 2, 0.5, 0.25), units=("s", "um", "um", "um"))
    run(layer, tmp_path / "labels.zarr", axes="tzyx")
    with open_image(tmp_path / "labels.zarr") as file:
        assert file.axes == "TZYX"
        assert file.scale == (5, 2, 0.5, 0.25)
        assert file.units == ("second", "micrometer", "micrometer", "micrometer")
    run(tmp_path / "labels.zarr", tmp_path / "again.zarr")
    with open_image(tmp_path / "again.zarr") as file:
        assert file.scale == (5, 2, 0.5, 0.25)


@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif"])
def test_labels_have_y_before_x_also_where_the_image_has_not(name, tmp_path):
    layer = Image(STACK.T, scale=(0.25, 0.5, 2), units=("um",) * 3, axis_labels=tuple("xyz"))
    run(layer, tmp_path / name)
    with open_image(tmp_path / name) as file:
        np.testing.assert_array_equal(np.asarray(file.levels[0]), expected(STACK))
        assert (file.axes, file.scale) == ("ZYX", (2, 0.5, 0.25))


def test_sizes_of_layers_that_are_none_are_not_known():
    layer = Image(spots((3, 40, 50)), scale=(5, -2, 0.5), units=("um", "um", "um"))
    image = stack_image(layer, "zyx")
    assert image.scale == (5, 1, 0.5)
    assert image.units == ("micrometer", "", "micrometer")


def test_ome_zarr_and_napari_read_the_store(tmp_path):
    from napari_builtins.io import napari_get_reader
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Reader

    run(STACK, tmp_path / "labels.zarr", axes="zyx")
    (node,) = Reader(parse_url(tmp_path / "labels.zarr"))()
    assert any(isinstance(spec, Label) for spec in node.specs)
    np.testing.assert_array_equal(np.asarray(node.data[0]), expected(STACK))
    read_layers = napari_get_reader(str(tmp_path / "labels.zarr"))
    ((levels, *_),) = read_layers(str(tmp_path / "labels.zarr"))
    np.testing.assert_array_equal(np.asarray(levels[0]), expected(STACK))

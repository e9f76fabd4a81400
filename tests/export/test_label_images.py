"""Labels as OME-Zarr and OME-TIFF, read by ome-zarr, tifffile and the plugin itself."""

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Label, Reader
from tests.export.scenes import (
    CORNER,
    FEATURES,
    everything,
    stack_of_planes,
    tricky,
    tricky_plane,
)

from napari_sam2_openvino._files.images import open_image
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.export.label_images import write_ome_zarr, write_tiff

SIZES = {"scale": (3.0, 2.0, 0.25, 0.25), "units": ("s", "um", "um", "um")}


def ome_zarr_of(labelled, folder):
    path = folder / "labels é.zarr"
    everything(write_ome_zarr(labelled, path))
    return path, next(iter(Reader(parse_url(path))()))


def test_ome_zarr_is_read_with_axes_sizes_and_properties(tmp_path):
    labels = stack_of_planes()
    labelled = LabelledImage(labels, "TZYX", features=FEATURES, **SIZES)
    path, node = ome_zarr_of(labelled, tmp_path)
    assert node.load(Label) is not None
    assert [each["name"] for each in node.metadata["axes"]] == list("tzyx")
    assert node.metadata["coordinateTransformations"][0][0]["scale"] == [3.0, 2.0, 0.25, 0.25]
    assert node.metadata["properties"][CORNER]["class_name"] == "nucleus"
    assert np.array_equal(node.data[0].compute(), labels)
    assert node.data[0].dtype == np.uint32
    with open_image(path) as file:
        assert (file.axes, file.scale) == ("TZYX", SIZES["scale"])
        assert file.units == ("second", "micrometer", "micrometer", "micrometer")
        assert np.array_equal(np.asarray(file.levels[0]), labels)


def test_properties_of_ome_zarr_say_of_which_time_point_they_are(tmp_path):
    rows = pd.DataFrame({"index": 3, "t": [0, 1], "size": [10, 20]})
    path, _ = ome_zarr_of(LabelledImage(np.ones((2, 8, 8), int), "TYX", features=rows), tmp_path)
    found = zarr.open_group(path, mode="r").attrs["image-label"]["properties"]
    assert found == [{"label-value": 3, "t": t, "size": 10 * (t + 1)} for t in range(2)]


def test_metadata_of_ome_zarr_follow_the_schema(tmp_path):
    # Older releases of ome-zarr do without it.
    schema = pytest.importorskip("ome_zarr_models.v04.image_label")
    labelled = LabelledImage(stack_of_planes(), "TZYX", features=FEATURES, **SIZES)
    path, _ = ome_zarr_of(labelled, tmp_path)
    schema.ImageLabelAttrs.model_validate(zarr.open_group(path, mode="r").attrs.asdict())


def test_large_planes_have_coarser_levels_of_the_same_labels(tmp_path):
    labels = np.random.default_rng(0).integers(0, 9, (2, 1500, 2600)).astype(np.uint8)
    _, node = ome_zarr_of(LabelledImage(labels, scale=(5, 1, 1)), tmp_path)
    assert [level.shape for level in node.data] == [(2, 1500, 2600), (2, 750, 1300), (2, 375, 650)]
    assert np.array_equal(node.data[2].compute(), labels[:, ::4, ::4])
    scales = [each[0]["scale"] for each in node.metadata["coordinateTransformations"]]
    assert scales == [[5, 1, 1], [5, 2, 2], [5, 4, 4]]


def test_ome_tiff_is_read_with_axes_and_sizes(tmp_path):
    labels = stack_of_planes()
    path = tmp_path / "labels é.ome.tif"
    everything(write_tiff(LabelledImage(labels, "TZYX", **SIZES), path))
    assert np.array_equal(tifffile.imread(path), labels)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert file.series[0].axes == "TZYX"
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    found = [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"]
    assert (found, pixels["PhysicalSizeXUnit"]) == ([2.0, 0.25, 0.25], "µm")
    assert (pixels["TimeIncrement"], pixels["TimeIncrementUnit"]) == (3.0, "s")
    with open_image(path) as file:
        assert (file.axes, file.scale) == ("TZYX", SIZES["scale"])
        assert file.units == ("s", "µm", "µm", "µm")


@pytest.mark.parametrize("write", [write_tiff, write_ome_zarr])
def test_a_unit_that_an_axis_cannot_have_is_left_out_with_its_size(write, tmp_path):
    """As where z of an image is called t."""
    labels = np.ones((2, 3, 8, 8), np.uint8)
    labelled = LabelledImage(labels, "TZYX", scale=(2, 3, 0.5, 0.5), units=("um", "s", "um", "um"))
    path = tmp_path / ("labels.tif" if write is write_tiff else "labels.zarr")
    everything(write(labelled, path))
    with open_image(path) as file:
        assert file.scale == (1, 1, 0.5, 0.5)
        assert file.units[:2] == ("", "")
        assert all(file.units[2:])


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        (bool, np.uint8),
        (np.int8, np.uint8),
        (">i2", np.uint16),
        (np.int32, np.uint32),
        (np.int64, np.uint16),
        (np.uint64, np.uint16),
    ],
)
@pytest.mark.parametrize("write", [write_tiff, write_ome_zarr])
def test_labels_of_any_type_are_stored_as_unsigned_ones(write, dtype, stored, tmp_path):
    labels = (tricky_plane() % 128).astype(dtype)
    path = tmp_path / ("labels.tif" if write is write_tiff else "labels.zarr")
    everything(write(LabelledImage(labels), path))
    with open_image(path) as file:
        assert np.dtype(file.levels[0].dtype) == stored
        assert np.array_equal(np.asarray(file.levels[0]), labels.astype(stored))


def test_labels_that_need_64_bits_go_into_a_zarr_only(tmp_path):
    labels = tricky_plane(np.uint64)
    labels[0, 0] = 2**40
    everything(write_ome_zarr(LabelledImage(labels), tmp_path / "labels.zarr"))
    with open_image(tmp_path / "labels.zarr") as file:
        assert file.levels[0][0, 0] == 2**40
    with pytest.raises(InputError, match="write an OME-Zarr"):
        everything(write_tiff(LabelledImage(labels), tmp_path / "labels.tif"))
    assert not (tmp_path / "labels.tif").exists()


def test_a_plane_that_cannot_be_read_ends_the_tiff(tmp_path):
    class Broken:
        shape, dtype = (4, 40, 50), np.dtype(np.uint16)

        def __getitem__(self, place):
            if place == (2,):
                raise OSError("the disk is gone")
            return tricky_plane()

    with pytest.raises(InputError, match="the disk is gone"):
        everything(write_tiff(LabelledImage(Broken()), tmp_path / "labels.tif"))
    assert list(tmp_path.iterdir()) == []


def test_reports_say_which_plane_is_written(tmp_path):
    reports = everything(write_tiff(LabelledImage(stack_of_planes()), tmp_path / "labels.tif"))
    assert [each.detail for each in reports][:2] == ["plane 1 of 6", "plane 2 of 6"]
    assert reports[-1].done == 1
    assert tricky().middle == ()


def test_sizes_of_imagej_are_read_as_lengths_of_a_pixel(tmp_path):
    path = tmp_path / "labels.tif"
    about = {"axes": "ZYX", "unit": "\\u00B5m", "spacing": 2.0}
    labels = stack_of_planes()[0].astype(np.uint16)
    tifffile.imwrite(path, labels, imagej=True, resolution=(4, 5), metadata=about)
    with open_image(path) as file:
        assert file.axes == "ZYX"
        assert file.scale == pytest.approx((2.0, 0.2, 0.25))
        labelled = LabelledImage(labels, file.axes, file.scale, file.units)
    assert labelled.units == ("um", "um", "um")

"""Measurements in the units of the pixels, in 2D and 3D."""

import numpy as np
import pandas as pd
import pytest
from tests.export.scenes import (
    CORNER,
    DOT,
    FEATURES,
    HW,
    RING,
    everything,
    masks_of,
    stack_of_planes,
    tricky,
    tricky_plane,
)

from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.export.measurements import write_csv


def table_of(labelled, folder):
    path = folder / "table.csv"
    everything(write_csv(labelled, path))
    return pd.read_csv(path)


def test_areas_and_lengths_are_in_the_unit_of_the_layer(tmp_path):
    labelled = tricky(scale=(0.5, 0.5), units=("micrometer", "µm"))
    table = table_of(labelled, tmp_path).set_index("label")
    masks = masks_of(tricky_plane())
    assert table.index.tolist() == list(masks)
    assert table["area_um2"].tolist() == [0.25 * mask.sum() for mask in masks.values()]
    for axis, number in (("y", 0), ("x", 1)):
        centres = [np.nonzero(mask)[number].mean() * 0.5 for mask in masks.values()]
        assert table[f"centroid_{axis}_um"].tolist() == pytest.approx(centres)
    assert table.loc[CORNER, "equivalent_diameter_um"] == pytest.approx(
        2 * np.sqrt(0.25 * 54 / np.pi)
    )
    # Between the centres of the outermost pixels, as scikit-image counts.
    assert table.loc[CORNER, "perimeter_um"] == pytest.approx(2 * (5 + 8) * 0.5)
    boxes = table.filter(like="box_").loc[RING].to_dict()
    assert boxes == {
        "box_y_start_px": 10,
        "box_x_start_px": 5,
        "box_y_stop_px": 22,
        "box_x_stop_px": 19,
    }
    assert table.loc[DOT, "area_um2"] == 0.25


@pytest.mark.parametrize(
    ("scale", "units", "unit", "area"),
    [
        ((), (), "px", 54),
        ((0.5, 0.5), ("pixel", "pixel"), "px", 54),
        ((500, 0.25), ("nm", "um"), "um", 54 * 0.125),
        ((2.0, 2.0), ("mm", "mm"), "mm", 54 * 4),
        ((3.0, 0.5), ("s", "um"), "px", 54),
    ],
)
def test_units_of_columns(scale, units, unit, area, tmp_path):
    labelled = tricky(scale=scale, units=units)
    table = table_of(labelled, tmp_path).set_index("label")
    assert table.loc[CORNER, f"area_{unit}2"] == pytest.approx(area)
    is_square = len(set(scale)) == 1 or unit == "px"
    assert (f"perimeter_{unit}" in table) == is_square


def test_objects_of_z_stacks_are_measured_in_three_dimensions(tmp_path):
    labels = stack_of_planes()
    image = np.random.default_rng(0).integers(0, 1000, labels.shape).astype(np.uint16)
    labelled = LabelledImage(
        labels, "TZYX", (1, 2.0, 0.5, 0.5), ("s", "um", "um", "um"), image=image
    )
    table = table_of(labelled, tmp_path)
    expected = {(t, int(i)) for t in range(2) for i in np.unique(labels[t]) if i}
    assert set(zip(table["t"], table["label"], strict=True)) == expected
    for row in table.to_dict("records"):
        mask = labels[row["t"]] == row["label"]
        assert row["volume_um3"] == pytest.approx(mask.sum() * 0.5)
        places = np.nonzero(mask)
        for axis, where, step in zip("zyx", places, (2.0, 0.5, 0.5), strict=True):
            assert row[f"centroid_{axis}_um"] == pytest.approx(where.mean() * step)
            assert row[f"box_{axis}_start_px"] == where.min()
            assert row[f"box_{axis}_stop_px"] == where.max() + 1
        values = image[row["t"]][mask]
        assert row["intensity_mean"] == pytest.approx(values.mean())
        assert (row["intensity_min"], row["intensity_max"]) == (values.min(), values.max())


def test_planes_over_time_are_measured_apart_and_colours_too(tmp_path):
    labels = np.stack([tricky_plane(), np.zeros(HW, np.uint16)])
    image = np.random.default_rng(0).integers(0, 255, (*labels.shape, 3)).astype(np.uint8)
    table = table_of(LabelledImage(labels, "TYX", image=image), tmp_path)
    assert set(table["t"]) == {0}
    row = table.set_index("label").loc[RING]
    means = image[0][labels[0] == RING].mean(axis=0)
    assert [row[f"intensity_mean_{number}"] for number in range(3)] == pytest.approx(means)


def test_features_are_columns_unless_they_are_measured_anew(tmp_path):
    features = FEATURES.assign(area=-1, **{"centroid-0": -1.0})
    table = table_of(tricky(features=features), tmp_path).set_index("label")
    assert table.loc[CORNER, "class_name"] == "nucleus"
    assert table.loc[CORNER, "predicted_iou"] == 0.91
    assert (table.loc[CORNER, "comment"], table.loc[CORNER, "area_px2"]) == ("fine", 54)
    assert pd.isna(table.loc[RING, "predicted_iou"])
    assert not {"area", "centroid-0", "centroid_0", "index"} & set(table)


def test_what_was_exported_before_is_measured_anew(tmp_path):
    """Columns of the same names are there once, and an object's label is its own."""
    features = FEATURES.assign(label=77, area_px2=-1, eccentricity=-1.0)
    table = table_of(tricky(features=features), tmp_path)
    assert table.columns.is_unique
    row = table.set_index("label").loc[CORNER]
    assert (row["area_px2"], row["comment"]) == (54, "fine")
    assert row["eccentricity"] >= 0


def test_features_of_time_points_go_into_their_rows(tmp_path):
    rows = pd.DataFrame({"index": [CORNER, CORNER], "t": [1, 0], "size": [20, 10]})
    labelled = LabelledImage(np.stack([tricky_plane()] * 2), "TYX", features=rows)
    table = table_of(labelled, tmp_path).query(f"label == {CORNER}")
    assert table[["t", "size"]].to_numpy().tolist() == [[0, 10], [1, 20]]


def test_labels_without_objects_are_a_table_without_rows(tmp_path):
    table = table_of(LabelledImage(np.zeros((2, 3, *HW), np.uint8)), tmp_path)
    assert (table.columns.tolist(), len(table)) == (["label", "t"], 0)

"""What is measured of objects is what their pixels are."""

import numpy as np
import pytest
from tests.drawn_candidates import HW, candidates_of, disc, random_discs, rectangle

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.measurements import INDEX, measurements, region_table


def test_a_row_for_each_object_with_its_scores():
    candidates = random_discs(0)
    existing = disc(60, 80, 25) * 5
    found = labels_from_candidates(candidates, existing=existing)
    table = measurements(found, candidates)
    assert table[INDEX].tolist() == sorted(found.ids[found.ids > 0].tolist())
    assert 5 not in table[INDEX].tolist()
    for row in table.itertuples():
        own = int(np.flatnonzero(found.ids == row.index)[0])
        assert row.area == found.areas[own] == (found.labels == row.index).sum()
        assert row.iou_prediction == candidates.iou_predictions[own]
        assert row.stability_score == candidates.stability_scores[own]
    assert not table.isna().any().any()


def test_lengths_follow_the_size_of_a_pixel_and_boxes_do_not():
    labels = rectangle(10, 20, 8, 30).astype(np.uint8)
    pixels, microns = region_table(labels), region_table(labels, spacing=(0.5, 0.5))
    assert pixels["area"][0] == 240
    assert microns["area"][0] == pytest.approx(60)
    assert microns["perimeter"][0] == pytest.approx(pixels["perimeter"][0] / 2)
    assert microns["centroid-0"][0] == pytest.approx(13.5 / 2)
    assert microns["bbox-3"][0] == pixels["bbox-3"][0] == 50
    oblong = region_table(labels, spacing=(2, 1))
    assert oblong["area"][0] == 480
    assert "perimeter" not in oblong


def test_intensities_are_those_of_the_image():
    labels = rectangle(10, 20, 8, 30).astype(np.uint8)
    grey = np.arange(HW[0] * HW[1], dtype=np.uint16).reshape(HW)
    table = region_table(labels, grey)
    assert table["intensity_mean"][0] == pytest.approx(grey[labels > 0].mean())
    rgb = np.stack([grey, grey + 1, grey + 2], axis=-1)
    assert region_table(labels, rgb)["intensity_max-2"][0] == grey[labels > 0].max() + 2
    with pytest.raises(InputError, match="shape 120 x 160 of the labels"):
        region_table(labels, grey[:50])


def test_napari_takes_it_as_features():
    from napari.layers import Labels

    candidates = candidates_of([disc(30, 30, 9), disc(80, 90, 12)], [0.9, 0.8])
    found = labels_from_candidates(candidates)
    layer = Labels(found.labels, features=measurements(found, candidates))
    assert layer.features["area"].tolist() == found.areas.tolist()
    assert any("area" in text for text in [layer.get_status((80, 90))["coordinates"]])


def test_no_objects_give_no_rows():
    assert len(region_table(np.zeros(HW, np.uint8))) == 0

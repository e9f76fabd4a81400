"""COCO and GeoJSON, read back."""

import json

import numpy as np
import pandas as pd
import pytest
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from tests.export.scenes import (
    CORNER,
    DOT,
    FEATURES,
    HW,
    RING,
    TWINS,
    everything,
    masks_of,
    rasterised,
    stack_of_planes,
    tricky,
    tricky_plane,
)

from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.core.parameters import ExportParameters
from napari_sam2_openvino.export.coco import write_coco
from napari_sam2_openvino.export.geojson import write_geojson

FORMS = ("rle", "polygons")


def coco_of(labelled, folder, form="rle"):
    path = folder / "objécts.json"
    everything(write_coco(labelled, path, ExportParameters(segmentation=form)))
    return COCO(str(path))


def geojson_of(labelled, folder):
    path = folder / "objécts.geojson"
    everything(write_geojson(labelled, path))
    return json.loads(path.read_text(encoding="utf-8"))["features"]


@pytest.mark.parametrize("form", FORMS)
def test_pycocotools_reads_the_very_same_masks(form, tmp_path):
    coco = coco_of(tricky(name="cells"), tmp_path, form)
    assert coco.loadImgs(1) == [{"id": 1, "file_name": "cells.png", "width": 50, "height": 40}]
    masks = masks_of(tricky_plane())
    annotations = coco.loadAnns(coco.getAnnIds())
    assert [each["attributes"]["label"] for each in annotations] == list(masks)
    for annotation, mask in zip(annotations, masks.values(), strict=True):
        assert np.array_equal(coco.annToMask(annotation), mask)
        assert annotation["area"] == mask.sum()
        found = coco_masks.toBbox(coco.annToRLE(annotation))
        assert annotation["bbox"] == found.tolist()
        assert annotation["iscrowd"] == 0


def test_each_plane_of_a_stack_is_an_image(tmp_path):
    labels = stack_of_planes()
    coco = coco_of(LabelledImage(labels, "TZYX", name="cells"), tmp_path)
    assert len(coco.imgs) == 6
    assert coco.imgs[2]["file_name"] == "cells_t0000_z0001.png"
    for image in coco.imgs.values():
        plane = labels[image["t"], image["z"]]
        annotations = coco.loadAnns(coco.getAnnIds(image["id"]))
        found = {each["attributes"]["label"]: coco.annToMask(each) for each in annotations}
        assert found.keys() == masks_of(plane).keys()
        assert all(np.array_equal(found[obj_id], plane == obj_id) for obj_id in found)


def test_classes_become_categories_and_features_attributes(tmp_path):
    coco = coco_of(tricky(features=FEATURES), tmp_path)
    names = {each["id"]: each["name"] for each in coco.loadCats(coco.getCatIds())}
    found = {each["attributes"]["label"]: each for each in coco.anns.values()}
    assert sorted(names.values()) == ["débris", "never seen", "nucleus", "object"]
    assert names[found[CORNER]["category_id"]] == "nucleus"
    assert names[found[TWINS]["category_id"]] == names[found[DOT]["category_id"]] == "object"
    about = {"label": CORNER, "predicted_iou": 0.91, "comment": "fine", "checked": True}
    assert found[CORNER]["attributes"] == about
    assert "predicted_iou" not in found[RING]["attributes"]
    assert found[DOT]["attributes"] == {"label": DOT}


def test_each_time_point_has_its_own_figures(tmp_path):
    labels = np.zeros((2, 2, 8, 8), np.uint8)
    labels[..., 2:5, 2:5] = 3
    rows = pd.DataFrame({"index": 3, "t": [1, 0], "class_name": ["b", "a"], "size": [20, 10]})
    labelled = LabelledImage(labels, "TZYX", features=rows)
    coco = coco_of(labelled, tmp_path)
    names = {each["id"]: each["name"] for each in coco.dataset["categories"]}
    found = [
        (names[each["category_id"]], each["attributes"]) for each in coco.dataset["annotations"]
    ]
    wanted = [("a", 10), ("a", 10), ("b", 20), ("b", 20)]
    assert found == [(name, {"label": 3, "size": size}) for name, size in wanted]
    properties = [each["properties"] for each in geojson_of(labelled, tmp_path)]
    found = [(each["classification"]["name"], each["measurements"]["size"]) for each in properties]
    assert found == wanted


def test_a_feature_that_is_called_label_does_not_take_the_place_of_the_label(tmp_path):
    features = FEATURES.assign(label="of the table")
    coco = coco_of(tricky(features=features), tmp_path)
    labels = {each["attributes"]["label"] for each in coco.anns.values()}
    assert labels == set(masks_of(tricky_plane()))


def test_labels_without_objects_are_files_without_objects(tmp_path):
    empty = LabelledImage(np.zeros((3, *HW), np.uint8))
    coco = coco_of(empty, tmp_path)
    assert (len(coco.imgs), len(coco.anns)) == (3, 0)
    assert geojson_of(empty, tmp_path) == []


def polygons_in(geometry):
    is_one = geometry["type"] == "Polygon"
    return [geometry["coordinates"]] if is_one else geometry["coordinates"]


def test_polygons_of_geojson_are_the_masks_and_closed(tmp_path):
    masks = masks_of(tricky_plane())
    features = geojson_of(tricky(), tmp_path)
    assert [int(each["properties"]["name"]) for each in features] == list(masks)
    for feature, mask in zip(features, masks.values(), strict=True):
        polygons = polygons_in(feature["geometry"])
        assert feature["geometry"]["type"] in ("Polygon", "MultiPolygon")
        assert (len(polygons) > 1) == (feature["geometry"]["type"] == "MultiPolygon")
        assert all(ring[0] == ring[-1] for rings in polygons for ring in rings)
        rings = [ring[:-1] for rings in polygons for ring in rings]
        assert np.array_equal(rasterised(rings), mask)
        assert "plane" not in feature["geometry"]
    by_name = {each["properties"]["name"]: each["geometry"] for each in features}
    assert len(by_name[str(RING)]["coordinates"]) == 3
    assert len(by_name[str(TWINS)]["coordinates"]) == 2


def test_coordinates_count_from_the_corner_of_the_first_pixel(tmp_path):
    """The pixel at row 0, column 20 reaches from (20, 0) to (21, 1): no half pixels."""
    features = {each["properties"]["name"]: each for each in geojson_of(tricky(), tmp_path)}
    (ring,) = features[str(DOT)]["geometry"]["coordinates"]
    assert sorted(map(tuple, ring[:-1])) == [(20, 0), (20, 1), (21, 0), (21, 1)]
    corners = np.array(features[str(CORNER)]["geometry"]["coordinates"][0])
    assert (corners.min(axis=0).tolist(), corners.max(axis=0).tolist()) == ([0, 0], [9, 6])


def test_geojson_tells_class_measurements_and_plane_as_qupath_does(tmp_path):
    labelled = LabelledImage(stack_of_planes(), "TZYX", features=FEATURES)
    features = geojson_of(labelled, tmp_path)
    assert len({each["id"] for each in features}) == len(features)
    rings = [each for each in features if each["properties"]["name"] == str(RING)]
    planes = [each["geometry"]["plane"] for each in rings]
    assert [(each["t"], each["z"], each["c"]) for each in planes] == [
        (0, 0, -1),
        (0, 1, -1),
        (1, 2, -1),
    ]
    properties = rings[0]["properties"]
    assert properties["objectType"] == "annotation"
    assert properties["classification"]["name"] == "débris"
    assert len(properties["classification"]["color"]) == 3
    corner = next(each for each in features if each["properties"]["name"] == str(CORNER))
    assert corner["properties"]["measurements"] == {"predicted_iou": 0.91, "checked": 1.0}
    assert corner["properties"]["metadata"] == {"comment": "fine"}
    assert "classification" not in features[1]["properties"]

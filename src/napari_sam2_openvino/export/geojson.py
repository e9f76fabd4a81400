"""GeoJSON as QuPath reads it: a collection of features, one for each object of a plane.

Coordinates are (x, y) in pixels at full resolution, counted from the upper left corner of the
image: the pixel in row r and column c covers x from c to c + 1 and y from r to r + 1. That is
QuPath's own rule (its documentation, "Exporting annotations"). napari's coordinates are those of
centres of pixels, half a pixel less.
"""

import uuid
from collections.abc import Generator
from pathlib import Path

from napari_sam2_openvino._files.replacing import replacing
from napari_sam2_openvino.core.labelled_image import LabelledImage, PlacedObject
from napari_sam2_openvino.core.object_features import ObjectFeatures
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.export.coco import write_items
from napari_sam2_openvino.export.colours import colour_of
from napari_sam2_openvino.export.outlines import Polygon, Ring, polygons_of


def write_geojson(labelled: LabelledImage, path: Path) -> Generator[Progress, None, None]:
    """Write outlines of objects as GeoJSON, one at a time.

    An object in several pieces is a MultiPolygon, a hole is a hole. Its class is its
    ``classification``, numbers of the features its ``measurements``, other features its
    ``metadata``, and its label its name. On a stack each plane of an object is a feature with
    QuPath's ``plane`` (z and t, from 0).

    Parameters
    ----------
    labelled : LabelledImage
    path : Path
        A GeoJSON file, which is replaced.

    Raises
    ------
    InputError
        If the labels cannot be read or the file cannot be written.
    """
    about = labelled.features_by_label()
    names = about.class_names()
    with replacing(path, "The objects") as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        is_first = True
        for progress, objects in labelled.objects("Writing objects"):
            features = [_feature(each, labelled, about, names) for each in objects]
            write_items(file, features, is_first=is_first)
            is_first = is_first and not features
            yield progress
        file.write("\n]}\n")


def _feature(
    placed: PlacedObject, labelled: LabelledImage, about: ObjectFeatures, class_names: list[str]
) -> dict[str, object]:
    indices = labelled.indices(placed.place)
    attributes = about.attributes(placed.obj_id, indices)
    texts = {name: value for name, value in attributes.items() if isinstance(value, str)}
    properties: dict[str, object] = {
        "objectType": "annotation",
        "name": str(placed.obj_id),
        "measurements": {
            name: float(value) for name, value in attributes.items() if not isinstance(value, str)
        },
    }
    if class_name := about.class_name(placed.obj_id, indices):
        colour = colour_of(class_names.index(class_name) + 1)
        properties["classification"] = {"name": class_name, "color": list(colour)}
    if texts:
        properties["metadata"] = texts
    return {
        "type": "Feature",
        "id": str(
            uuid.uuid5(uuid.NAMESPACE_OID, f"{labelled.name} {placed.place} {placed.obj_id}")
        ),
        "geometry": _geometry(placed, labelled),
        "properties": properties,
    }


def _geometry(placed: PlacedObject, labelled: LabelledImage) -> dict[str, object]:
    polygons = [_rings(polygon) for polygon in polygons_of(placed.cut)]
    is_one = len(polygons) == 1
    geometry: dict[str, object] = {
        "type": "Polygon" if is_one else "MultiPolygon",
        "coordinates": polygons[0] if is_one else polygons,
    }
    if labelled.lead:
        channel, z, t = (labelled.position(placed.place, axis) for axis in "CZT")
        # QuPath's -1 is all channels.
        geometry["plane"] = {"c": -1 if channel is None else channel, "z": z or 0, "t": t or 0}
    return geometry


def _rings(polygon: Polygon) -> list[list[list[int]]]:
    return [_closed(ring) for ring in (polygon.exterior, *polygon.holes)]


def _closed(ring: Ring) -> list[list[int]]:
    corners: list[list[int]] = ring.tolist()
    return [*corners, corners[0]]

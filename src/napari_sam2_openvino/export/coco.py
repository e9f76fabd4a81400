"""COCO JSON: one image for each plane, one annotation for each object of it.

The form of https://cocodataset.org/#format-data. Pixels are counted from 0 and polygons run along
the edges of pixels, so that pycocotools makes the very same masks of them.
"""

import json
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TextIO

from napari_sam2_openvino._files.replacing import replacing
from napari_sam2_openvino.core.labelled_image import LabelledImage, PlacedObject
from napari_sam2_openvino.core.object_features import ObjectFeatures
from napari_sam2_openvino.core.parameters import ExportParameters
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.rle import MaskRuns, compressed_counts
from napari_sam2_openvino.export.outlines import polygons_without_holes

NO_CLASS = "object"
"""Category of objects that have no class."""


def write_coco(
    labelled: LabelledImage, path: Path, parameters: ExportParameters | None = None
) -> Generator[Progress, None, None]:
    """Write objects as COCO JSON, one at a time.

    Each plane of a stack is an image; its index is part of the name and stands beside it, such as
    ``"z": 3``. ``attributes`` of an annotation hold the label and the features of the object.
    Run lengths are exact for any object; polygons know no holes in COCO, so an object with holes is
    cut into several polygons, which together are exact as well.

    Parameters
    ----------
    labelled : LabelledImage
    path : Path
        A JSON file, which is replaced.
    parameters : ExportParameters, optional
        ``segmentation`` says in which form the masks are.

    Raises
    ------
    InputError
        If the labels cannot be read or the file cannot be written.
    """
    parameters = ExportParameters() if parameters is None else parameters
    features = labelled.features_by_label()
    categories = {name: number for number, name in enumerate(_categories(features), start=1)}
    images = {place: number for number, place in enumerate(labelled.places(), start=1)}
    with replacing(path, "The objects") as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{\n"info": {"description": ' + json.dumps(labelled.name) + "},\n")
        file.write('"licenses": [],\n"categories": ')
        json.dump([{"id": each, "name": name} for name, each in categories.items()], file)
        file.write(',\n"images": [')
        write_items(file, (_image(labelled, place, number) for place, number in images.items()))
        file.write('],\n"annotations": [')
        count = 0
        for progress, objects in labelled.objects("Writing objects"):
            annotations = (
                {
                    "id": number,
                    "image_id": images[each.place],
                    "category_id": categories[_class_of(each, labelled, features)],
                    **_annotation(each, labelled, features, parameters),
                }
                for number, each in enumerate(objects, start=count + 1)
            )
            write_items(file, annotations, is_first=count == 0)
            count += len(objects)
            yield progress
        file.write("]\n}\n")


def write_items(file: TextIO, items: Iterable[object], *, is_first: bool = True) -> None:
    """Write items of a JSON array, a line for each."""
    for item in items:
        file.write("\n" if is_first else ",\n")
        json.dump(item, file, ensure_ascii=False, allow_nan=False)
        is_first = False


def _categories(features: ObjectFeatures) -> list[str]:
    names = features.class_names()
    return names if NO_CLASS in names else [*names, NO_CLASS]


def _class_of(placed: PlacedObject, labelled: LabelledImage, features: ObjectFeatures) -> str:
    return features.class_name(placed.obj_id, labelled.indices(placed.place)) or NO_CLASS


def _image(labelled: LabelledImage, place: tuple[int, ...], number: int) -> dict[str, object]:
    indices = labelled.indices(place)
    suffix = "".join(f"_{axis}{index:04d}" for axis, index in indices.items())
    height, width = labelled.hw
    file_name = f"{labelled.name}{suffix}.png"
    return {"id": number, "file_name": file_name, "width": width, "height": height, **indices}


def _annotation(
    placed: PlacedObject,
    labelled: LabelledImage,
    features: ObjectFeatures,
    parameters: ExportParameters,
) -> dict[str, object]:
    runs = MaskRuns.from_mask(placed.cut.mask, placed.cut.origin)
    x0, y0, x1, y1 = runs.box
    segmentation: object
    if parameters.segmentation == "polygons":
        polygons = polygons_without_holes(placed.cut)
        segmentation = [polygon.exterior.ravel().tolist() for polygon in polygons]
    else:
        counts = compressed_counts(runs.plane_counts(labelled.hw))
        segmentation = {"size": list(labelled.hw), "counts": counts}
    attributes = features.attributes(placed.obj_id, labelled.indices(placed.place))
    return {
        "segmentation": segmentation,
        "area": runs.area,
        "bbox": [x0, y0, x1 - x0 + 1, y1 - y0 + 1],
        "iscrowd": 0,
        "attributes": {**attributes, "label": placed.obj_id},
    }

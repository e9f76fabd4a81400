"""ImageJ's ROI sets: a zip with one ROI for each object of a plane.

Vertices lie on the corners of pixels, as those that ImageJ's wand makes, so that areas and masks
are exact.
"""

import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2_openvino._files.replacing import replacing
from napari_sam2_openvino.core.errors import MissingExtraError
from napari_sam2_openvino.core.labelled_image import LabelledImage, PlacedObject
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.export.outlines import Polygon, polygons_of

if TYPE_CHECKING:
    from roifile import ImagejRoi

# Operations of java.awt.geom.PathIterator.
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0
# What fits into the byte of a ROI's group.
_MOST_GROUPS = 255


def write_imagej(labelled: LabelledImage, path: Path) -> Generator[Progress, None, None]:
    """Write objects as ROIs into a zip that ImageJ's ROI manager opens, one at a time.

    An object in one piece is a polygon; one with holes or in several pieces is a composite. Each is
    placed at its slice and frame, named by its plane and label, and in the group of its class.

    Parameters
    ----------
    labelled : LabelledImage
    path : Path
        A zip file, which is replaced.

    Raises
    ------
    MissingExtraError
        If the package roifile is not installed.
    InputError
        If the labels cannot be read or the file cannot be written.
    """
    check_roifile()
    features = labelled.features_by_label()
    groups = {name: number for number, name in enumerate(features.class_names(), start=1)}
    with (
        replacing(path, "The objects") as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for progress, objects in labelled.objects("Writing objects"):
            for each in objects:
                class_name = features.class_name(each.obj_id, labelled.indices(each.place))
                roi = _roi(each, labelled)
                if class_name:
                    roi.properties = {"class": class_name}
                    roi.group = min(groups[class_name], _MOST_GROUPS)
                archive.writestr(f"{roi.name}.roi", roi.tobytes())
            yield progress


def check_roifile() -> None:
    """Raise MissingExtraError if ROIs cannot be written."""
    try:
        import roifile  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "Writing ImageJ ROIs needs the package roifile: run "
            '`pip install "napari-sam2-openvino[export]"`.'
        ) from error


def _roi(placed: PlacedObject, labelled: LabelledImage) -> "ImagejRoi":
    from roifile import ROI_TYPE, ImagejRoi

    polygons = polygons_of(placed.cut)
    if len(polygons) == 1 and not polygons[0].holes:
        roi = ImagejRoi.frompoints(polygons[0].exterior)
        roi.roitype = ROI_TYPE.TRACED
    else:
        roi = _composite(placed, polygons)
    indices = dict(zip(labelled.lead.lower(), placed.place, strict=True))
    parts = [f"{axis}{index + 1:04d}" for axis, index in indices.items()]
    roi.name = "-".join([*parts, f"{placed.obj_id:05d}"])
    if len(indices) == 1:
        # A stack with one axis is counted through, whatever the axis is.
        roi.position = placed.place[0] + 1
    else:
        # 0 stands for all.
        positions = [indices.get(axis, -1) + 1 for axis in "czt"]
        roi.c_position, roi.z_position, roi.t_position = positions
    return roi


def _composite(placed: PlacedObject, polygons: tuple[Polygon, ...]) -> "ImagejRoi":
    from roifile import ROI_TYPE, ImagejRoi

    path: list[float] = []
    for polygon in polygons:
        for ring in (polygon.exterior, *polygon.holes):
            for number, (x, y) in enumerate(ring.tolist()):
                path += [_LINE if number else _MOVE, x, y]
            path.append(_CLOSE)
    roi = ImagejRoi()
    roi.roitype = ROI_TYPE.RECT
    roi.multi_coordinates = np.array(path, np.float32)
    roi.shape_roi_size = len(path)
    (roi.top, roi.left), (height, width) = placed.cut.origin, placed.cut.mask.shape
    roi.bottom, roi.right = roi.top + height, roi.left + width
    return roi

"""What File > Save offers for Labels layers, beside napari's own formats."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_sam2_openvino.export import export_labels
from napari_sam2_openvino.export.from_layer import labelled_of_layer


def save_coco(path: str, data: Any, about: Mapping[str, Any]) -> list[str]:
    """Write a Labels layer as COCO JSON."""
    return _save("coco", path, data, about)


def save_geojson(path: str, data: Any, about: Mapping[str, Any]) -> list[str]:
    """Write a Labels layer as GeoJSON for QuPath."""
    return _save("geojson", path, data, about)


def save_imagej(path: str, data: Any, about: Mapping[str, Any]) -> list[str]:
    """Write a Labels layer as ImageJ ROIs."""
    return _save("imagej", path, data, about)


def save_csv(path: str, data: Any, about: Mapping[str, Any]) -> list[str]:
    """Write measurements of a Labels layer."""
    return _save("csv", path, data, about)


def _save(name: str, path: str, data: Any, about: Mapping[str, Any]) -> list[str]:
    # napari has asked whether what is there may go.
    export_labels(labelled_of_layer(data, about), Path(path), name, overwrite=True)
    return [path]

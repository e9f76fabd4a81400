"""Layers that show what a batch makes: labels that grow, and one plane that was tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam2_openvino._files.images import ImageFile, open_image
from napari_sam2_openvino._files.labels_store import LabelsStore
from napari_sam2_openvino._layers.planes import affine_matrix
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.batch.own_files import is_growing
from napari_sam2_openvino.core.errors import Sam2Error

# Labels in other files are read whole.
_MOST_BYTES = 2 * 10**9
_TRIAL = "SAM 2 Batch, one plane"


class BatchResults:
    """Opens labels while they are made, in the worker, and keeps what is shown of them fresh.

    Parameters
    ----------
    viewer : Viewer
    worker : ComputeWorker
        Opens files.
    """

    def __init__(self, viewer: Any, worker: ComputeWorker) -> None:
        self._viewer = viewer
        self._worker = worker
        self._images: dict[Path, tuple[StackImage, Image] | None] = {}
        self._layers: dict[Path, Labels] = {}
        self._is_asking = False
        self._trial: Labels | None = None

    def begin(
        self,
        outputs: Sequence[tuple[StackImage | None, Path]],
        layers: Sequence[Image],
        *,
        anew: bool,
    ) -> None:
        """Say which labels are going to be made.

        Parameters
        ----------
        outputs : sequence of (StackImage or None, Path)
            The labels, with their image where it is a layer.
        layers : sequence of Image
            These layers, in the same order; none where files are segmented.
        anew : bool
            Whether labels of the same names are replaced; layers that show them go then. Otherwise
            they stay, and show what is added.
        """
        found = [*layers, *[None] * (len(outputs) - len(layers))]
        self._images = {
            path: None if image is None or layer is None else (image, layer)
            for (image, path), layer in zip(outputs, found, strict=True)
        }
        for path, layer in list(self._layers.items()):
            is_there = layer in self._viewer.layers
            if path in self._images and is_there and anew:
                self._viewer.layers.remove(layer)
            if path not in self._images or not is_there or anew:
                del self._layers[path]

    def follow(self) -> None:
        """Show the labels that are there by now, and what is new of those that are shown."""
        for layer in self._layers.values():
            if layer in self._viewer.layers:
                layer.refresh()
        waiting = [path for path in self._images if path not in self._layers]
        growing = [path for path in waiting if is_growing(path)]
        if growing and not self._is_asking:
            self._is_asking = True
            self._worker(partial(_open_first, growing), self._on_opened, self._on_error)

    def finish(self) -> None:
        """Show what is there in the end; of files that do not grow the only one."""
        self.follow()
        others = [path for path in self._images if not is_growing(path)]
        if len(others) == len(self._images) == 1:
            self._worker(partial(_read_whole, others[0]), self._on_opened, self._on_error)

    def show_trial(
        self, image: StackImage, layer: Image | None, place: tuple[int, ...], labels: NDArray[Any]
    ) -> None:
        """Show the labels of one plane.

        Parameters
        ----------
        image : StackImage
        layer : Image, optional
            Where it is one; otherwise the plane is shown alone.
        place : tuple of int
            Of the plane along the axes of the labels, Y and X left out.
        labels : ndarray of unsigned integers, shape (H, W)
        """
        self.forget_trial()
        about = _placing(image, layer, place)
        shown = labels.reshape((1,) * len(place) + labels.shape) if layer is not None else labels
        self._trial = self._add(shown, name=_TRIAL, **about)

    def forget_trial(self) -> None:
        """Take away the plane that was tried."""
        if self._trial is not None and self._trial in self._viewer.layers:
            self._viewer.layers.remove(self._trial)
        self._trial = None

    def _on_opened(self, opened: "_Opened | None") -> None:
        self._is_asking = False
        if opened is None or opened.path in self._layers or opened.path not in self._images:
            return
        path, source = opened.path, self._images[opened.path]
        about = dict(opened.about)
        if source is not None:
            about = _lying(*source)
        self._layers[path] = self._add(opened.data, name=path.stem, **about)

    def _add(self, labels: Any, **options: Any) -> Labels:
        """Show labels; the layers that are selected may be the images, and stay selected."""
        layers = self._viewer.layers
        selected = set(layers.selection)
        layer: Labels = self._viewer.add_labels(labels, **options)
        layers.selection = selected
        return layer

    def _on_error(self, error: Exception) -> None:
        self._is_asking = False
        if not isinstance(error, Sam2Error):
            raise error


@dataclass(frozen=True, eq=False)
class _Opened:
    """Labels, and how their file says that they lie in the world."""

    path: Path
    data: Any
    about: Mapping[str, Any]


def _open_first(paths: Sequence[Path]) -> _Opened | None:
    """Open the first labels that are there."""
    for path in paths:
        if path.is_dir():
            with open_image(path) as file:
                return _Opened(path, LabelsStore(path).array, _said_by(file))
    return None


def _read_whole(path: Path) -> _Opened | None:
    """Read labels unless they are too large for memory, or not there."""
    if not path.exists():
        return None
    with open_image(path) as file:
        labels = file.levels[0]
        if prod(labels.shape) * np.dtype(labels.dtype).itemsize > _MOST_BYTES:
            return None
        return _Opened(path, np.array(labels), _said_by(file))


def _said_by(file: ImageFile) -> dict[str, Any]:
    about: dict[str, Any] = {"axis_labels": tuple(file.axes.lower())} if file.axes else {}
    if file.scale:
        about["scale"] = file.scale
        about["units"] = tuple(unit or "pixel" for unit in file.units)
    return about


def _sizes(image: StackImage) -> dict[str, Any]:
    """Return how a layer with the labels of an image lies in the world."""
    letters = image.axes.labels_letters
    about: dict[str, Any] = {"axis_labels": tuple(letters.lower())}
    if image.scale:
        about["scale"] = image.scale
    if image.units:
        about["units"] = tuple(unit or "pixel" for unit in image.units)
    return about


def _placing(image: StackImage, layer: Image | None, place: tuple[int, ...]) -> dict[str, Any]:
    if layer is None:
        about = _sizes(image)
        return {
            name: about[name][-2:] for name in ("scale", "units", "axis_labels") if name in about
        }
    about = _lying(image, layer)
    scale = np.array(about.get("scale", (1.0,) * (len(place) + 2)))
    return {**about, "translate": about["translate"] + scale * np.array((*place, 0, 0))}


def _lying(image: StackImage, layer: Image) -> dict[str, Any]:
    """Return how a layer with the labels of a layer lies in the world: as that one does."""
    about, letters = _sizes(image), image.axes.letters
    axes = [letters.index(each) for each in image.axes.labels_letters]
    # Labels have Y before X; where the layer has not, they are shown as it is.
    shown = [*axes[:-2], *sorted(axes[-2:])]
    plain = np.diag([*about.get("scale", (1.0,) * len(axes)), 1.0])
    plain[:-1, -1] = translate = layer.translate[axes]
    matrix = affine_matrix(layer)[np.ix_([*shown, -1], [*axes, -1])]
    # What scale and translate do not say: rotation, shear and further ones.
    return {**about, "translate": translate, "affine": matrix @ np.linalg.inv(plain)}

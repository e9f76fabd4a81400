"""Which images a model is quantized with, or compared on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QHBoxLayout, QPushButton, QWidget

from napari_sam2_openvino._layers.planes import image_data, image_shape
from napari_sam2_openvino._layers.preview import is_preview
from napari_sam2_openvino.batch.axes import Axes
from napari_sam2_openvino.batch.images import StackImage, stack_image
from napari_sam2_openvino.batch.inputs import find_images
from napari_sam2_openvino.batch.samples import LabelledStack, SampledPlane, sample_planes
from napari_sam2_openvino.core.errors import InputError

Samples = Callable[[int, int], Iterator[SampledPlane]]
"""Reads at most so many planes for a model of an image size, in a worker."""

_ALL = "all open images"
_SAMPLES = "sample data"
_GRID = "points of a grid and boxes"
_WIDTH = 10


class SampleChoice(QWidget):
    """Chooses open images, files of a folder or the sample data.

    Parameters
    ----------
    viewer : Viewer

    Signals
    -------
    changed : no argument
    """

    changed = QtSignal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._folder: Path | None = None
        self.images_combo = _narrow("Of the kind that you segment. Of stacks some planes are read.")
        self.folder_button = QPushButton("Folder …")
        self.labels_combo = _narrow(
            "What the report asks the models for: the objects of a Labels layer, which masks are "
            "then compared with too; or what a grid of points finds."
        )
        images = QHBoxLayout()
        images.addWidget(self.images_combo, 1)
        images.addWidget(self.folder_button)
        rows = QFormLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("Images", images)
        rows.addRow("Report asks for", self.labels_combo)
        self.reset_choices()
        self.folder_button.clicked.connect(self._ask_for_folder)
        self.images_combo.currentIndexChanged.connect(self._on_chosen)

    @property
    def has_labels(self) -> bool:
        """Whether objects are known of the images."""
        chosen = self.images_combo.currentData()
        return chosen == _SAMPLES or self.labels_combo.currentData() is not None

    def samples(self) -> Samples:
        """Return what reads the planes of what is chosen now; layers may change afterwards.

        Raises
        ------
        InputError
            If a layer cannot be used.
        """
        chosen = self.images_combo.currentData()
        if chosen == _SAMPLES:
            return lambda most, size: sample_planes(_sample_stacks(), most, size)
        if isinstance(chosen, Path):
            return partial(_of_folder, chosen)
        layers = [chosen] if isinstance(chosen, Image) else self._images()
        if not layers:
            raise InputError("There are no images: open some, or choose a folder.")
        labels = self.labels_combo.currentData()
        pixels = None if labels is None else image_data(labels)
        stacks = [stack_image(layer) for layer in layers]
        return partial(_of_stacks, [_labelled(stack, pixels) for stack in stacks])

    def reset_choices(self) -> None:
        """Read the viewer's layers anew; what is chosen stays."""
        layers = self._images()
        items: list[tuple[str, Any]] = [(layer.name, layer) for layer in layers]
        if len(layers) > 1:
            items.insert(0, (_ALL, _ALL))
        if self._folder is not None:
            items.append((self._folder.name or str(self._folder), self._folder))
        _refill(self.images_combo, [*items, (_SAMPLES, _SAMPLES)])
        self._on_chosen()

    def choose_folder(self, folder: Path) -> None:
        """Choose the images of a folder."""
        self._folder = folder
        self.reset_choices()
        self.images_combo.setCurrentIndex(self.images_combo.count() - 2)

    def _ask_for_folder(self) -> None:
        if chosen := QFileDialog.getExistingDirectory(self, "A folder of images"):
            self.choose_folder(Path(chosen))

    def _on_chosen(self) -> None:
        image = self.images_combo.currentData()
        fitting = [
            layer
            for layer in self._viewer.layers
            if isinstance(image, Image)
            and isinstance(layer, Labels)
            and not is_preview(layer)
            and image_shape(layer) == image_shape(image)
        ]
        nothing = "their ground truth" if image == _SAMPLES else _GRID
        _refill(self.labels_combo, [(nothing, None), *((each.name, each) for each in fitting)])
        self.labels_combo.setEnabled(bool(fitting))
        self.changed.emit()

    def _images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]


def _narrow(tip: str) -> QComboBox:
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(_WIDTH)
    return combo


def _refill(combo: QComboBox, items: Sequence[tuple[str, Any]]) -> None:
    """Offer other items; what is chosen stays, else the first one is."""
    chosen = combo.currentData()
    combo.blockSignals(True)
    combo.clear()
    for text, value in items:
        combo.addItem(text, value)
    kept = [
        number
        for number, (_, value) in enumerate(items)
        # Qt gives texts back as others that are equal; layers are compared by identity.
        if value is chosen or (isinstance(value, str) and value == chosen)
    ]
    combo.setCurrentIndex(kept[0] if kept else 0)
    combo.blockSignals(False)


@dataclass(frozen=True)
class _LayerLabels:
    """Labels with the axes of their image, indexed by those of its planes; read when asked for."""

    pixels: Any
    axes: Axes

    def __getitem__(self, index: tuple[int | slice, ...]) -> Any:
        places = dict(zip(self.axes.labels_letters, index, strict=True))
        # Planes have no channel: the objects are those at the first.
        letters = self.axes.letters.removesuffix("S")
        plane = self.pixels[tuple(places.get(letter, 0) for letter in letters)]
        return np.asarray(plane).T if self.axes.is_transposed else plane


def _labelled(image: StackImage, pixels: Any) -> LabelledStack:
    return LabelledStack(image, None if pixels is None else _LayerLabels(pixels, image.axes))


def _of_stacks(
    stacks: Sequence[LabelledStack], most: int, image_size: int
) -> Iterator[SampledPlane]:
    return sample_planes(stacks, most, image_size)


def _of_folder(folder: Path, most: int, image_size: int) -> Iterator[SampledPlane]:
    images, _ = find_images([folder])
    return sample_planes([LabelledStack(stack_image(path)) for path in images], most, image_size)


def _sample_stacks() -> list[LabelledStack]:
    from napari_sam2_openvino import _sample_data

    stacks = []
    for make in (_sample_data.nuclei, _sample_data.tissue, _sample_data.stack):
        (pixels, about, _), (labels, *_) = make()
        axes = "".join(about["axis_labels"]).upper() + ("S" if about["rgb"] else "")
        stacks.append(LabelledStack(stack_image(pixels, axes), labels))
    return stacks

"""What a batch is about: layers, files or a folder, and what their axes are taken for."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Image
from psygnal import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino.batch.images import StackImage, stack_image
from napari_sam2_openvino.batch.inputs import IMAGE_SUFFIXES
from napari_sam2_openvino.core.errors import InputError, Sam2Error

_SELECTED = "selected layers"
_NOTHING = "nothing yet"


class BatchInput(QWidget):
    """Chooses images, and shows their axes, which can be named.

    Parameters
    ----------
    viewer : Viewer
    worker : ComputeWorker
        Opens files.

    Signals
    -------
    changed : no argument
        Other images were chosen.
    """

    changed = Signal()

    def __init__(self, viewer: Any, worker: ComputeWorker) -> None:
        super().__init__()
        self._viewer = viewer
        self._worker = worker
        self._paths: tuple[Path, ...] = ()
        self._asked = 0
        self.described: StackImage | None = None
        """The first of the images, as its axes are named now; None until that is known."""
        self.image_combo = QComboBox()
        self.image_combo.setToolTip("Image layers, files, or all images of a folder.")
        self.image_combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.files_button = QPushButton("Files …")
        self.folder_button = QPushButton("Folder …")
        self.axes_edit = QLineEdit()
        self.axes_edit.setPlaceholderText("as the image says")
        self.axes_edit.setToolTip(
            "One letter for each axis: T time, C channels, Z, Y, X, and S for colours. Empty takes "
            "what the image says, or a guess."
        )
        self.axes_label = QLabel()
        self.axes_label.setWordWrap(True)
        self._lay_out()
        self.reset_choices()
        self.image_combo.currentIndexChanged.connect(self._on_chosen)
        self.files_button.clicked.connect(self._ask_for_files)
        self.folder_button.clicked.connect(self._ask_for_folder)
        self.axes_edit.editingFinished.connect(self.describe)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.files_button)
        buttons.addWidget(self.folder_button)
        rows = QFormLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow("Images", self.image_combo)
        rows.addRow("", buttons)
        rows.addRow("Axes", self.axes_edit)
        rows.addRow("", self.axes_label)

    @property
    def axes(self) -> str | None:
        """What the user says about the axes."""
        return self.axes_edit.text().strip() or None

    @property
    def layers(self) -> tuple[Image, ...]:
        """The layers that are chosen; none where files are."""
        chosen = self.image_combo.currentData()
        if chosen == _SELECTED:
            return tuple(_images(self._viewer.layers.selection))
        return (chosen,) if isinstance(chosen, Image) else ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders that are chosen; none where layers are."""
        return self._paths if self.image_combo.currentData() == self._paths else ()

    def images(self) -> list[StackImage]:
        """Describe the layers that are chosen; no pixels are read.

        Raises
        ------
        InputError
            If one cannot be segmented.
        """
        return [stack_image(layer, self.axes) for layer in self.layers]

    def first(self) -> StackImage:
        """Describe the first of the images; a layer as it is now.

        Raises
        ------
        InputError
            If there is none, or its axes are not known.
        """
        if layers := self.layers:
            return stack_image(layers[0], self.axes)
        if self.described is None or not self.paths:
            raise InputError("Choose an image whose axes are known first.")
        return self.described

    def reset_choices(self) -> None:
        """Read the viewer's layers anew; what is chosen stays."""
        chosen = self.image_combo.currentData()
        layers = list(_images(self._viewer.layers))
        self.image_combo.blockSignals(True)
        self.image_combo.clear()
        for layer in layers:
            self.image_combo.addItem(layer.name, layer)
        if len(layers) > 1:
            self.image_combo.addItem(_SELECTED, _SELECTED)
        if self._paths:
            self.image_combo.addItem(_names(self._paths), self._paths)
        if not self.image_combo.count():
            self.image_combo.addItem(_NOTHING, None)
        kept = [
            index
            for index in range(self.image_combo.count())
            if self.image_combo.itemData(index) == chosen
        ]
        self.image_combo.setCurrentIndex(kept[0] if kept and chosen is not None else 0)
        self.image_combo.blockSignals(False)
        if not kept or chosen is None:
            self._on_chosen()

    def choose_paths(self, paths: Sequence[Path]) -> None:
        """Choose files or folders."""
        self._paths = tuple(paths)
        self.reset_choices()
        # They are the last; by their name a layer could be found.
        self.image_combo.setCurrentIndex(self.image_combo.count() - 1)

    def _ask_for_files(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in IMAGE_SUFFIXES)
        chosen, _ = QFileDialog.getOpenFileNames(
            self, "Images to segment", "", f"Images ({patterns});;All files (*)"
        )
        if chosen:
            self.choose_paths([Path(each) for each in chosen])

    def _ask_for_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "A folder of images, or an OME-Zarr")
        if chosen:
            self.choose_paths([Path(chosen)])

    def _on_chosen(self) -> None:
        self.describe()
        self.changed.emit()

    def describe(self) -> None:
        """Find out what the axes of the first image are; files are opened in the worker."""
        self._asked += 1
        self.described = None
        layers, paths, axes = self.layers, self.paths, self.axes
        if layers:
            try:
                self._show(self._asked, (stack_image(layers[0], axes), ""))
            except InputError as error:
                self._on_error(self._asked, error)
        elif paths:
            self.axes_label.setText("Looking …")
            job = partial(_describe_first, paths, axes)
            asked = self._asked
            self._worker(job, partial(self._show, asked), partial(self._on_error, asked))
        else:
            self.axes_label.setText("Open an image, or choose files or a folder.")

    def _show(self, asked: int, found: tuple[StackImage, str]) -> None:
        if asked == self._asked:
            image, place = found
            self.described = image
            count = max(len(self.layers), 1)
            more = f" {count - 1} more are chosen." if count > 1 else ""
            about = f"{image.axes}; {place}" if place else str(image.axes)
            self.axes_label.setText(f"{image.axes.letters}: {about}.{more}")

    def _on_error(self, asked: int, error: Exception) -> None:
        if not isinstance(error, Sam2Error):
            raise error
        if asked == self._asked:
            self.axes_label.setText(str(error))


def _images(layers: Any) -> list[Image]:
    return [layer for layer in layers if isinstance(layer, Image)]


def _names(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{len(paths)} files"


def _describe_first(paths: Sequence[Path], axes: str | None) -> tuple[StackImage, str]:
    """Return the first image that opens, and which one of its file it is."""
    from napari_sam2_openvino._files.images import open_image
    from napari_sam2_openvino.batch.inputs import find_images

    images, _ = find_images(paths)
    problem: InputError | None = None
    for path in images:
        try:
            image = stack_image(path, axes)
            with open_image(path) as file:
                return image, file.place
        except InputError as error:
            problem = problem or error
    assert problem is not None
    raise problem

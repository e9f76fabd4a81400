"""Which models there are, kept up to date while folders change."""

from collections.abc import Sequence
from pathlib import Path

from psygnal import Signal
from qtpy.QtCore import QFileSystemWatcher, QTimer

from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino.core.errors import Sam2Error
from napari_sam2_openvino.core.models import ModelListing, list_models
from napari_sam2_openvino.core.paths import checkpoints_dir, models_dir
from napari_sam2_openvino.core.tunings import tunings_dir

# A model that is renamed, or several that are copied, are one change.
_SETTLE_MS = 200


class ModelListings:
    """Reads the list of models in a worker, and again when a model appears or goes.

    It does not matter who makes or removes one: this window, another one or the command line.

    Parameters
    ----------
    worker : ComputeWorker

    Signals
    -------
    changed : tuple of ModelListing
        Also where what was read is what was known.
    """

    changed = Signal(object)

    def __init__(self, worker: ComputeWorker) -> None:
        self._worker = worker
        self._is_closed = False
        self.value: tuple[ModelListing, ...] = ()
        self._watcher = QFileSystemWatcher()
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLE_MS)
        self._watcher.directoryChanged.connect(self._on_folder_changed)
        self._timer.timeout.connect(self.refresh)

    def refresh(self) -> None:
        """Read the list anew."""
        if not self._is_closed:
            self._watch()
            self._worker(list_models, self._on_read, _raise)

    def close(self) -> None:
        """Tell nothing more; harmless when called twice, and after the application is gone."""
        if self._is_closed:
            return
        self._is_closed = True
        self._timer.stop()
        if self._watcher.directories():
            self._watcher.removePaths(self._watcher.directories())

    def _watch(self) -> None:
        """Watch each folder, or what it will appear in."""
        wanted = {str(_nearest(each)) for each in (models_dir(), checkpoints_dir(), tunings_dir())}
        watched = set(self._watcher.directories())
        if stale := watched - wanted:
            self._watcher.removePaths(sorted(stale))
        if new := wanted - watched:
            self._watcher.addPaths(sorted(new))

    def _on_folder_changed(self, _path: str) -> None:
        if not self._is_closed:
            self._timer.start()

    def _on_read(self, listings: tuple[ModelListing, ...]) -> None:
        if not self._is_closed:
            self.value = listings
            self.changed.emit(listings)


def labelled(listings: Sequence[ModelListing]) -> list[tuple[str, str]]:
    """Return what to call each model that can be loaded, and its name."""
    return [
        (f"{each.name} (not advised)" if each.warning else each.name, each.name)
        for each in listings
        if each.is_ready
    ]


def say_gone(name: str, instead: str) -> str:
    """Say what becomes of a choice whose model was removed, or damaged."""
    return f"Model {name} is no longer there: {instead} is used from now on."


def _nearest(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _raise(error: Exception) -> None:
    if not isinstance(error, Sam2Error):
        raise error

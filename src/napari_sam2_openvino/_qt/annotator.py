"""What the "SAM 2 Segment" widget does, apart from how it looks."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_error
from napari.viewer import Viewer
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_sam2_openvino import _layers, _planes, _targets
from napari_sam2_openvino._engine import Engine, ObjectMask, Sam2Engine
from napari_sam2_openvino._qt import status
from napari_sam2_openvino._qt.committing import Committer
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.keys import KEY_CLEAR, KEY_COMMIT, KEY_POLARITY, Keys
from napari_sam2_openvino._qt.prompt_layers import PromptLayers
from napari_sam2_openvino._session import AnnotationSession, PlaneSource, State
from napari_sam2_openvino.core.errors import InputError, Sam2Error
from napari_sam2_openvino.core.types import PlaneIndex, Prompts

SETTLE_MS = 30

_DIMS_EVENTS = ("point", "order", "ndisplay", "ndim")


class Annotator:
    """Connects one viewer with one session. Lives in the main thread.

    Parameters
    ----------
    viewer : Viewer
    load_engine : callable, optional
        Makes an engine from a model's name.
    """

    status_changed = Signal(str)
    busy_changed = Signal(bool)
    polarity_changed = Signal(str)
    image_changed = Signal(object)
    target_changed = Signal(object)

    def __init__(self, viewer: Viewer, load_engine: Callable[[str], Engine] = Sam2Engine) -> None:
        self._viewer = viewer
        self.worker = ComputeWorker()
        self.session = AnnotationSession(self.worker, load_engine)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_settled)
        self._image: Image | None = None
        self._image_version = 0
        self._plane: PlaneIndex | None = None
        self._prompt_layers: list[PromptLayers] = []
        self._polarity = _layers.POSITIVE
        self._used: list[tuple[Any, list[int]]] = []
        self._last_sync = 0.0
        self._problem = ""
        self._last_error = ""
        self._closed = False
        self._committer = Committer(viewer, self.session, self._sync)
        self._keys = Keys(
            {
                KEY_POLARITY: self.toggle_polarity,
                KEY_COMMIT: self.commit,
                KEY_CLEAR: self.clear,
            }
        )
        self._connect()

    def _connect(self) -> None:
        self.session.state_changed.connect(self._on_state)
        self.session.object_changed.connect(self._on_object)
        self.session.failed.connect(self._report)
        for name in _DIMS_EVENTS:
            self._viewer.dims.events[name].connect(self._on_edit)
        self._viewer.layers.events.removed.connect(self._on_layer_removed)
        self._committer.target_changed.connect(self.target_changed)
        self._committer.status_changed.connect(self.status_changed)
        self._committer.scanning_changed.connect(self._show_busy)
        self._committer.committed.connect(self._on_committed)
        self._committer.failed.connect(self._report)
        self._keys.bind(self._viewer)

    @property
    def image(self) -> Image | None:
        """The image that is segmented."""
        return self._image

    @property
    def target(self) -> Labels | None:
        """The layer that masks are committed to; None for one that is still to be made."""
        return self._committer.target

    @property
    def polarity(self) -> str:
        """Whether the next point is positive or negative."""
        return self._polarity

    @property
    def prompt_layers(self) -> PromptLayers | None:
        """The layers of the image that is segmented."""
        return next((each for each in self._prompt_layers if each.image == self._image), None)

    def set_image(self, image: Image | None) -> None:
        """Choose the image to segment."""
        if self._closed or image == self._image:
            return
        if layers := self.prompt_layers:
            layers.show(None, None)
        self._connect_image(self._image, connect=False)
        self._image = image
        self._connect_image(image, connect=True)
        if image is not None and self.prompt_layers is None:
            layers = PromptLayers(self._viewer, image, self._on_edit, self._keys)
            self._prompt_layers.append(layers)
        if image is None or (self.target and _targets.fit_problem(self.target, image)):
            self.set_target(None)
        self.image_changed.emit(image)
        self._sync()

    def set_target(self, target: Labels | None) -> None:
        """Choose the layer that masks are committed to; None for a new one."""
        if not self._closed:
            self._committer.set_target(target)

    def draw_points(self) -> None:
        """Let the user click on the current object."""
        if layers := self._layers_or_hint():
            _layers.set_polarity(layers.draw_points(), self._polarity)

    def draw_box(self) -> None:
        """Let the user draw a box around the current object."""
        if layers := self._layers_or_hint():
            layers.draw_box()

    def set_polarity(self, value: str) -> None:
        """Make the next point positive or negative."""
        if self._closed:
            return
        layers = self.prompt_layers
        if layers is not None and layers.points is not None:
            _layers.set_polarity(layers.points, value)
        if value != self._polarity:
            self._polarity = value
            self.polarity_changed.emit(value)

    def toggle_polarity(self) -> None:
        """Make the next point negative if it was to be positive, and the other way round."""
        is_positive = self._polarity == _layers.POSITIVE
        self.set_polarity(_layers.NEGATIVE if is_positive else _layers.POSITIVE)

    def commit(self) -> None:
        """Write the current object into the target, if its mask is there."""
        if self._closed:
            return
        # A click that was not read yet is part of the object: its mask is what is committed.
        self._sync()
        answer = self.session.current_object
        if self.session.prompts.is_empty:
            self.status_changed.emit(status.NOTHING)
        elif answer is None and self.session.is_busy:
            self.status_changed.emit(status.WAIT)
        elif answer is None or self._image is None or self._plane is None or not answer.mask.size:
            self._show_status()
        else:
            self._last_error = ""
            self._committer.commit(self._image, self._plane, answer)

    def clear(self) -> None:
        """Remove the prompts of the current object."""
        if self._closed:
            return
        self._remove_used()
        self._used = self._prompts_in_view()
        self.set_polarity(_layers.POSITIVE)
        self._sync()

    def cancel(self) -> None:
        """Stop encoding, or looking for a free label; a model that is loading is dropped later."""
        if not self._closed:
            self._committer.cancel()
            self.session.cancel()

    def close(self) -> None:
        """Let go of everything; harmless if the viewer is gone, or when called twice."""
        if self._closed:
            return
        self._closed = True
        self.session.close()
        self.worker.close()
        self._committer.close()
        # The window may be half destroyed already.
        with suppress(RuntimeError):
            self._timer.stop()
            self._disconnect()

    def _disconnect(self) -> None:
        for name in _DIMS_EVENTS:
            self._viewer.dims.events[name].disconnect(self._on_edit)
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)
        self._connect_image(self._image, connect=False)
        for layers in self._prompt_layers:
            layers.close()
        self._keys.release(self._viewer)

    def _connect_image(self, image: Image | None, *, connect: bool) -> None:
        if image is None:
            return
        pairs = [("data", self._on_image_data)]
        pairs += [(name, self._on_image_moved) for name in _layers.SPATIAL]
        for name, callback in pairs:
            emitter = image.events[name]
            (emitter.connect if connect else emitter.disconnect)(callback)

    def _layers_or_hint(self) -> PromptLayers | None:
        if self._closed:
            return None
        if self.prompt_layers is None:
            self.status_changed.emit(status.NO_IMAGE)
        return self.prompt_layers

    def _on_edit(self, _event: Any = None) -> None:
        # At once, but no more often than every 30 ms: the first edit is answered without delay,
        # and while the user drags the answer follows.
        if not self._closed and not self._timer.isActive():
            passed = round((perf_counter() - self._last_sync) * 1000)
            self._timer.start(max(0, SETTLE_MS - passed))

    def _on_settled(self) -> None:
        if not self._closed:
            self._sync()

    def _on_image_data(self, _event: Any = None) -> None:
        self._image_version += 1
        self._on_edit()

    def _on_image_moved(self, _event: Any = None) -> None:
        if layers := self.prompt_layers:
            layers.follow_image()
            layers.show(self.session.current_object, self._plane)
        self._on_edit()

    def _on_layer_removed(self, event: Any) -> None:
        layer = event.value
        if layer == self.target:
            self.set_target(None)
        if layer == self._image:
            self.set_image(None)
        for layers in self._prompt_layers:
            layers.forget(layer)
            if layers.image == layer:
                # Not while napari is in the middle of removing a layer. Qt does not keep the owner
                # of a method alive, a partial does.
                QTimer.singleShot(0, partial(PromptLayers.close, layers))
        self._prompt_layers = [each for each in self._prompt_layers if each.image != layer]
        self._on_edit()

    def _prompts_in_view(self) -> list[tuple[Any, list[int]]]:
        layers = self.prompt_layers
        return [] if layers is None or self._plane is None else layers.on_plane(self._plane)

    def _remove_used(self) -> None:
        """Remove the prompts of an object that is done with."""
        used, self._used = self._used, []
        for layer, indices in used:
            # Not `layer.data = []`: it leaves a selection of points that are gone.
            layer.remove(indices)

    def _sync(self) -> None:
        """Tell the session what is chosen and drawn now."""
        self._remove_used()
        self._last_sync = perf_counter()
        before = self.session.generation
        problem = ""
        prompts = Prompts()
        try:
            self._plane = self._find_plane()
        except InputError as error:
            self._plane, problem = None, str(error)
        source = self._plane_source()
        try:
            if self._plane is not None and (layers := self.prompt_layers):
                prompts = layers.read(self._plane)
        except InputError as error:
            problem = str(error)
            self._notify(problem)
        self.session.request(source, prompts)
        self._read_polarity()
        is_new = self.session.generation != before
        if is_new or problem != self._problem:
            self._problem = problem
            self._show_status()

    def _find_plane(self) -> PlaneIndex | None:
        return None if self._image is None else _planes.plane_in_view(self._viewer, self._image)

    def _plane_source(self) -> PlaneSource | None:
        image, plane = self._image, self._plane
        if image is None or plane is None:
            return None
        data = _planes.image_data(image)
        key = (image.unique_id, self._image_version, plane)
        return PlaneSource(key, partial(_planes.read_plane, data, plane))

    def _read_polarity(self) -> None:
        layers = self.prompt_layers
        if layers is not None and layers.points is not None:
            # napari takes it from a point that is selected.
            value = _layers.polarity(layers.points)
            if value in _layers.SYMBOLS and value != self._polarity:
                self._polarity = value
                self.polarity_changed.emit(value)

    def _on_state(self, state: State) -> None:
        self._show_busy()
        if state is not State.DECODING:
            self._show_status()

    def _show_busy(self, _is_scanning: bool = False) -> None:
        is_slow = self.session.state in (State.LOADING, State.ENCODING)
        self.busy_changed.emit(is_slow or self._committer.is_scanning)

    def _show_status(self) -> None:
        if text := self._problem or status.describe(
            self.session, has_image=self._image is not None
        ):
            self.status_changed.emit(text)

    def _on_object(self, answer: ObjectMask | None) -> None:
        if layers := self.prompt_layers:
            layers.show(answer, self._plane)
        if answer is not None:
            self._last_error = ""

    def _on_committed(self) -> None:
        # napari takes a while to remove points: that is left to the next turn of the event loop.
        self._used = self._prompts_in_view()
        self.session.request(self.session.source, Prompts())
        self.set_polarity(_layers.POSITIVE)
        self._timer.start(0)

    def _report(self, error: Sam2Error) -> None:
        self._notify(str(error))
        self.status_changed.emit(str(error))

    def _notify(self, sentence: str) -> None:
        if sentence != self._last_error:
            self._last_error = sentence
            show_error(sentence)

"""Connects one viewer with one session: what is drawn goes in, outlines come out."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any

from napari.layers import Image, Labels
from napari.layers.base import ActionType
from napari.viewer import Viewer
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_sam2_openvino._layers import drawing, targets
from napari_sam2_openvino._qt.commit_requests import CommitRequests
from napari_sam2_openvino._qt.commits import Committed, DrawnCommit
from napari_sam2_openvino._qt.committing import Committer
from napari_sam2_openvino._qt.drafting import Drafting
from napari_sam2_openvino._qt.draftings import Draftings
from napari_sam2_openvino._qt.feedback import Feedback
from napari_sam2_openvino._qt.hovering import Hover
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.keys import Keys
from napari_sam2_openvino._qt.network_view import NetworkView, visible_part
from napari_sam2_openvino._qt.painter import Painter, outlines_of
from napari_sam2_openvino._qt.placing import Placing
from napari_sam2_openvino._qt.reading import Reading, read_view
from napari_sam2_openvino._session.annotation_session import AnnotationSession
from napari_sam2_openvino._session.engines import Engine
from napari_sam2_openvino._session.objects import HOVER
from napari_sam2_openvino.core.commit import CommitMode
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

SETTLE_MS = 30

# What napari says before a change, and at each move while something is dragged.
_UNFINISHED = (ActionType.ADDING, ActionType.CHANGING, ActionType.REMOVING)
_DIMS_EVENTS = ("point", "order", "ndisplay", "ndim")


class Annotator:
    """Keeps a session in step with the layers of a viewer. Lives in the main thread.

    Parameters
    ----------
    viewer : Viewer
    load_engine : callable
        Makes an engine from a model's name.
    embeddings : EmbeddingCache
    keys : Keys
        Bound to the viewer and to each layer of prompts.
    """

    leaving = Signal()
    """What is in use is still there, but is about to be let go of."""
    image_changed = Signal(object)
    target_changed = Signal(object)
    drafting_changed = Signal()
    """Another object, polarity or mode is what new prompts get."""
    objects_changed = Signal()
    """The objects of the plane in view, or their masks, are others."""
    plane_changed = Signal()
    options_changed = Signal(MaskOptions)
    preview_changed = Signal()
    """The preview is live or not, or under the pointer or not."""
    committed = Signal(Committed)

    def __init__(
        self,
        viewer: Viewer,
        load_engine: Callable[[str], Engine],
        embeddings: EmbeddingCache,
        keys: Keys,
    ) -> None:
        self.viewer = viewer
        self.worker = ComputeWorker()
        self.session = AnnotationSession(self.worker, load_engine, embeddings)
        self.feedback = Feedback(self.session, lambda: self.focus)
        self.view = NetworkView()
        self.painter = Painter()
        self._requests = CommitRequests(self)
        self.committer = Committer(viewer, self._requests.is_current)
        self.hover = Hover(viewer, self._on_edit)
        self.placing = Placing(self)
        self.is_live = True
        self.commit_mode: CommitMode = "keep existing"
        self._reading = Reading()
        self._keys = keys
        self._draftings = Draftings(viewer, self._on_edit, keys)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_settled)
        self._image: Image | None = None
        self._last_sync = 0.0
        self._is_edited = False
        self._closed = False
        self._connect()

    def _connect(self) -> None:
        self.session.answers_changed.connect(self._on_answers)
        self.session.failed.connect(self._requests.cancel)
        self.session.failed.connect(self.feedback.report)
        self.view.changed.connect(self._on_edit)
        for name in _DIMS_EVENTS:
            self.viewer.dims.events[name].connect(self._on_edit)
        self.viewer.layers.events.removed.connect(self._on_layer_removed)
        self.committer.target_changed.connect(self._on_target)
        self.committer.status_changed.connect(self.feedback.announce)
        self.committer.scanning_changed.connect(self.feedback.set_scanning)
        self.committer.committed.connect(self._on_committed)
        self.committer.failed.connect(self.feedback.report)
        self._keys.bind(self.viewer)

    @property
    def image(self) -> Image | None:
        """The image that is segmented."""
        return self._image

    @property
    def plane(self) -> PlaneIndex | None:
        """The plane of the image that is in view."""
        return self._reading.plane

    @property
    def drawn(self) -> Mapping[int, ObjectPrompts]:
        """What is drawn on the plane in view, by obj_id."""
        return self._reading.drawn

    @property
    def target(self) -> Labels | None:
        """The layer that masks are committed to; None for one that is still to be made."""
        return self.committer.target

    @property
    def is_closed(self) -> bool:
        """Whether it has let go of everything."""
        return self._closed

    @property
    def drafting(self) -> Drafting | None:
        """The objects in hand of the image that is segmented."""
        return self._draftings.of(self._image)

    @property
    def focus(self) -> int | None:
        """The object of the plane in view that verbs are about; None if there is none."""
        if (drafting := self.drafting) is not None:
            current = drafting.objects.current
            if current in self.drawn:
                return current
            if drafting.is_in_hand(current):
                # Of another plane: prompts here are its own, so that verbs are about no other.
                return None
        return max(self.drawn, default=None)

    def region_of(self, obj_id: int, plane: PlaneIndex, prompts: ObjectPrompts) -> Region | None:
        """Return where an object in hand was decoded; None if it was not, on the plane as it is."""
        answer = self.session.answer(obj_id) if plane == self.plane else None
        if answer is not None:
            return answer.region
        with suppress(InputError):
            # Of planes out of view.
            if found := self.session.region_of(self.view.source(plane), prompts):
                return found
        return None if self.drafting is None else self.drafting.objects.draft(obj_id, plane).region

    def set_image(self, image: Image | None) -> None:
        """Choose the image to segment."""
        if self._closed or image == self._image:
            return
        self.leaving.emit()
        if drafting := self.drafting:
            self.painter.show(drafting.layers, None, ())
        self._connect_image(self._image, connect=False)
        self._image = image
        self._connect_image(image, connect=True)
        self.view.set_image(image)
        if image is not None and self.drafting is None:
            drafting = self._draftings.make(image)
            drafting.changed.connect(self.sync)
            drafting.current_changed.connect(self._on_edit)
            drafting.current_changed.connect(self.drafting_changed)
        self.feedback.has_image = image is not None
        self.feedback.expire()
        target = self.target
        # One that is only hidden, say, is told of when it is written to.
        problem = target and image and targets.place_problem(target, image)
        if image is None or problem:
            self.set_target(None)
        self.image_changed.emit(image)
        self.drafting_changed.emit()
        self.sync()
        if problem:
            self.feedback.announce(f"{problem} Objects go into a new layer.")

    def set_target(self, target: Labels | None) -> None:
        """Choose the layer that masks are committed to; None for a new one."""
        if not self._closed and target != self.target:
            self.leaving.emit()
            self.committer.set_target(target)

    def set_options(self, options: MaskOptions) -> None:
        """Choose how masks are made; nothing is decoded for it."""
        if not self._closed and options != self.session.options:
            self.session.set_options(options)
            self.options_changed.emit(options)

    def set_commit_mode(self, mode: CommitMode) -> None:
        """Choose what happens to pixels of other objects."""
        self.commit_mode = mode

    def set_live(self, is_live: bool) -> None:
        """Let masks follow each edit, or wait until they are asked for."""
        if not self._closed:
            self.is_live = is_live
            self.preview_changed.emit()
            self.sync()

    def set_hover(self, is_on: bool) -> None:
        """Show what a click at the pointer would give, or not."""
        if not self._closed:
            self.hover.set_on(is_on)
            self.preview_changed.emit()

    def commit(self, obj_ids: list[int]) -> None:
        """Write some of the objects of the plane in view into the target."""
        self._requests.commit(obj_ids)

    def cancel(self) -> None:
        """Stop encoding, or looking for a free label; a model that is loading is dropped later."""
        if not self._closed:
            self._requests.cancel()
            self.committer.cancel()
            self.session.cancel()

    def close(self) -> None:
        """Let go of everything; harmless if the viewer is gone, or when called twice."""
        if self._closed:
            return
        self._closed = True
        with suppress(RuntimeError):
            self._leave_regions()
        self.session.close()
        self.worker.close()
        self.committer.close()
        self.painter.close()
        # The window may be half destroyed already.
        with suppress(RuntimeError):
            self._timer.stop()
            self._disconnect()

    def _leave_regions(self) -> None:
        """Let who goes on with the objects in hand decode them where they were."""
        if (drafting := self.drafting) is None:
            return
        for plane, own in list(drafting.planes()):
            found = {key: self.region_of(key, plane, prompts) for key, prompts in own.items()}
            known = {key: region for key, region in found.items() if region is not None}
            drafting.objects = drafting.objects.decoded_in(known, plane)

    def _disconnect(self) -> None:
        for name in _DIMS_EVENTS:
            self.viewer.dims.events[name].disconnect(self._on_edit)
        self.viewer.layers.events.removed.disconnect(self._on_layer_removed)
        self._connect_image(self._image, connect=False)
        self.view.close()
        self.hover.close()
        self.placing.end()
        self._draftings.close()
        self._keys.release(self.viewer)

    def _connect_image(self, image: Image | None, *, connect: bool) -> None:
        if image is None:
            return
        for name in drawing.SPATIAL:
            emitter = image.events[name]
            (emitter.connect if connect else emitter.disconnect)(self._on_image_moved)

    def _on_edit(self, event: Any = None) -> None:
        # What is dragged tells of its features at each move, of its data when it is let go.
        is_data = getattr(event, "type", "") == "data"
        self._is_edited |= is_data and getattr(event, "action", None) not in _UNFINISHED
        # At once, but no more often than every 30 ms: the first edit is answered without delay,
        # and while the user drags the answer follows.
        if not self._closed and not self._timer.isActive():
            passed = round((perf_counter() - self._last_sync) * 1000)
            self._timer.start(max(0, SETTLE_MS - passed))

    def _on_settled(self) -> None:
        if not self._closed:
            self.sync()

    def _on_image_moved(self, _event: Any = None) -> None:
        if drafting := self.drafting:
            drafting.layers.follow_image()
            self._show_outlines()
        self._on_edit()

    def _on_target(self, target: Labels | None) -> None:
        self._draftings.set_target(target)
        self.target_changed.emit(target)

    def _layers_in_use(self) -> list[Any]:
        layers = [self._image, self.target]
        if drafting := self.drafting:
            layers += [drafting.layers.points, drafting.layers.shapes]
        return [layer for layer in layers if layer is not None]

    def _on_layer_removed(self, event: Any) -> None:
        layer = event.value
        if layer in self._layers_in_use():
            self.leaving.emit()
        if layer == self.target:
            self.set_target(None)
        if layer == self._image:
            self.set_image(None)
        self.view.forget(layer)
        self._draftings.forget(layer)
        self._on_edit()

    def sync(self, *, show: bool = False) -> None:
        """Tell the session what is chosen and drawn now.

        Parameters
        ----------
        show : bool, optional
            Ask for masks also while the preview is not live.
        """
        if self._closed:
            return
        self._last_sync = perf_counter()
        before, old = self.session.generation, self._reading
        new = self._reading = read_view(self.viewer, self._image, self.view, self.drafting)
        is_asked = self.is_live or show or self._requests.is_waiting
        self.feedback.is_unasked = not is_asked and new.has_others(self.session.answers)
        if new.is_drawn_wrong:
            self.feedback.notify(new.problem)
        if not new.is_as(old):
            self.feedback.expire()
        self._request(new, is_asked=is_asked)
        self._record()
        if new.plane != old.plane:
            self.plane_changed.emit()
        if self.session.generation != before or new.problem != self.feedback.problem:
            self.feedback.problem = new.problem
            self._show_outlines()
            self.objects_changed.emit()
            self.feedback.show()
        elif not new.is_as(old):
            self.objects_changed.emit()
            self.feedback.show()
        self._requests.retry()

    def _request(self, reading: Reading, *, is_asked: bool) -> None:
        answers, objects = self.session.answers, dict(reading.drawn)
        if not is_asked:
            # Those whose masks are shown already stay.
            objects = {key: answers[key].prompts for key in objects if key in answers}
        image, plane, visible, regions = self._image, reading.plane, None, {}
        if image is not None and plane is not None and (drafting := self.drafting):
            visible, regions = visible_part(image, plane), reading.regions(drafting.objects)
            if (hovered := self.hover.prompts(image, plane)) is not None:
                objects[HOVER] = hovered
        self.session.request(
            reading.source, objects, focus=self.focus, view=visible, regions=regions
        )

    def _record(self) -> None:
        if self._is_edited and (drafting := self.drafting):
            self._is_edited = False
            drafting.record()

    def _on_answers(self, _changed: frozenset[int]) -> None:
        if self.session.answers:
            self.feedback.forget_error()
        self._show_outlines()
        self.objects_changed.emit()
        self.feedback.show()
        self._requests.retry()

    def _show_outlines(self) -> None:
        if (drafting := self.drafting) is None:
            return
        outlines = outlines_of(self.session.answers, self.focus)
        self.painter.show(drafting.layers, self.plane, outlines)

    def _on_committed(self, done: Committed) -> None:
        if isinstance(done.commit, DrawnCommit) and (drafting := self.drafting):
            drafting.done(done.commit.plane, done.new_ids)
        self.committed.emit(done)

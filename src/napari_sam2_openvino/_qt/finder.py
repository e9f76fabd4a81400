"""Keeps the search for every object, and what is shown of it, in step with viewer and layers."""

from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_sam2_openvino._layers import preview, targets
from napari_sam2_openvino._layers.label_parts import read_labels
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.commits import FoundCommit
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._session.object_search import Found, ObjectSearch, SearchJob
from napari_sam2_openvino._session.places import View
from napari_sam2_openvino._session.sifting import (
    FoundObject,
    Sifted,
    Sifter,
    Wish,
    objects_to_commit,
)
from napari_sam2_openvino.core.candidate_store import CandidateStore
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import Sam2Error
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters
from napari_sam2_openvino.core.types import PlaneIndex


class Finder:
    """What the tab "All objects" does. Lives in the main thread.

    Parameters
    ----------
    annotator : Annotator
    embeddings : EmbeddingCache
        Shared with prompts.
    """

    changed = Signal()
    """What is shown, or what can be done, is something else."""
    defaults_changed = Signal(AllObjectsParameters)
    """Another model recommends other parameters."""
    running_changed = Signal(bool)

    def __init__(self, annotator: Annotator, embeddings: EmbeddingCache) -> None:
        self._annotator = annotator
        self.search = ObjectSearch(annotator.worker, embeddings, CandidateStore())
        # Of its own: a slider never waits for the model.
        self._worker = ComputeWorker()
        self._sifter = Sifter(self._worker)
        self.parameters = AllObjectsParameters()
        self.found: Found | None = None
        """What was found on the plane in view."""
        self.sifted: Sifted | None = None
        """What is shown of it."""
        self._layers: dict[Any, Labels] = {}
        self._engine_key: str | None = None
        self._view: View | None = None
        self._is_committing = self._is_closed = False
        self._connect()

    def _connect(self) -> None:
        annotator = self._annotator
        for signal in (annotator.plane_changed, annotator.image_changed, annotator.view.changed):
            signal.connect(self.refresh)
        annotator.session.state_changed.connect(self.refresh)
        for signal in (annotator.target_changed, annotator.committed):
            signal.connect(self._ask)
        annotator.committer.target_edited.connect(self._ask)
        annotator.viewer.layers.events.removed.connect(self._on_layer_removed)
        self.search.found.connect(self._on_found)
        self.search.failed.connect(self._on_failed)
        self.search.ended.connect(self._on_ended)
        self._sifter.sifted.connect(self._on_sifted)
        self._sifter.failed.connect(self._on_failed)

    @property
    def n_objects(self) -> int:
        """How many objects are shown."""
        return 0 if self.sifted is None else self.sifted.shown.n_objects

    @property
    def is_settled(self) -> bool:
        """Whether what is shown is what the parameters say."""
        return not self._sifter.is_busy and not self._is_committing

    def run(self) -> None:
        """Find every object of the plane in view."""
        job = self._job()
        if job is None:
            self._annotator.feedback.say(self._annotator.feedback.problem or "Wait for the model.")
            return
        self.search.start(job)
        self.running_changed.emit(True)

    def toggle(self) -> None:
        """Find every object, or stop finding them."""
        self.search.cancel() if self.search.is_running else self.run()

    def cancel(self) -> None:
        """Stop finding objects; what is shown stays."""
        self.search.cancel()

    def set_parameters(self, parameters: AllObjectsParameters) -> None:
        """Choose how objects are found and which are shown; nothing is searched for it."""
        if parameters != self.parameters:
            self.parameters = parameters
            self._ask()

    def set_stored(self, is_stored: bool) -> None:
        """Choose whether what is found is kept on disk, and looked for there."""
        self.search.is_stored = is_stored
        self.refresh()

    def commit(self) -> None:
        """Write the objects that are shown into the target, as one step of napari's undo."""
        if self._sifter.is_busy or self._is_committing:
            self._annotator.feedback.say("Wait until the objects are shown, then commit again.")
        elif self.sifted is None or not self.n_objects:
            self._annotator.feedback.say("There is no object to commit: find some first.")
        else:
            image, plane = self._annotator.image, self._annotator.plane
            assert image is not None
            assert plane is not None
            self._is_committing = True
            self._annotator.feedback.say(f"Measuring {self.n_objects} objects …")
            self._worker(
                partial(objects_to_commit, self.sifted),
                partial(self._on_measured, image, plane),
                self._on_unmeasured,
            )
            self.changed.emit()

    def refresh(self, _: Any = None) -> None:
        """Show what was found on the plane that is in view now."""
        if self._is_closed or self._annotator.is_closed:
            return
        engine = self._annotator.session.engine
        if self.search.is_running and (engine is None or engine.key != self._engine_key):
            # Another model was chosen: two never share the memory.
            self.search.cancel()
        if engine is not None and engine.key != self._engine_key:
            self._engine_key = engine.key
            self.parameters = engine.all_objects
            self.defaults_changed.emit(self.parameters)
        job = self._job()
        view = None if job is None else job.view
        if view == self._view:
            return
        self._view = view
        if job is not None:
            self.search.look_up(job)
        self._show_found(None if view is None else self.search.memory.get(view))

    def close(self) -> None:
        """Let go of everything, and take away what is shown."""
        self._is_closed = True
        self.search.close()
        self._sifter.close()
        self._worker.close()
        # The window may be half destroyed already.
        with suppress(RuntimeError):
            self._annotator.viewer.layers.events.removed.disconnect(self._on_layer_removed)
            for layer in self._layers.values():
                self._take_away(layer)

    def _job(self) -> SearchJob | None:
        """Return what would be searched now."""
        session = self._annotator.session
        engine, source = session.engine, session.source
        if engine is None or source is None or self._annotator.plane is None:
            return None
        return SearchJob(View(engine.key, source.key), engine, source, self.parameters)

    def _show_found(self, found: Found | None) -> None:
        self.found, self.sifted = found, None
        for layer in self._layers.values():
            preview.hide_preview(layer)
        self._ask()
        self.changed.emit()

    def _ask(self, _: Any = None) -> None:
        if self._is_closed:
            return
        found, plane = self.found, self._annotator.plane
        if found is None or plane is None:
            self._sifter.ask(None)
            return
        target, image = self._annotator.target, self._annotator.image
        existing = None
        if target is not None and image is not None and not targets.fit_problem(target, image):
            existing = partial(_read_plane, target.data, plane)
        self._sifter.ask(
            Wish(found.candidates, self.parameters.filter, self.parameters.labels, existing)
        )

    def _on_found(self, found: Found) -> None:
        if found.view == self._view:
            self._show_found(found)

    def _on_ended(self) -> None:
        self.running_changed.emit(False)
        self.changed.emit()

    def _on_failed(self, error: Sam2Error) -> None:
        self._annotator.feedback.report(error)

    def _on_sifted(self, sifted: Sifted) -> None:
        image, plane = self._annotator.image, self._annotator.plane
        if self.found is None or sifted.wish.candidates is not self.found.candidates:
            return
        self.sifted = sifted
        if image is not None and plane is not None:
            preview.show_found(self._need_layer(image), image, plane, sifted.shown.labels)
        self.changed.emit()

    def _need_layer(self, image: Image) -> Labels:
        if image.unique_id not in self._layers:
            layers = self._annotator.viewer.layers
            layer = self._layers[image.unique_id] = preview.new_found_layer(image)
            active = layers.selection.active
            layers.insert(layers.index(image) + 1, layer)
            layers.selection.active = active
        return self._layers[image.unique_id]

    def _take_away(self, found: Labels) -> None:
        if found in self._annotator.viewer.layers:
            self._annotator.viewer.layers.remove(found)

    def _on_layer_removed(self, event: Any) -> None:
        found = self._layers.pop(event.value.unique_id, None)
        if found is not None:
            # It was of this image. Not while napari is in the middle of removing a layer.
            QTimer.singleShot(0, partial(self._take_away, found))
        self._layers = {key: layer for key, layer in self._layers.items() if layer != event.value}

    def _on_measured(
        self, image: Image, plane: PlaneIndex, objects: tuple[FoundObject, ...]
    ) -> None:
        self._is_committing = False
        annotator = self._annotator
        if (image, plane) != (annotator.image, annotator.plane):
            annotator.feedback.say("Another plane is in view by now: nothing was committed.")
        else:
            in_hand = 0 if annotator.drafting is None else annotator.drafting.largest_in_use
            annotator.committer.commit(FoundCommit(image, plane, objects, largest_in_hand=in_hand))
        self.changed.emit()

    def _on_unmeasured(self, error: Exception) -> None:
        self._is_committing = False
        self.changed.emit()
        raise error


def _read_plane(data: Any, plane: PlaneIndex) -> NDArray[Any]:
    index = tuple(slice(None) if value is None else value for value in plane.index)
    labels = read_labels(data, index)
    return np.asarray(labels.T if plane.transposed else labels)

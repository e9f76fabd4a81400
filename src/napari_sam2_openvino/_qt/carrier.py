"""Carries objects through the stack: keeps a propagation in step with viewer and layers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_sam2_openvino._layers import plane_writing, targets
from napari_sam2_openvino._layers.features import ObjectRow
from napari_sam2_openvino._layers.plane_writing import WrittenPlane
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.carried_runs import CarriedRun, CarriedRuns, Stack
from napari_sam2_openvino._qt.carry_sources import (
    Read,
    Sources,
    gather,
    read_sources,
    stack_in_view,
)
from napari_sam2_openvino._qt.commits import free_ids
from napari_sam2_openvino._qt.finder import Finder
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.object_list import ObjectList
from napari_sam2_openvino._qt.plane_overview import PlaneOverview
from napari_sam2_openvino._qt.soon import Soon
from napari_sam2_openvino._session.engines import Engine
from napari_sam2_openvino._session.propagating import PropagationJob, Propagator
from napari_sam2_openvino.core.commit import CommitMode
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import InputError, JobCancelledError, Sam2Error
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.propagation import CarriedPlane, KnownMask, Propagation
from napari_sam2_openvino.core.propagation_parameters import ScopeParameters
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

# A view that cuts through all planes is drawn anew no more often.
_SLOW_MS = 500


@dataclass(eq=False)
class _Job:
    """A propagation on its way, from the first reading of the target on.

    Parameters
    ----------
    run : CarriedRun
    engine : Engine
    planes : sequence of PlaneSource
    mode : str
    is_cancelled : bool, optional
    """

    run: CarriedRun
    engine: Engine
    planes: Sequence[PlaneSource]
    mode: CommitMode
    is_cancelled: bool = False


class Carrier:
    """What the tab "Volume" does. Lives in the main thread.

    The model works in the worker of the session, so that prompts are answered between; planes are
    written by a worker of its own, see `plane_writing.is_safe_aside`.

    Parameters
    ----------
    annotator : Annotator
    objects : ObjectList
    overview : PlaneOverview
        Knows along which axis the user goes.
    finder : Finder
    embeddings : EmbeddingCache
        Shared with prompts.
    """

    changed = Signal()
    """What there is to carry or to show is something else."""
    running_changed = Signal(bool)
    progressed = Signal(Progress)

    def __init__(
        self,
        annotator: Annotator,
        objects: ObjectList,
        overview: PlaneOverview,
        finder: Finder,
        embeddings: EmbeddingCache,
    ) -> None:
        self._annotator = annotator
        self._objects = objects
        self._overview = overview
        self._finder = finder
        self._propagator = Propagator(annotator.worker, embeddings)
        self._worker = ComputeWorker()
        self._runs = CarriedRuns()
        self._job: _Job | None = None
        self._taking_back: CarriedRun | None = None
        self._n_writing = 0
        self._is_closed = False
        self.scope = ScopeParameters()
        self.parameters = VolumeParameters()
        self.range: tuple[int, int] | None = None
        """The first and the last plane that may be written; None for all."""
        self._refresh_soon = Soon(self._refresh_all, _SLOW_MS)
        self._connect()

    def _connect(self) -> None:
        annotator = self._annotator
        for signal in (
            annotator.image_changed,
            annotator.target_changed,
            annotator.view.changed,
            annotator.session.state_changed,
        ):
            signal.connect(self._check)
        annotator.plane_changed.connect(self._tell)
        annotator.objects_changed.connect(self._tell)
        annotator.viewer.layers.events.removed.connect(self._on_layer_removed)
        self._propagator.carried.connect(self._on_carried)
        self._propagator.ended.connect(self._on_ended)
        self._propagator.failed.connect(self._on_failed)

    @property
    def stack(self) -> Stack | None:
        """The planes that objects can be carried through."""
        return stack_in_view(self._annotator, self._overview.axis)

    @property
    def runs(self) -> CarriedRuns:
        """What was written."""
        return self._runs

    @property
    def target(self) -> Labels | None:
        """The layer that is written to."""
        return self._annotator.target

    @property
    def is_closed(self) -> bool:
        """Whether it has let go of everything."""
        return self._is_closed

    @property
    def is_running(self) -> bool:
        """Whether objects are being carried, or taken back."""
        return self._job is not None or self._taking_back is not None

    @property
    def can_take_back(self) -> bool:
        """Whether there is a propagation to take back."""
        return self._runs.last(self.target) is not None

    @property
    def uses_memory(self) -> bool | None:
        """Whether objects are carried by memory; None while there is no model."""
        engine = self._annotator.session.engine
        if engine is None:
            return None
        return self.parameters.method != "projection" and engine.has_memory

    def toggle(self) -> None:
        """Carry objects through the stack, or stop that."""
        self.cancel() if self.is_running else self.run()

    def run(self) -> None:
        """Carry objects through the stack."""
        # A click that was not read yet is part of the object.
        self._annotator.sync(show=True)
        try:
            self._start()
        except Sam2Error as error:
            self._annotator.feedback.report(error)

    def cancel(self) -> None:
        """Stop; planes that are written stay."""
        if self._job is not None:
            self._stop("Stopped")
        elif self._taking_back is not None:
            self._end_taking_back("Stopped: the planes that are left can be taken back as well.")

    def take_back(self) -> None:
        """Write all planes of the last propagation as they were before."""
        if self._job is not None:
            self._stop("Stopped")
        run = self._runs.last(self.target)
        if run is None:
            self._annotator.feedback.say("There is no propagation of this layer to take back.")
        elif self._taking_back is None:
            self._taking_back = run
            self.running_changed.emit(True)
            if not self._n_writing:
                self._take_back_next(len(run.written))

    def close(self) -> None:
        """Let go of everything; a plane that is being written is finished."""
        self._is_closed = True
        self._propagator.close()
        if self._job is not None:
            self._job.is_cancelled = True
        self._job = self._taking_back = None
        self._worker.close()

    # The beginning

    def _start(self) -> None:
        annotator = self._annotator
        stack, engine = self.stack, annotator.session.engine
        if annotator.feedback.problem:
            raise InputError(annotator.feedback.problem)
        if stack is None:
            raise InputError(
                "Objects are carried along an axis of planes, but this image has none: choose a "
                "stack or a time series."
            )
        if engine is None:
            raise InputError("The model is not there yet: wait until it is loaded.")
        if self.parameters.method == "memory" and not engine.has_memory:
            raise InputError(
                f"{engine.name} has no memory: choose projection or automatic, or convert a "
                "checkpoint with its memory."
            )
        found = self._finder.sifted if self._finder.is_settled else None
        sources = gather(annotator, stack, self.scope, found)
        is_new = annotator.target is None
        if not sources.obj_ids and sources.found is None and (sources.wanted is not None or is_new):
            raise InputError(self._nothing())
        labels = annotator.committer.need_target(stack.image)
        job = _Job(
            CarriedRun(labels, labels.data, stack),
            engine,
            annotator.view.sources(stack.planes),
            annotator.commit_mode,
        )
        self._job = job
        self.running_changed.emit(True)
        self.progressed.emit(Progress(f"Reading {labels.name}"))
        largest = 0 if is_new else annotator.committer.largest
        if isinstance(job.run.data, np.ndarray):
            # It may have been changed in place since.
            largest = 0 if is_new else None
        self._worker(
            partial(
                read_sources,
                job.run.data,
                stack.planes[stack.current],
                sources,
                largest,
                lambda: job.is_cancelled,
            ),
            partial(self._on_read, job, sources),
            partial(self._on_unreadable, job),
        )

    def _nothing(self) -> str:
        return {
            "all with prompts": "No object has prompts on these planes: draw one first.",
            "current object": "The current object has no prompts on these planes: draw some first.",
            "all of this plane": "This plane has no object: draw or commit one first.",
            "all found on this plane": "Nothing was found on this plane: find all objects first.",
        }[self.scope.objects]

    def _on_read(self, job: _Job, sources: Sources, read: Read) -> None:
        if job is not self._job:
            return
        try:
            self._propagate(job, sources, read)
        except Exception as error:
            self._end()
            if not isinstance(error, Sam2Error):
                raise
            self._annotator.feedback.report(error)

    def _propagate(self, job: _Job, sources: Sources, read: Read) -> None:
        """Give each object its label, and begin."""
        annotator, stack = self._annotator, job.run.stack
        committer, drafting = annotator.committer, annotator.drafting
        assert drafting is not None
        in_hand = max(drafting.objects.largest, 0)
        ids = free_ids(sources.obj_ids, sources.labels, read.largest, in_hand)
        largest = max([read.largest, *ids.values()])
        known = [replace(each, obj_id=ids[each.obj_id]) for each in sources.known]
        prompted = [replace(each, obj_id=ids[each.obj_id]) for each in sources.prompted]
        known += [KnownMask(label, stack.current, cut) for label, cut in read.cuts.items()]
        known += [
            KnownMask(largest + number, stack.current, each.mask)
            for number, each in enumerate(read.found, start=1)
        ]
        if not known and not prompted:
            raise InputError(self._nothing())
        taken = {each.obj_id for each in known} | {each.obj_id for each in prompted}
        targets.check_id(job.run.labels, max(taken))
        committer.reserve(max(taken))
        drafting.carried(ids)
        earlier = self._runs.planes_of(job.run.labels, stack, taken)
        self._runs.add(job.run)
        first, last = self.range or (0, len(stack.planes) - 1)
        make = partial(
            Propagation,
            job.planes,
            first=first,
            last=last,
            direction=self.scope.direction,
            start=stack.current,
            until_it_ends=self.scope.until_it_ends,
            earlier=earlier,
            parameters=self.parameters,
        )
        self._propagator.start(
            PropagationJob(
                job.engine,
                job.planes,
                known,
                prompted,
                lambda masks: make(known=masks),
                annotator.session.options,
            )
        )

    def _on_unreadable(self, job: _Job, error: Exception) -> None:
        if job is self._job:
            self._end()
            if isinstance(error, Sam2Error):
                self._annotator.feedback.report(error)
        if not isinstance(error, Sam2Error):
            raise error

    # Plane by plane

    def _on_carried(self, carried: CarriedPlane) -> None:
        job = self._job
        if job is None or self._check():
            return
        run = job.run
        plane = run.stack.planes[carried.frame_idx]
        objects = [(each.obj_id, each.mask.cut()) for each in carried.objects]
        own = self._runs.labels_on(run.labels, plane)
        own |= {each.obj_id for each in carried.objects if each.is_known}
        write = partial(plane_writing.write_objects, job.run.data, plane, objects, job.mode, own)
        done = partial(self._on_written, job, carried)
        failed = partial(self._on_write_failed, job)
        self._write(run, plane, write, done, failed)

    def _write(self, run: CarriedRun, plane: Any, write: Any, on_done: Any, on_error: Any) -> None:
        """Write in the worker, but what the user may be changing at the same time."""
        self._n_writing += 1
        if plane_writing.is_safe_aside(run.data, plane, self._annotator.plane):
            self._worker(write, on_done, on_error)
            return
        try:
            then = partial(on_done, write())
        except Sam2Error as error:
            then = partial(on_error, error)
        # Later, so that the window gets its turn where many planes are written here.
        QTimer.singleShot(0, then)

    def _on_written(self, job: _Job, carried: CarriedPlane, written: WrittenPlane) -> None:
        # Also of a job that was stopped: it is there, and can be taken back.
        self._n_writing -= 1
        job.run.add(carried, written)
        if written.changes:
            self._refresh(job.run.labels, written)
        if job is self._job:
            self.progressed.emit(
                Progress("Carrying objects", carried.done, f"plane {carried.frame_idx}")
            )
            self._propagator.go_on()
        elif self._taking_back is not None and not self._n_writing:
            self._take_back_next(len(self._taking_back.written))
        self._tell()

    def _on_write_failed(self, job: _Job, error: Exception) -> None:
        self._n_writing -= 1
        if job is self._job:
            self._propagator.close()
            self._end()
            if isinstance(error, Sam2Error):
                self._annotator.feedback.report(error)
        if not isinstance(error, Sam2Error):
            raise error

    def _on_ended(self) -> None:
        job = self._job
        assert job is not None
        self._end()
        n_planes = len({each.plane for each in job.run.written if any(each.areas.values())})
        n_objects = len({label for _, label in job.run.touched})
        objects = "One object is" if n_objects == 1 else f"{n_objects} objects are"
        self._annotator.feedback.announce(
            f"{objects} on {n_planes} planes of {job.run.labels.name}."
        )

    def _on_failed(self, error: Exception) -> None:
        self._end()
        if isinstance(error, Sam2Error) and not isinstance(error, JobCancelledError):
            self._annotator.feedback.report(error)

    # The end

    def _stop(self, why: str) -> None:
        assert self._job is not None
        n_planes = len(self._job.run.written)
        self._job.is_cancelled = True
        self._propagator.close()
        self._end()
        kept = f"what is on {n_planes} planes stays" if n_planes else "nothing was written"
        self._annotator.feedback.announce(f"{why}: {kept}.")

    def _end(self) -> None:
        """Note what was written; no job runs any more."""
        job, self._job = self._job, None
        assert job is not None
        if job.run.written:
            self._note_rows(job)
            self._annotator.committer.target_edited.emit()
        self._runs.trim()
        self.running_changed.emit(False)
        self._tell()

    def _note_rows(self, job: _Job) -> None:
        """Give a row of the table to each object that has none."""
        run = job.run
        there = self._objects.stored()
        rows = []
        for label, planes in run.found.items():
            with_pixels = [number for number, each in planes.items() if each.area]
            given = [number for number in with_pixels if planes[number].is_known]
            if with_pixels and label not in there:
                at = (given or with_pixels)[0]
                area = planes[at].area
                rows.append(ObjectRow(label, run.stack.planes[at], area, job.engine.name))
        if rows and self.target == run.labels:
            self._objects.note_rows(rows)

    def _check(self, _: Any = None) -> bool:
        """End a job whose image, target or model is no longer the one in use; say if so."""
        job = self._job
        if job is None or self._is_closed or self._annotator.is_closed:
            return False
        why = self._stale(job)
        if why:
            self._stop(why)
        return bool(why)

    def _stale(self, job: _Job) -> str:
        annotator, run = self._annotator, job.run
        if annotator.image != run.stack.image:
            return "Another image was chosen"
        if annotator.target != run.labels or run.labels.data is not run.data:
            return "Another target was chosen"
        engine = annotator.session.engine
        if engine is None or engine.key != job.engine.key:
            # Two models never share the memory.
            return "Another model was chosen"
        try:
            (seen,) = annotator.view.sources(run.stack.planes[:1])
        except InputError:
            return "The channels are others"
        return "" if seen.key == job.planes[0].key else "The network sees the image otherwise"

    def _on_layer_removed(self, event: Any) -> None:
        if isinstance(event.value, Labels):
            self._runs.forget(event.value)
            if self._taking_back is not None and self._taking_back.labels == event.value:
                self._end_taking_back("The layer is gone.")

    # Taking back

    def _take_back_next(self, n_all: int) -> None:
        run = self._taking_back
        if run is None:
            return
        if not run.written:
            self._runs.remove(run)
            self._end_taking_back("The propagation is taken back.")
            return
        self.progressed.emit(Progress("Taking back", 1 - len(run.written) / n_all))
        written = run.written[-1]
        self._write(
            run,
            written.plane,
            partial(plane_writing.take_back, run.data, written),
            partial(self._on_taken_back, run, written, n_all),
            partial(self._on_not_taken_back, run),
        )

    def _on_taken_back(self, run: CarriedRun, written: WrittenPlane, n_all: int, _: bool) -> None:
        self._n_writing -= 1
        run.forget(written)
        self._refresh(run.labels, written)
        if run is self._taking_back:
            self._take_back_next(n_all)

    def _on_not_taken_back(self, run: CarriedRun, error: Exception) -> None:
        self._n_writing -= 1
        if run is self._taking_back:
            self._end_taking_back(str(error))
        if not isinstance(error, Sam2Error):
            raise error

    def _end_taking_back(self, sentence: str) -> None:
        self._taking_back = None
        self._annotator.committer.target_edited.emit()
        self.running_changed.emit(False)
        self._annotator.feedback.announce(sentence)
        self._tell()

    # What is seen

    def _tell(self, _: Any = None) -> None:
        if not self._is_closed and not self._annotator.is_closed:
            self.changed.emit()

    def _refresh(self, labels: Labels, written: WrittenPlane) -> None:
        """Draw the layer anew if the plane is in view."""
        annotator = self._annotator
        here = annotator.plane
        if labels != annotator.target:
            return
        if here == written.plane:
            with annotator.committer.writing():
                labels.refresh()
        elif here is None or here.displayed != written.plane.displayed:
            self._refresh_soon.ask()

    def _refresh_all(self) -> None:
        labels = self.target
        if labels is not None and not self._is_closed:
            with self._annotator.committer.writing():
                labels.refresh()

"""Carries objects through the stack: keeps a propagation in step with viewer and layers."""

from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_sam2_openvino._layers import plane_writing
from napari_sam2_openvino._layers.written_planes import WrittenPlane
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.carried_runs import CarriedRun, CarriedRuns, Stack
from napari_sam2_openvino._qt.carry_job import (
    CarryJob,
    check_can_carry,
    give_labels,
    new_rows,
    nothing_to_carry,
    to_write,
    what_was_done,
    why_stale,
)
from napari_sam2_openvino._qt.carry_sources import (
    Read,
    Sources,
    gather,
    read_sources,
    stack_in_view,
)
from napari_sam2_openvino._qt.commits import Committed
from napari_sam2_openvino._qt.finder import Finder
from napari_sam2_openvino._qt.object_list import ObjectList
from napari_sam2_openvino._qt.plane_overview import PlaneOverview
from napari_sam2_openvino._qt.plane_writer import PlaneWriter
from napari_sam2_openvino._qt.taking_back import TakingBack
from napari_sam2_openvino._session.propagating import Propagator
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import InputError, JobCancelledError, Sam2Error
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.propagation import CarriedPlane
from napari_sam2_openvino.core.propagation_parameters import ScopeParameters
from napari_sam2_openvino.core.volume_parameters import VolumeParameters


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
        self._writer = PlaneWriter(annotator)
        self._runs = CarriedRuns()
        self._taking_back = TakingBack(self._runs, self._writer)
        self._job: CarryJob | None = None
        self._is_closed = False
        self.scope = ScopeParameters()
        self.parameters = VolumeParameters()
        self.range: tuple[int, int] | None = None
        """The first and the last plane that may be written; None for all."""
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
        annotator.committed.connect(self._on_committed)
        annotator.viewer.layers.events.removed.connect(self._on_layer_removed)
        self._propagator.carried.connect(self._on_carried)
        self._propagator.ended.connect(self._on_ended)
        self._propagator.failed.connect(self._on_failed)
        self._taking_back.started.connect(lambda: self.running_changed.emit(True))
        self._taking_back.progressed.connect(self.progressed.emit)
        self._taking_back.ended.connect(self._on_taken_back)

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
        return self._job is not None or self._taking_back.is_running

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
        elif self._taking_back.is_running:
            self._taking_back.stop()

    def take_back(self) -> None:
        """Write all planes of the last propagation as they were before."""
        if self._job is not None:
            self._stop("Stopped")
        run = self._runs.last(self.target)
        if run is None:
            self._annotator.feedback.say("There is no propagation of this layer to take back.")
        elif not self._taking_back.is_running:
            self._taking_back.start(run)

    def close(self) -> None:
        """Let go of everything; a plane that is being written is finished."""
        self._is_closed = True
        self._propagator.close()
        if self._job is not None:
            self._job.is_cancelled = True
        self._job = None
        self._taking_back.close()
        self._writer.close()
        # The window may be half destroyed already.
        with suppress(RuntimeError):
            self._annotator.viewer.layers.events.removed.disconnect(self._on_layer_removed)

    # The beginning

    def _start(self) -> None:
        annotator = self._annotator
        if annotator.feedback.problem:
            raise InputError(annotator.feedback.problem)
        stack, engine = check_can_carry(self.stack, annotator.session.engine, self.parameters)
        found = self._finder.sifted if self._finder.is_settled else None
        sources = gather(annotator, stack, self.scope, found)
        is_new = annotator.target is None
        if not sources.obj_ids and sources.found is None and (sources.wanted is not None or is_new):
            raise nothing_to_carry(self.scope)
        labels = annotator.committer.need_target(stack.image)
        job = CarryJob(
            CarriedRun(labels, labels.data, stack),
            engine,
            annotator.view.sources(stack.planes),
            annotator.commit_mode,
            self.scope,
            self.parameters,
        )
        self._job = job
        self.running_changed.emit(True)
        self.progressed.emit(Progress(f"Reading {labels.name}"))
        largest = 0 if is_new else annotator.committer.largest
        if isinstance(job.run.data, np.ndarray):
            # It may have been changed in place since.
            largest = 0 if is_new else None
        read = partial(
            read_sources,
            job.run.data,
            stack,
            sources,
            largest,
            lambda: job.is_cancelled,
            carried=self._runs.planes_of(labels, stack, set(sources.labels.values())),
            on_all_planes=self.scope.replace and not is_new,
        )
        self._writer.read(
            read, partial(self._on_read, job, sources), partial(self._on_unreadable, job)
        )

    def _on_read(self, job: CarryJob, sources: Sources, read: Read) -> None:
        if job is not self._job:
            return
        try:
            wanted = give_labels(job, self._annotator, self._runs, self.range, sources, read)
            self._propagator.start(wanted)
        except Exception as error:
            self._end()
            if not isinstance(error, Sam2Error):
                raise
            self._annotator.feedback.report(error)

    def _on_unreadable(self, job: CarryJob, error: Exception) -> None:
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
        run.begin(plane)
        self._writer.write(
            run.data,
            plane,
            partial(
                plane_writing.write_objects,
                run.data,
                plane,
                to_write(job, carried),
                job.mode,
                job.old if job.scope.replace else (),
                given={each.obj_id for each in carried.objects if each.is_known},
                history=self._runs.on_plane(run.labels, plane),
            ),
            partial(self._on_written, job, carried),
            partial(self._on_write_failed, job),
        )

    def _on_written(self, job: CarryJob, carried: CarriedPlane, written: WrittenPlane) -> None:
        # Also of a job that was stopped: it is there, and can be taken back.
        job.run.add(carried, written)
        job.kept |= {(label, carried.frame_idx) for label in written.kept}
        job.by_hand |= {(label, carried.frame_idx) for label in written.by_hand}
        if written.changes:
            self._writer.refresh(job.run.labels, written)
        if job is self._job:
            self.progressed.emit(
                Progress("Carrying objects", carried.done, f"plane {carried.frame_idx}")
            )
            self._propagator.go_on()
        else:
            self._note(job)
            self._taking_back.go_on()
        self._tell()

    def _on_write_failed(self, job: CarryJob, error: Exception) -> None:
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
        self._annotator.feedback.announce(what_was_done(job))

    def _on_failed(self, error: Exception) -> None:
        self._end()
        if isinstance(error, Sam2Error) and not isinstance(error, JobCancelledError):
            self._annotator.feedback.report(error)

    # The end

    def _stop(self, why: str) -> None:
        assert self._job is not None
        # One that is on its way is written as well.
        n_planes = len(self._job.run.written) + self._writer.is_writing
        self._job.is_cancelled = True
        self._propagator.close()
        self._end()
        planes = "one plane" if n_planes == 1 else f"{n_planes} planes"
        kept = f"what is on {planes} stays" if n_planes else "nothing was written"
        self._annotator.feedback.announce(f"{why}: {kept}.")

    def _end(self) -> None:
        """Note what was written; no job runs any more."""
        job, self._job = self._job, None
        assert job is not None
        if job.run.written:
            self._note(job)
        self._runs.trim()
        self.running_changed.emit(False)
        self._tell()

    def _note(self, job: CarryJob) -> None:
        """Give a row of the table to each written object that has none, and count all anew."""
        rows = new_rows(job, self._objects.stored())
        if rows and self.target == job.run.labels:
            self._objects.note_rows(rows)
        self._annotator.committer.target_edited.emit()

    def _check(self, _: Any = None) -> bool:
        """End a job whose image, target or model is no longer the one in use; say if so."""
        job = self._job
        if job is None or self._is_closed or self._annotator.is_closed:
            return False
        why = why_stale(job, self._annotator)
        if why:
            self._stop(why)
        return bool(why)

    def _on_committed(self, done: Committed) -> None:
        self._runs.note_commits(done.labels, done.commit.plane, done.before)

    def _on_layer_removed(self, event: Any) -> None:
        if isinstance(event.value, Labels):
            self._runs.forget(event.value)
            self._taking_back.forget(event.value)

    def _on_taken_back(self, sentence: str) -> None:
        self._annotator.committer.target_edited.emit()
        self.running_changed.emit(False)
        self._annotator.feedback.announce(sentence)
        self._tell()

    def _tell(self, _: Any = None) -> None:
        if not self._is_closed and not self._annotator.is_closed:
            self.changed.emit()

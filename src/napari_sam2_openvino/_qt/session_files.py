"""Sessions as files: saved by command and by themselves, and opened again."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Image
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_sam2_openvino._layers import planes
from napari_sam2_openvino._layers.marks_io import LeftOut
from napari_sam2_openvino._layers.targets import new_labels_layer
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.autosaves import autosave_path, write_autosaved
from napari_sam2_openvino._qt.drafting import Drafting
from napari_sam2_openvino._qt.jobs import ComputeWorker, LongJob
from napari_sam2_openvino._qt.object_list import ObjectList
from napari_sam2_openvino._qt.session_channels import describe_channels, find_channels
from napari_sam2_openvino._qt.session_opening import ReplayJob, check_image, drawn_of
from napari_sam2_openvino.core.errors import (
    InputError,
    JobCancelledError,
    ModelNotFoundError,
    Sam2Error,
)
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.records import (
    ImageRecord,
    ObjectRecord,
    PromptsRecord,
    check_place,
)
from napari_sam2_openvino.core.session_file import SessionFile, read_session, write_session

AUTOSAVE_MS = 2000


class SessionFiles:
    """Writes and opens sessions. Lives in the main thread.

    Parameters
    ----------
    annotator : Annotator
    objects : ObjectList
    """

    opened = Signal(SessionFile)
    progressed = Signal(Progress)
    finished = Signal()

    def __init__(self, annotator: Annotator, objects: ObjectList) -> None:
        self._annotator = annotator
        self._objects = objects
        self._worker = ComputeWorker()
        self._path: Path | None = None
        self.class_names: tuple[str, ...] = ()
        self.is_autosaving = True
        self._saved: SessionFile | None = None
        self._has_failed = False
        self._job: LongJob | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._autosave)
        annotator.objects_changed.connect(self._on_changed)
        annotator.leaving.connect(self._on_leaving)

    def session(self, left_out: LeftOut | None = None) -> SessionFile | None:
        """Return everything about the session as a value; None without an image.

        Parameters
        ----------
        left_out : set of (str, int), optional
            Takes note of prompts that cannot be used, which are not part of it.
        """
        annotator = self._annotator
        image = annotator.image
        if image is None:
            return None
        shape = planes.image_shape(image)
        return SessionFile(
            images=tuple(_image_record(layer) for layer in annotator.view.layers),
            image_name=image.name,
            model=annotator.session.model_record,
            view=annotator.view.view,
            options=annotator.session.options,
            commit_mode=annotator.commit_mode,
            class_names=self.class_names,
            # Of an image that gave way to a smaller one, objects may be left that are not on it.
            objects=tuple(
                each
                for each in self._records(set() if left_out is None else left_out)
                if _is_in(each, shape)
            ),
        )

    def _records(self, left_out: LeftOut) -> Iterator[ObjectRecord]:
        committed, view = self._objects.committed(), self._annotator.view
        # Else a renamed image is taken for another one when the session is opened.
        names = {each: view.present_names(each) for each in {each.channels for each in committed}}
        for record in committed:
            there = names[record.channels]
            is_same = there == record.channels
            yield record if is_same else record.model_copy(update={"channels": there})
        yield from self._drafts(left_out, {each.obj_id for each in committed})

    def save(self, path: Path) -> None:
        """Write the session to a file, in the worker."""
        left_out: LeftOut = set()
        session = self.session(left_out)
        if session is None:
            self._annotator.feedback.report(
                InputError("Open an image first: there is no session to save.")
            )
            return
        elsewhere = self._layers_left_out(session)

        def saved(_: Any) -> None:
            text = f"The session is saved in {path}"
            if left_out:
                what = "a prompt" if len(left_out) == 1 else f"{len(left_out)} prompts"
                text += f", without {what} that cannot be used"
            text += "."
            if elsewhere:
                text += (
                    f" It is of what is written to now; what was committed into {elsewhere} is not "
                    'in it: choose that under "Write to" and save another session.'
                )
            self._annotator.feedback.announce(text)

        self._worker(lambda: write_session(path, session), saved, self._on_error)

    def _layers_left_out(self, session: SessionFile) -> str:
        """Return the names of layers with objects of the image that a session is not of."""
        shape = session.images[0].shape
        found = self._objects.committed_elsewhere().items()
        names = [name for name, own in found if any(_is_in(each, shape) for each in own)]
        return ", ".join(names)

    def open(self, path: Path) -> None:
        """Bring back a session: its settings, its objects and what was not committed yet."""
        self._worker(lambda: read_session(path), self._restore, self._on_error)

    def cancel(self) -> None:
        """Stop bringing a session back; nothing is changed by it."""
        if self._job is not None:
            self._job.cancel()

    def close(self) -> None:
        """Save what is not saved yet, and let go."""
        if self._timer.isActive():
            self._timer.stop()
            self._autosave()
        self.cancel()
        self._worker.close(finish=True)

    def _drafts(self, left_out: LeftOut, committed: set[int]) -> Iterator[ObjectRecord]:
        annotator = self._annotator
        if (drafting := annotator.drafting) is None:
            return
        drawn = list(drafting.planes(left_out=left_out))
        ids = {obj_id for _, own in drawn for obj_id in own}
        numbers, class_names = _numbers(drafting, ids, committed), self._objects.class_names(ids)
        for plane, own in drawn:
            for obj_id, prompts in own.items():
                yield ObjectRecord(
                    obj_id=numbers[obj_id],
                    plane=plane,
                    prompts=PromptsRecord.of(prompts),
                    region=annotator.region_of(obj_id, plane, prompts),
                    options=annotator.session.options,
                    class_name=class_names[obj_id],
                )

    def _on_changed(self) -> None:
        # Not put off by what is changed meanwhile: while the user goes on it would never be time.
        is_waiting = self._timer.isActive()
        if self.is_autosaving and not self._annotator.is_closed and not is_waiting:
            self._timer.start(AUTOSAVE_MS)

    def _on_leaving(self) -> None:
        # What is there now is kept as it is; what comes after goes into another file.
        if self._timer.isActive():
            self._timer.stop()
            self._autosave()
        self._path = self._saved = None

    def _autosave(self) -> None:
        if not self.is_autosaving:
            return
        session = self.session()
        if session is None or session == self._saved or not (session.objects or self._saved):
            return
        before, self._saved = self._saved, session
        path = self._path = self._path or autosave_path(session.images[0].name)
        self._worker(
            partial(write_autosaved, path, session),
            self._on_autosaved,
            partial(self._on_autosave_error, before),
        )

    def _on_autosaved(self, _: None) -> None:
        self._has_failed = False

    def _on_autosave_error(self, before: SessionFile | None, error: Exception) -> None:
        self._saved = before
        # Said once: until it works again it would be the same each time.
        if not self._has_failed:
            self._has_failed = True
            if isinstance(error, InputError):
                error = InputError(f"What you draw is not saved by itself at the moment. {error}")
            self._on_error(error)

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, Sam2Error):
            raise error
        self._annotator.feedback.report(error)

    def _on_replay_error(self, error: Exception) -> None:
        self._job = None
        self.finished.emit()
        if isinstance(error, JobCancelledError):
            self._annotator.feedback.announce("Cancelled: the session was not opened.")
        elif isinstance(error, ModelNotFoundError):
            self._on_error(
                ModelNotFoundError(
                    f"{error} The committed objects of this session are made again by their model: "
                    "open it where that is, or run it by another one with "
                    "napari-sam2 recipe run --model."
                )
            )
        else:
            self._on_error(error)

    def _restore(self, session: SessionFile) -> None:
        annotator = self._annotator
        image = annotator.image
        try:
            if image is None:
                raise InputError("Open the image of the session first, then the session.")
            if self._job is not None:
                raise InputError("A session is being opened already: wait for it, or cancel it.")
            check_image(session, image)
            layers = find_channels(session, image, annotator.viewer)
            if not any(record.committed for record in session.objects):
                self._finish(session, image, layers)
                return
            job = ReplayJob(session, [planes.image_arrays(layer) for layer in layers])
        except Sam2Error as error:
            annotator.feedback.report(error)
            return
        self._job = LongJob(job)
        self._job.progressed.connect(self.progressed.emit)
        self._job.succeeded.connect(lambda: self._finish(session, image, layers, job))
        self._job.failed.connect(self._on_replay_error)
        self._job.start()

    def _finish(
        self,
        session: SessionFile,
        opened_on: Image,
        layers: Sequence[Image],
        replayed: ReplayJob | None = None,
    ) -> None:
        annotator, self._job = self._annotator, None
        self.finished.emit()
        image, drafting = annotator.image, annotator.drafting
        if annotator.is_closed:
            return
        if problem := self._change_since(opened_on, layers):
            annotator.feedback.announce(f"The session was not opened: {problem} meanwhile.")
            return
        assert image is not None
        assert drafting is not None
        # What was in hand before is kept as it is, in a file of its own.
        self._on_leaving()
        annotator.view.set_channels(() if layers == [image] else layers)
        annotator.view.restore(session.view)
        annotator.set_options(session.options)
        self.opened.emit(session)
        drafting.make_way({each.obj_id for each in session.objects})
        if replayed is not None:
            layer = new_labels_layer(image, replayed.labels)
            annotator.viewer.layers.insert(annotator.viewer.layers.index(image) + 1, layer)
            annotator.set_target(layer)
            self._objects.restore(
                [each for each in session.objects if each.committed], replayed.areas
            )
        in_hand = [each for each in session.objects if not each.committed]
        placed, drafts = drawn_of(in_hand)
        drafting.restore(placed, drafts, {each.obj_id: each.class_name for each in in_hand})
        notes = describe_channels(session, image, layers)
        if session.model.name not in ("", model := annotator.session.model_name):
            notes.append(f"Model {session.model.name} is not there: {model} is used.")
        notes += () if replayed is None else replayed.differences
        annotator.feedback.announce(" ".join(["The session is open.", *notes]))

    def _change_since(self, opened_on: Image, layers: Sequence[Image]) -> str | None:
        """Return what became of the image, or of a channel, while a session was opened."""
        if self._annotator.image is not opened_on:
            return "another image was chosen"
        if any(each not in self._annotator.viewer.layers for each in layers):
            return "a channel of it was removed"
        return None


def _numbers(drafting: Drafting, ids: set[int], committed: set[int]) -> dict[int, int]:
    """Return the number of each object in hand, which tells whether it is in the target."""
    numbers, largest = {}, max([drafting.largest_in_use, *ids, *committed])
    for obj_id in sorted(ids):
        label = drafting.labels.of(obj_id)
        if label is not None and (label == obj_id or label not in ids):
            numbers[obj_id] = label
        elif obj_id in committed:
            # Another object of that number is there.
            numbers[obj_id] = largest = largest + 1
        else:
            numbers[obj_id] = obj_id
    return numbers


def _is_in(record: ObjectRecord, shape: tuple[int, ...]) -> bool:
    """Whether the plane of an object is in an image of a shape."""
    try:
        check_place(record, shape)
    except InputError:
        return False
    return True


def _image_record(image: Image) -> ImageRecord:
    source = image.source.path
    return ImageRecord(
        name=image.name,
        shape=planes.image_shape(image),
        is_rgb=bool(image.rgb),
        dtype=str(planes.image_data(image).dtype),
        axis_labels=tuple(map(str, image.axis_labels)),
        units=tuple(map(str, image.units)),
        scale=tuple(map(float, image.scale)),
        n_levels=len(image.data) if image.multiscale else 1,
        source=None if source is None else str(source),
    )

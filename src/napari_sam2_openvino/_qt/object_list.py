"""The objects of the plane in view: what the list shows, their classes, and bringing one back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from napari.layers import Image, Labels

from napari_sam2_openvino._layers import preview, targets
from napari_sam2_openvino._layers.features import ObjectRow as StoredRow
from napari_sam2_openvino._layers.label_parts import MaskPrint, cut_object, mask_print
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.commit_history import CommitHistory
from napari_sam2_openvino._qt.commits import Committed, DrawnCommit, FoundCommit
from napari_sam2_openvino._qt.objects_model import ObjectRow, ObjectState
from napari_sam2_openvino._qt.recounting import Counts, Recounter
from napari_sam2_openvino._qt.soon import Soon
from napari_sam2_openvino._session.objects import FOR_ALL, Draft
from napari_sam2_openvino.core.errors import InputError, Sam2Error
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.records import ObjectRecord, PromptsRecord
from napari_sam2_openvino.core.types import PlaneIndex


class ObjectList:
    """Shows what is drawn and what was committed into the target. Lives in the main thread.

    Parameters
    ----------
    annotator : Annotator
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        # Of each target in the viewer, so that one that is chosen again still has its own.
        self._histories: dict[Any, CommitHistory] = {}
        self._history: CommitHistory | None = None
        self._recounter = Recounter(self._follow, self._on_unreadable)
        # Not while napari still tells others of the table.
        self._keep_soon = Soon(self._keep_table)
        annotator.committed.connect(self._on_committed)
        annotator.target_changed.connect(self._on_target)
        annotator.image_changed.connect(self._leave_to_others)
        annotator.committer.target_edited.connect(self._on_edited)
        annotator.viewer.layers.events.removed.connect(self._on_layer_removed)

    def rows(self) -> list[ObjectRow]:
        """Return what the list shows: objects that are drawn, then those that were committed."""
        annotator = self._annotator
        plane, history = annotator.plane, self._history
        committed = {} if plane is None or history is None else history.on_plane(plane)
        names = self.class_names(annotator.drawn)
        rows = [
            self._draft_row(key, names[key], self._take(committed, key)) for key in annotator.drawn
        ]
        rows += [
            ObjectRow(key, "committed", row.iou_prediction, row.area, row.class_name)
            for key, row in committed.items()
        ]
        return rows

    def planes(self) -> set[PlaneIndex]:
        """Return the planes on which objects were committed."""
        return set() if self._history is None else self._history.planes()

    def committed(self) -> list[ObjectRecord]:
        """Return what of the image was committed into the target, in order."""
        image = self._annotator.image
        if image is None or self._history is None:
            return []
        return self._history.committed(image.unique_id)

    def committed_elsewhere(self) -> dict[str, list[ObjectRecord]]:
        """Return what of the image was committed into other layers, by their names."""
        image = self._annotator.image
        others = [each for each in self._histories.values() if each is not self._history]
        if image is None:
            return {}
        return {each.labels.name: each.committed(image.unique_id) for each in others}

    def restore(self, records: Sequence[ObjectRecord], areas: Mapping[int, int]) -> None:
        """Take over what was committed into a target that a session was opened into."""
        image, drafting = self._annotator.image, self._annotator.drafting
        if self._history is not None and image is not None and drafting is not None:
            self._history.add(image.unique_id, records, areas)
            self._recounter.note_written(each.plane for each in records)
            drafting.note_labels({each.obj_id: each.obj_id for each in records})
        self._annotator.objects_changed.emit()

    def note_rows(self, rows: Sequence[StoredRow]) -> None:
        """Take objects into the table that are in the target without a commit."""
        if self._history is not None:
            drafting = self._annotator.drafting
            names = {} if drafting is None else self.class_names(drafting.labels.numbers)
            self._history.add_found(
                [replace(row, class_name=names.get(row.obj_id, "")) for row in rows]
            )
            self._recounter.note_written(row.plane for row in rows if row.plane is not None)
            self._leave_to_others()
            self._annotator.objects_changed.emit()

    def class_names(self, obj_ids: Collection[int]) -> dict[int, str]:
        """Return the class of each of some objects in hand: what the table says, if it does."""
        if (drafting := self._annotator.drafting) is None:
            return dict.fromkeys(obj_ids, "")
        labels = {each: drafting.labels.of(each) for each in obj_ids}
        stored = self.stored() if any(labels.values()) else {}
        return {
            obj_id: stored[label].class_name
            if label is not None and label in stored
            else drafting.class_names.get(obj_id, "")
            for obj_id, label in labels.items()
        }

    def set_class(self, obj_ids: Sequence[int], name: str) -> None:
        """Give objects a class; "" takes it away."""
        stored = self.stored()
        labels = {each: self._label_of(each) for each in obj_ids}
        there = {label for label in labels.values() if label is not None and label in stored}
        if self._history is not None and there:
            self._history.set_class(there, name)
        if (drafting := self._annotator.drafting) is not None:
            # Also of those in the table: napari's undo may take their rows away.
            for obj_id, label in labels.items():
                known = [obj_id] if label is None else drafting.labels.objects_of(label)
                drafting.class_names |= dict.fromkeys(known, name)
        self._annotator.objects_changed.emit()

    def _label_of(self, obj_id: int) -> int | None:
        """Return the label of a row; None for an object that is drawn and not in the target."""
        drafting = self._annotator.drafting
        if drafting is None or obj_id not in self._annotator.drawn:
            return obj_id
        return drafting.labels.of(obj_id)

    def _take(self, committed: dict[int, StoredRow], obj_id: int) -> StoredRow | None:
        label = self._label_of(obj_id)
        return None if label is None else committed.pop(label, None)

    def choose(self, obj_id: int) -> None:
        """Make an object the current one: a draft as it is, a committed one brought back."""
        annotator = self._annotator
        drafting = annotator.drafting
        if drafting is not None and obj_id in annotator.drawn:
            drafting.select(obj_id)
        elif annotator.target is not None:
            self.edit(annotator.target, obj_id)

    def edit_at_pointer(self) -> None:
        """Bring back the object under the pointer, from any Labels layer that is shown."""
        annotator = self._annotator
        position = annotator.hover.position()
        for layer in reversed(annotator.viewer.layers):
            is_candidate = isinstance(layer, Labels) and layer.visible
            if is_candidate and not preview.is_preview(layer):
                obj_id = targets.object_at(layer, position)
                if obj_id:
                    self.edit(layer, obj_id)
                    return
        annotator.feedback.say("There is no object of a Labels layer under the pointer.")

    def edit(self, labels: Labels, obj_id: int) -> None:
        """Bring back an object: with the prompts it was made from, else to be refined."""
        annotator = self._annotator
        image, plane, drafting = annotator.image, annotator.plane, annotator.drafting
        if image is None or plane is None or drafting is None:
            return
        if labels != annotator.target and (problem := targets.place_problem(labels, image)):
            annotator.feedback.report(InputError(problem))
            return
        try:
            history = self._history if labels == annotator.target else None
            record = None if history is None else history.record_of(obj_id, plane)
            for_all = () if record is None else drafting.layers.read(plane).get(FOR_ALL, ())
        except InputError as error:
            annotator.feedback.report(error)
            return
        if record is not None:
            prompts = record.prompts.value()
            draft = Draft(prompts.choices, prompts.mask, record.region)
            # Those that count for all objects are still there, and come back by themselves.
            marks = tuple(each for each in prompts.marks if each not in for_all)
            drafting.edit(drafting.id_of_label(obj_id, plane), plane, marks, draft)
            return
        annotator.worker(
            partial(cut_object, labels.data, obj_id, plane),
            partial(self._refine, image, plane, labels, obj_id),
            self._on_unreadable,
        )

    def _draft_row(self, obj_id: int, name: str, stored: StoredRow | None) -> ObjectRow:
        answer = self._annotator.session.answer(obj_id)
        if answer is None:
            return ObjectRow(obj_id, "waiting", class_name=name)
        state: ObjectState = "draft" if stored is None else "edited"
        return ObjectRow(obj_id, state, answer.iou_prediction, answer.area, name)

    def _refine(
        self, image: Image, plane: PlaneIndex, labels: Labels, obj_id: int, cut: MaskCut
    ) -> None:
        annotator = self._annotator
        drafting = annotator.drafting
        is_in_view = annotator.image == image and annotator.plane == plane
        if drafting is None or not is_in_view or not cut.mask.size:
            return
        is_target = labels == annotator.target
        number = drafting.id_of_label(obj_id, plane) if is_target else drafting.first_free_id
        drafting.edit(number, plane, (), Draft(mask=cut))

    def _on_unreadable(self, error: Exception) -> None:
        if not isinstance(error, Sam2Error):
            raise error
        self._annotator.feedback.report(error)

    def _on_committed(self, done: Committed) -> None:
        history, session = self._history, self._annotator.session
        assert history is not None
        model = session.model_record
        commit = done.commit
        self._recounter.note_written([commit.plane])
        if commit.mode == "overwrite":
            # Its neighbours lost pixels to it.
            self._recounter.ask([commit.plane])
        if isinstance(commit, FoundCommit):
            history.add_found(_found_rows(commit, done, model.name))
            self._leave_to_others()
            self._annotator.objects_changed.emit()
            return
        assert isinstance(commit, DrawnCommit)
        written = [each for each in commit.answers if each.obj_id in done.new_ids]
        names = self.class_names([*done.new_ids.values()])
        records = [
            ObjectRecord(
                obj_id=done.new_ids[answer.obj_id],
                plane=done.commit.plane,
                prompts=PromptsRecord.of(answer.prompts),
                region=answer.region,
                options=answer.options,
                model=model,
                view=self._annotator.view.view,
                channels=tuple(layer.name for layer in self._annotator.view.layers),
                iou_prediction=answer.iou_prediction,
                committed=True,
                commit_mode=done.commit.mode,
                class_name=names[done.new_ids[answer.obj_id]],
                order=order,
            )
            for order, answer in enumerate(written, start=history.next_order)
        ]
        prints = _prints(commit, done)
        history.add(done.commit.image.unique_id, records, done.areas, prints)
        if len(prints) < len(records):
            self._recounter.ask([commit.plane])
        self._annotator.objects_changed.emit()

    def close(self) -> None:
        """Let go of the worker and the viewer."""
        self._annotator.viewer.layers.events.removed.disconnect(self._on_layer_removed)
        self._connect(connect=False)
        self._recounter.close()

    def stored(self) -> Mapping[int, StoredRow]:
        """Return the table of the target, by obj_id."""
        return {} if self._history is None else self._history.rows()

    def _on_target(self, target: Labels | None) -> None:
        self._connect(connect=False)
        if target is None:
            self._history = None
        else:
            key = target.unique_id
            self._history = self._histories.setdefault(key, CommitHistory(target))
        self._connect(connect=True)
        self._recounter.set_labels(target)
        if self._history is not None:
            self._keep_table()
            # It may have changed while it was not followed.
            self._recounter.ask(self._in_order(self._history.known_planes()))
        self._leave_to_others()

    def _connect(self, *, connect: bool) -> None:
        if self._history is not None:
            features = self._history.labels.events.features
            (features.connect if connect else features.disconnect)(self._keep_soon.ask)

    def _keep_table(self) -> None:
        """Keep what is known of objects although another program has replaced the table."""
        if self._annotator.is_closed or self._history is None:
            return
        planes = self._history.keep_table()
        if planes is not None:
            self._recounter.ask(self._in_order(planes))
            self._leave_to_others()
            self._annotator.objects_changed.emit()

    def _in_order(self, planes: Iterable[PlaneIndex]) -> list[PlaneIndex]:
        """Return planes with the one in view first."""
        return sorted(planes, key=lambda each: each != self._annotator.plane)

    def _leave_to_others(self, _image: Image | None = None) -> None:
        if (drafting := self._annotator.drafting) is not None:
            drafting.leave_to_others(self.stored().keys())

    def _on_layer_removed(self, event: Any) -> None:
        # A history holds its layer, and with it all its pixels.
        self._histories.pop(event.value.unique_id, None)

    def _on_edited(self) -> None:
        if self._history is not None:
            # Rows that went with their objects come back with them.
            self._recounter.ask_edited(self._in_order(self._history.known_planes()))

    def _follow(self, counts: Counts) -> None:
        if self._history is not None and self._history.follow(counts):
            self._annotator.objects_changed.emit()


def _prints(commit: DrawnCommit, done: Committed) -> dict[int, MaskPrint]:
    """Return what objects are known by that are in the target as their masks are, by label."""
    shape = done.labels.data.shape
    prints = {
        done.new_ids[each.obj_id]: mask_print(each.mask, commit.plane, shape)
        for each in commit.answers
        if each.obj_id in done.new_ids
    }
    # Others have pixels of it that are not written.
    return {label: each for label, each in prints.items() if each.area == done.areas[label]}


def _found_rows(commit: FoundCommit, done: Committed, model: str) -> list[StoredRow]:
    """Return the rows of objects that a search has found."""
    return [
        StoredRow(
            done.new_ids[each.obj_id],
            commit.plane,
            done.areas[done.new_ids[each.obj_id]],
            model,
            each.iou_prediction,
            measures=each.measures,
        )
        for each in commit.answers
        if each.obj_id in done.new_ids
    ]

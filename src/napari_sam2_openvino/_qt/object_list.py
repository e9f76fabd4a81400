"""The objects of the plane in view: what the list shows, their classes, and bringing one back."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from napari.layers import Labels
from qtpy.QtCore import QTimer

from napari_sam2_openvino._layers import preview, targets
from napari_sam2_openvino._layers.features import ObjectRow as StoredRow
from napari_sam2_openvino._layers.features import ObjectTable
from napari_sam2_openvino._layers.label_parts import cut_object, object_areas
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.committing import Committed
from napari_sam2_openvino._qt.objects_model import ObjectRow, ObjectState
from napari_sam2_openvino._session.objects import Draft
from napari_sam2_openvino.core.errors import InputError, Sam2Error
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.records import (
    ModelRecord,
    ObjectRecord,
    PromptsRecord,
    object_from_json,
    object_to_json,
)
from napari_sam2_openvino.core.types import PlaneIndex

# napari tells of each move of a brush.
_EDITED_MS = 100


class ObjectList:
    """Keeps the table of the target, and what was committed into it. Lives in the main thread.

    Parameters
    ----------
    annotator : Annotator
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        self.log: list[ObjectRecord] = []
        """Every commit into the target, in order: what a session writes down."""
        self._table: ObjectTable | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._count)
        annotator.committed.connect(self._on_committed)
        annotator.target_changed.connect(self._on_target)
        annotator.committer.target_edited.connect(self._on_edited)

    def rows(self) -> list[ObjectRow]:
        """Return what the list shows: objects that are drawn, then those that were committed."""
        annotator = self._annotator
        committed = {key: row for key, row in self.stored().items() if self._is_in_view(row)}
        rows = [self._draft_row(key, committed.pop(key, None)) for key in annotator.drawn]
        rows += [
            ObjectRow(key, "committed", row.iou_prediction, row.area, row.class_name)
            for key, row in committed.items()
        ]
        return rows

    def stored(self) -> Mapping[int, StoredRow]:
        """Return the table of the target, by obj_id."""
        return {} if self._table is None else self._table.rows()

    def planes(self) -> set[PlaneIndex]:
        """Return the planes on which objects were committed."""
        there = self.stored()
        planes = {row.plane for row in there.values() if row.plane is not None}
        return planes | {record.plane for record in self.log if record.obj_id in there}

    def committed(self) -> list[ObjectRecord]:
        """Return what was committed in order, without what napari's undo has taken back since."""
        there, kept = self.stored(), []
        newest: set[tuple[int, PlaneIndex]] = set()
        for record in reversed(self.log):
            row, place = there.get(record.obj_id), (record.obj_id, record.plane)
            if row is None:
                continue
            is_of_row = row.plane is not None and row.plane.index == record.plane.index
            if is_of_row and place not in newest and row.prompts != object_to_json(record):
                continue
            newest.add(place)
            kept.append(record.model_copy(update={"class_name": row.class_name}))
        return kept[::-1]

    def restore(self, records: Sequence[ObjectRecord], areas: Mapping[int, int]) -> None:
        """Take over what was committed into a target that a session was opened into."""
        self._annotator.committer.note_written({each.obj_id for each in records})
        # A class is a matter of the table.
        self.log = [each.model_copy(update={"class_name": ""}) for each in records]
        if self._table is not None:
            self._table.add_rows(
                StoredRow(
                    each.obj_id,
                    each.plane,
                    areas.get(each.obj_id, 0),
                    each.model.name if each.model else "",
                    each.iou_prediction,
                    object_to_json(plain),
                    each.class_name,
                )
                for each, plain in zip(records, self.log, strict=True)
            )
        self._annotator.objects_changed.emit()

    def set_class(self, obj_ids: Sequence[int], name: str) -> None:
        """Give committed objects a class; "" takes it away."""
        there = self.stored().keys() & set(obj_ids)
        if self._table is not None and there:
            self._table.set_class(there, name)
        if len(there) < len(obj_ids):
            self._annotator.feedback.say("Only objects that are committed have a class.")
        self._annotator.objects_changed.emit()

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
        image, plane = annotator.image, annotator.plane
        if image is None or plane is None or annotator.drafting is None:
            return
        if labels != annotator.target and (problem := targets.fit_problem(labels, image)):
            annotator.feedback.report(InputError(problem))
            return
        try:
            record = self._record_of(labels, obj_id, plane)
        except InputError as error:
            annotator.feedback.report(error)
            return
        if record is not None:
            prompts = record.prompts.value()
            draft = Draft(prompts.choices, prompts.mask, record.region, plane, is_committed=True)
            annotator.drafting.edit(obj_id, plane, prompts.marks, draft)
            return
        annotator.worker(
            partial(cut_object, labels.data, obj_id, plane),
            partial(self._refine, labels, obj_id, plane),
            self._on_unreadable,
        )

    def _draft_row(self, obj_id: int, stored: StoredRow | None) -> ObjectRow:
        answer = self._annotator.session.answer(obj_id)
        name = "" if stored is None else stored.class_name
        if answer is None:
            return ObjectRow(obj_id, "waiting", class_name=name)
        state: ObjectState = "draft" if stored is None else "edited"
        area = int(answer.mask.mask.sum())
        return ObjectRow(obj_id, state, answer.iou_prediction, area, name)

    def _is_in_view(self, row: StoredRow) -> bool:
        plane = self._annotator.plane
        return plane is not None and row.plane is not None and row.plane.index == plane.index

    def _record_of(self, labels: Labels, obj_id: int, plane: PlaneIndex) -> ObjectRecord | None:
        """Return the newest commit of an object of the target on a plane, if it is known."""
        if labels != self._annotator.target:
            return None
        # The table goes along with napari's undo.
        stored = self.stored().get(obj_id)
        if stored is not None and stored.prompts:
            record = object_from_json(stored.prompts)
            if record.plane == plane:
                return record
        found = [each for each in self.log if each.obj_id == obj_id and each.plane == plane]
        return found[-1] if found else None

    def _refine(self, labels: Labels, obj_id: int, plane: PlaneIndex, cut: MaskCut) -> None:
        annotator = self._annotator
        drafting = annotator.drafting
        if drafting is None or annotator.plane != plane or not cut.mask.size:
            return
        is_target = labels == annotator.target
        number = obj_id if is_target else drafting.objects.largest + 1
        drafting.edit(number, plane, (), Draft(mask=cut, plane=plane, is_committed=is_target))

    def _on_unreadable(self, error: Exception) -> None:
        if not isinstance(error, Sam2Error):
            raise error
        self._annotator.feedback.report(error)

    def _on_committed(self, done: Committed) -> None:
        engine = self._annotator.session.engine
        name = self._annotator.session.model_name or ""
        model = ModelRecord(name=name, key=engine.key if engine else "")
        first = len(self.log)
        for answer in done.commit.answers:
            if answer.obj_id in done.new_ids:
                self.log.append(
                    ObjectRecord(
                        obj_id=done.new_ids[answer.obj_id],
                        plane=done.commit.plane,
                        prompts=PromptsRecord.of(answer.prompts),
                        region=answer.region,
                        options=answer.options,
                        model=model,
                        view=self._annotator.view.view,
                        iou_prediction=answer.iou_prediction,
                        committed=True,
                        commit_mode=done.commit.mode,
                        order=len(self.log),
                    )
                )
        assert self._table is not None
        self._table.add_rows(
            StoredRow(
                record.obj_id,
                record.plane,
                done.areas[record.obj_id],
                name,
                record.iou_prediction,
                object_to_json(record),
            )
            for record in self.log[first:]
        )
        self._annotator.objects_changed.emit()

    def _on_target(self, target: Any) -> None:
        self.log = []
        self._table = None if target is None else ObjectTable(target)

    def _on_edited(self) -> None:
        self._timer.start(_EDITED_MS)

    def _count(self) -> None:
        """Make the table agree with the plane in view after undo, redo or painting."""
        annotator = self._annotator
        # Rows that went with their objects come back with them.
        if annotator.is_closed or self._table is None or not (self.log or self._table.rows()):
            return
        if annotator.plane is None or annotator.target is None:
            return
        annotator.worker(
            partial(object_areas, annotator.target.data, annotator.plane),
            partial(self._follow, self._table, annotator.plane),
            self._on_unreadable,
        )

    def _follow(self, table: ObjectTable, plane: PlaneIndex, areas: Mapping[int, int]) -> None:
        if table is self._table:
            table.follow(plane, areas)
            self._annotator.objects_changed.emit()

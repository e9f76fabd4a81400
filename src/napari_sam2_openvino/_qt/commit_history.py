"""What was committed into one Labels layer: its table, and every commit in order."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from napari.layers import Labels

from napari_sam2_openvino._layers.features import ObjectRow, ObjectTable
from napari_sam2_openvino._layers.label_parts import MaskPrint
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.records import ObjectRecord, object_from_json, object_to_json
from napari_sam2_openvino.core.types import PlaneIndex

_Place = tuple[int, tuple[int | None, ...]]


@dataclass(frozen=True)
class _Entry:
    """A commit, and the image that it was drawn on; None if that is not known."""

    image_id: Any
    record: ObjectRecord

    @cached_property
    def place(self) -> _Place:
        """The object and the plane that it was committed on, whichever way round that was seen."""
        return self.record.obj_id, self.record.plane.index

    @cached_property
    def text(self) -> str:
        """The record as the table has it."""
        return object_to_json(self.record)


@dataclass(frozen=True)
class _Overview:
    """What there is of a table on each plane.

    Parameters
    ----------
    rows : mapping of int to ObjectRow
        The table that it is of.
    planes : set of PlaneIndex
    known_planes : set of PlaneIndex
        Also those of which all was taken back.
    on_plane : mapping
        Rows by obj_id, by the index of a plane.
    """

    rows: Mapping[int, ObjectRow]
    planes: set[PlaneIndex]
    known_planes: set[PlaneIndex]
    on_plane: Mapping[tuple[int | None, ...], dict[int, ObjectRow]]


class CommitHistory:
    """Keeps the table in ``labels.features``, and what a session writes down of the layer.

    Parameters
    ----------
    labels : Labels
        Rows that it has already, as of a layer that was saved, are taken over.
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self._table = ObjectTable(labels)
        self._log = [_Entry(None, record) for record in _recorded(self._table.rows())]
        # Objects and planes of commits that are not in the layer now.
        self._gone: set[_Place] = set()
        # Until something changes: it is asked for with each edit.
        self._overview: _Overview | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was committed, be it taken back or not."""
        return not (self._log or self._table.rows())

    def rows(self) -> Mapping[int, ObjectRow]:
        """Return the table, by obj_id."""
        return self._table.rows()

    @property
    def next_order(self) -> int:
        """What comes after all commits."""
        return max((each.record.order for each in self._log), default=-1) + 1

    def planes(self) -> set[PlaneIndex]:
        """Return the planes on which objects of the table were committed."""
        return set(self._look_over().planes)

    def on_plane(self, plane: PlaneIndex) -> dict[int, ObjectRow]:
        """Return the objects that were committed on a plane, as they are there."""
        return dict(self._look_over().on_plane.get(plane.index, {}))

    def _look_over(self) -> _Overview:
        there = self._table.rows()
        if self._overview is not None and self._overview.rows is there:
            return self._overview
        planes: set[PlaneIndex] = set()
        on_plane: dict[tuple[int | None, ...], dict[int, ObjectRow]] = defaultdict(dict)
        for row in there.values():
            if row.plane is not None:
                planes.add(row.plane)
                on_plane[row.plane.index][row.obj_id] = row
        for each in self._log:
            record = each.record
            if record.obj_id in there and each.place not in self._gone:
                planes.add(record.plane)
                here = on_plane[record.plane.index]
                if record.obj_id not in here:
                    # Its row is about the plane on which it was committed last.
                    here[record.obj_id] = replace(
                        there[record.obj_id],
                        plane=record.plane,
                        area=0,
                        iou_prediction=record.iou_prediction,
                    )
        known = planes | {each.record.plane for each in self._log}
        self._overview = _Overview(there, planes, known, on_plane)
        return self._overview

    def known_planes(self) -> set[PlaneIndex]:
        """Return the planes on which objects were ever committed, be they taken back or not."""
        return set(self._look_over().known_planes)

    def add(
        self,
        image_id: Any,
        records: Sequence[ObjectRecord],
        areas: Mapping[int, int],
        prints: Mapping[int, MaskPrint] | None = None,
    ) -> None:
        """Note commits.

        Parameters
        ----------
        image_id : hashable
            ``unique_id`` of the image.
        records : sequence of ObjectRecord
        areas : mapping of int to int
            Pixels on the plane, by obj_id.
        prints : mapping of int to MaskPrint, optional
            Of what is on the plane now, as far as that is known.
        """
        # A class is a matter of the table.
        plain = [each.model_copy(update={"class_name": ""}) for each in records]
        entries = [_Entry(image_id, each) for each in plain]
        self._log += entries
        self._gone -= {each.place for each in entries}
        self._overview = None
        rows = [
            ObjectRow(
                each.obj_id,
                each.plane,
                areas.get(each.obj_id, 0),
                "" if each.model is None else each.model.name,
                each.iou_prediction,
                entry.text,
                each.class_name,
            )
            for each, entry in zip(records, entries, strict=True)
        ]
        self._table.add_rows(rows, prints)

    def add_found(self, rows: Sequence[ObjectRow]) -> None:
        """Note objects that were found by a search: they have no prompts to be made again from."""
        self._table.add_rows(rows)

    def committed(self, image_id: Any) -> list[ObjectRecord]:
        """Return what of an image was committed, in order.

        Without what napari's undo has taken back since.
        """
        there, kept = self._table.rows(), []
        newest: set[_Place] = set()
        for entry in reversed(self._log):
            record = entry.record
            row, place = there.get(record.obj_id), entry.place
            if row is None or place in self._gone or entry.image_id not in (None, image_id):
                continue
            is_of_row = row.plane is not None and row.plane.index == record.plane.index
            if is_of_row and place not in newest and row.prompts != entry.text:
                continue
            newest.add(place)
            kept.append(record.model_copy(update={"class_name": row.class_name}))
        return kept[::-1]

    def record_of(self, obj_id: int, plane: PlaneIndex) -> ObjectRecord | None:
        """Return the commit that an object has on a plane, if it is known.

        None too if that was seen with rows and columns swapped: its prompts give another mask here.

        Raises
        ------
        InputError
            If its row is damaged.
        """
        # The table goes along with napari's undo.
        row = self._table.row(obj_id)
        if row is not None and row.prompts:
            record = object_from_json(row.prompts)
            if record.plane.index == plane.index:
                return record if record.plane == plane else None
        found = [each.record for each in self._log if each.place == (obj_id, plane.index)]
        return found[-1] if found and found[-1].plane == plane else None

    def set_class(self, obj_ids: Collection[int], name: str) -> None:
        """Give objects of the table a class; "" takes it away."""
        self._table.set_class(obj_ids, name)

    def keep_table(self) -> set[PlaneIndex] | None:
        """Write back what another program took out of the table, see `ObjectTable.keep`."""
        return self._table.keep()

    def follow(self, counts: Mapping[PlaneIndex, Mapping[int, MaskPrint]]) -> bool:
        """Make the table agree with what is on planes, after undo, redo or painting.

        Returns
        -------
        bool
            Whether anything is otherwise than before.
        """
        table_before, gone_before = self._table.rows(), self._gone
        self._table.follow(counts)
        there = {plane.index: areas.keys() for plane, areas in counts.items()}
        here = {each.place for each in self._log if each.record.plane.index in there}
        gone = {(obj_id, index) for obj_id, index in here if obj_id not in there[index]}
        lost = {obj_id for obj_id, _ in gone - self._gone}
        self._gone = (self._gone - here) | gone
        # Their rows were about these planes: they still have pixels on another one.
        self._table.bring_back(
            (each.record.obj_id, each.record.plane)
            for each in reversed(self._log)
            if each.record.obj_id in lost and each.place not in self._gone
        )
        is_other = self._table.rows() is not table_before or self._gone != gone_before
        if is_other:
            self._overview = None
        return is_other


def _recorded(rows: Mapping[int, ObjectRow]) -> list[ObjectRecord]:
    records = []
    for row in rows.values():
        try:
            if row.prompts:
                records.append(object_from_json(row.prompts))
        except InputError:
            # Of another program: such an object is refined by its mask.
            continue
    return sorted(records, key=lambda record: record.order)

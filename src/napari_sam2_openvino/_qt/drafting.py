"""What is being drawn on one image: which object is current, undo, what verbs do to objects."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

from psygnal import Signal

from napari_sam2_openvino._layers import drawing
from napari_sam2_openvino._layers.marks_io import PlacedMark
from napari_sam2_openvino._layers.snapshots import PromptSnapshot
from napari_sam2_openvino._qt.objects_in_hand import ObjectsInHand
from napari_sam2_openvino._qt.prompt_layers import PromptLayers
from napari_sam2_openvino._session.history import PromptHistory
from napari_sam2_openvino._session.objects import FOR_ALL, Draft, Mode, Objects
from napari_sam2_openvino.core.marks import Mark, ObjectPrompts
from napari_sam2_openvino.core.types import PlaneIndex


@dataclass(frozen=True)
class _Moment:
    """What undo goes back to."""

    marks: PromptSnapshot
    objects: Objects
    drawn_on: Mapping[int, PlaneIndex]

    def is_same(self, other: "_Moment") -> bool:
        """Whether the user sees no difference: which object is current is none."""
        return self.marks == other.marks and self.objects.drafts == other.objects.drafts

    def has(self, obj_id: int) -> bool:
        """Whether an object is in hand."""
        return obj_id in self.marks.obj_ids or obj_id in self.objects.refined

    def renumbered(self, new_ids: Mapping[int, int]) -> "_Moment":
        """Return the same of objects with other ids."""
        drawn_on = {new_ids.get(key, key): plane for key, plane in self.drawn_on.items()}
        marks, objects = self.marks.renumbered(new_ids), self.objects.renumber(new_ids)
        return _Moment(marks, objects, drawn_on)


class Drafting(ObjectsInHand):
    """What the user does with the objects in hand of one image. Lives in the main thread.

    Adds to what is known of them which one is current, undo, and the verbs.

    Parameters
    ----------
    layers : PromptLayers
        Of the image.
    """

    changed = Signal()
    """A verb changed prompts or choices."""

    current_changed = Signal()
    """Another object, polarity or mode is what new prompts get."""

    def __init__(self, layers: PromptLayers) -> None:
        super().__init__(layers)
        self.mode = Mode.ONE_OBJECT
        self.polarity = drawing.POSITIVE
        self.is_for_all = False
        self._history: PromptHistory[_Moment] = PromptHistory(is_same=_Moment.is_same)
        self._is_quiet = False
        self._show_current()
        self.record()

    def read(self, plane: PlaneIndex) -> dict[int, ObjectPrompts]:
        """Return what there is to decode on a plane, by obj_id.

        Raises
        ------
        InputError
            If a prompt cannot be used.
        """
        self.layers.adopt_boxes(self.objects.current)
        if self.mode is Mode.EACH_PROMPT:
            self._separate()
        self._leave_what_is_done(plane)
        marks = self.layers.read(plane)
        self.objects = self.objects.seen(marks.keys()).drawn(marks.keys(), plane)
        self._directions.note(marks.keys(), plane)
        return self.objects.prompts(self._theirs(marks, plane), plane)

    def _leave_what_is_done(self, plane: PlaneIndex) -> None:
        """Go on to a new object where the current one is to get no further prompts.

        It was drawn from another direction, or is no longer in hand, but in a target, or brought
        back by undo: what is drawn next would take its place.
        """
        current = self.objects.current
        is_done = not self.is_in_hand(current) and (
            self.labels.was_in_any(current) or self._was_removed(current)
        )
        if is_done or not self._directions.is_along(current, plane):
            self.objects = self.objects.next()
            self._show_current()

    def _was_removed(self, obj_id: int) -> bool:
        """Whether undo brings back an object that is no longer in hand."""
        return any(moment.has(obj_id) for moment in self._history.past)

    def _is_of_another(self, label: int) -> bool:
        """Whether the number of a label is, or was, that of an object that is not under it."""
        if self.labels.of(label) == label:
            return False
        is_remembered = any(moment.has(label) for moment in self._history.states)
        return is_remembered or self.is_in_hand(label) or self.labels.was_in_any(label)

    def id_of_label(self, label: int, plane: PlaneIndex) -> int:
        """Return the obj_id under which an object of the target is taken into hand on a plane."""
        for held in self.labels.objects_of(label):
            if self.is_in_hand(held) and self._directions.is_along(held, plane):
                return held
        # Else it may be another object, or this one, drawn from another side.
        is_taken = self.is_in_hand(label) or label in self._moved or self._is_of_another(label)
        obj_id = self.first_free_id if is_taken else label
        if self.labels.of(obj_id) != label:
            self.class_names.pop(obj_id, None)
        self.note_labels({obj_id: label})
        self.objects = self.objects.seen({obj_id})
        return obj_id

    def make_way(self, numbers: Collection[int]) -> None:
        """Let other objects have these numbers: those that have them, or had them, get new ones.

        So undo brings them back beside the others, not in their place.
        """
        self.record()
        taken = sorted(each for each in numbers if FOR_ALL < each <= self.objects.largest)
        new_ids = dict(zip(taken, count(max([self.objects.largest, *numbers]) + 1), strict=False))
        self._renumber(new_ids)
        self.labels.renumber(new_ids)
        moved = self._moved.items()
        self._moved = {new_ids.get(old, old): new_ids.get(new, new) for old, new in moved}
        self._history.change_all(lambda moment: moment.renumbered(new_ids))

    def leave_to_others(self, labels: Collection[int]) -> None:
        """Take it that objects of the target have these labels: nothing new is under them."""
        self._others = frozenset(labels) - {FOR_ALL}
        self.objects = self.objects.seen(labels)
        if self._foreign:
            self.record()
            self._move_away()
            self._history.amend(self._moment())
            self._show_current()
            self.changed.emit()
        current = self.objects.current
        is_free = current not in labels or self.labels.of(current) or self.is_in_hand(current)
        if not is_free:
            self.objects = self.objects.next()
            self._show_current()

    def record(self) -> None:
        """Make what is drawn now a step of undo, if it is new."""
        if not self._is_quiet:
            # Else coming back to this state would adopt them, as a new edit that ends redo.
            self.layers.adopt_boxes(self.objects.current)
            self._history.record(self._moment())

    def undo(self) -> bool:
        """Take back the last change of the prompts; False if there is none.

        While a shape is being drawn that is the last change.
        """
        if self.layers.is_drawing:
            return self._restore(self._history.current)
        self.record()
        return self._restore(self._history.undo())

    def redo(self) -> bool:
        """Do again what was undone last; False if there is nothing."""
        return self._restore(self._history.redo())

    def set_polarity(self, value: str) -> None:
        """Make the next point or scribble positive or negative."""
        self.polarity = value
        self._show_current()

    def set_for_all(self, is_for_all: bool) -> None:
        """Choose whether the next negative point counts for all objects."""
        self.is_for_all = is_for_all
        self._show_current()

    def set_mode(self, mode: Mode) -> None:
        """Choose what a new prompt belongs to."""
        self.mode = mode
        # What is drawn stays as it is: the next prompt is the first of the new mode.
        if mode is Mode.EACH_PROMPT and self.is_in_hand(self.objects.current):
            self.objects = self.objects.next()
        self._show_current()

    def select(self, obj_id: int) -> None:
        """Make an object the current one; the next prompts are all its own."""
        self.mode = Mode.ONE_OBJECT
        self.objects = self.objects.select(obj_id)
        self._show_current()

    def next_object(self, drawn: Collection[int]) -> None:
        """Go on to the next of the objects that are drawn, or to a new one.

        Parameters
        ----------
        drawn : collection of int
            obj_id of the objects with prompts on the plane in view.
        """
        later = [obj_id for obj_id in drawn if obj_id > self.objects.current]
        if later:
            self.select(min(later))
        elif self.is_in_hand(self.objects.current):
            # Also where it is drawn on other planes only.
            self.objects = self.objects.next()
            self._show_current()

    def previous_object(self, drawn: Collection[int]) -> None:
        """Go back to the object that was drawn before."""
        earlier = [obj_id for obj_id in drawn if obj_id < self.objects.current]
        if earlier:
            self.select(max(earlier))

    def clear(self, obj_id: int, plane: PlaneIndex) -> None:
        """Remove the prompts of an object on a plane."""
        was_in_hand = self.is_in_hand(obj_id)
        with self._step():
            self.layers.remove({obj_id}, plane)
            self.objects = self.objects.with_draft(obj_id, plane, Draft())
            is_gone = was_in_hand and not self.is_in_hand(obj_id)
            is_known = self.labels.was_in_any(obj_id) or self.class_names.get(obj_id) or is_gone
            if is_known and obj_id == self.objects.current:
                # What is drawn next takes neither its place in a target, or where undo brings it
                # back, nor its class.
                self.objects = self.objects.next()
        self.set_polarity(drawing.POSITIVE)

    def choose(self, obj_id: int, plane: PlaneIndex, stage: int, token: int) -> None:
        """Take another of the masks of an object."""
        with self._step():
            self.objects = self.objects.choose(obj_id, plane, stage, token)

    def edit(self, obj_id: int, plane: PlaneIndex, marks: tuple[Mark, ...], draft: Draft) -> None:
        """Bring an object back into hand, and make it the current one."""
        with self._step():
            self.layers.remove({obj_id}, plane)
            self.objects = self.objects.with_draft(obj_id, plane, Draft())
            if not self.is_in_hand(obj_id):
                # The direction that it was drawn from before it was committed is of no matter.
                self._directions.change(obj_id, plane)
            self.layers.place([PlacedMark(plane, obj_id, mark) for mark in marks])
            self.objects = self.objects.with_draft(obj_id, plane, draft)
        self._directions.note({obj_id}, plane)
        self.select(obj_id)

    def add(self, placed: Sequence[PlacedMark]) -> None:
        """Add marks of new objects, such as from a table; ids begin at `first_free_id`."""
        with self._step():
            self._place(placed)
            self.objects = self.objects.seen([each.obj_id for each in placed]).next()
        self._show_current()

    def restore(
        self,
        placed: Sequence[PlacedMark],
        drafts: Mapping[tuple[int, PlaneIndex], Draft],
        class_names: Mapping[int, str],
    ) -> None:
        """Replace everything that is drawn, under the ids that it has in a saved session."""
        self.class_names = dict(class_names)
        with self._step():
            self.layers.remove_all()
            self._directions.clear()
            self._place(placed)
            for obj_id, plane in drafts:
                self._directions.note({obj_id}, plane)
            used = {each.obj_id for each in placed} | {obj_id for obj_id, _ in drafts}
            self.objects = Objects(drafts=dict(drafts)).seen({self.objects.largest, *used}).next()
        self._show_current()

    def done(self, plane: PlaneIndex, new_ids: Mapping[int, int]) -> None:
        """Put objects away that were committed.

        Parameters
        ----------
        plane : PlaneIndex
        new_ids : mapping of int to int
            Of each object, the id that it was committed under.
        """
        moved = self._moved_to_labels(new_ids)
        with self._step():
            self.layers.remove(set(new_ids), plane)
            self._renumber(moved)
            self.objects = self.objects.without({moved.get(each, each) for each in new_ids}, plane)
            self.note_labels({**new_ids, **{new: new for new in moved.values()}})
        self.set_polarity(drawing.POSITIVE)

    def carried(self, new_ids: Mapping[int, int]) -> None:
        """Note under which ids objects are in the target; their prompts stay in hand.

        Parameters
        ----------
        new_ids : mapping of int to int
            Of each object.
        """
        moved = self._moved_to_labels(new_ids)
        if moved:
            with self._step():
                self._renumber(moved)
            self._show_current()
        self.note_labels({**new_ids, **{new: new for new in moved.values()}})

    def _moved_to_labels(self, new_ids: Mapping[int, int]) -> dict[int, int]:
        """Return which objects get their label as their number: no other one may have had it."""
        return {
            old: new for old, new in new_ids.items() if old != new and not self._is_of_another(new)
        }

    def _separate(self) -> None:
        """Make an object of each new prompt: those of the current object, which has none yet."""
        current = self.objects.current
        if self.layers.has_prompts(current):
            largest = self.layers.separate(current, self.objects.largest)
            self.objects = self.objects.seen({largest}).next()
            self._show_current()

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Make one step of undo of several edits."""
        self.record()
        self._is_quiet = True
        try:
            yield
        finally:
            self._is_quiet = False
            self.record()
        self.changed.emit()

    def _moment(self) -> _Moment:
        return _Moment(self.layers.snapshot(), self.objects, self._directions.snapshot())

    def _restore(self, moment: _Moment | None) -> bool:
        if moment is None:
            return False
        self._is_quiet = True
        try:
            self.layers.restore(moment.marks)
        finally:
            self._is_quiet = False
        self._directions.restore(moment.drawn_on)
        # Ids that were given out stay taken.
        self.objects = replace(moment.objects, largest=self.objects.largest)
        if self.mode is Mode.EACH_PROMPT and self.is_in_hand(self.objects.current):
            # The next prompt is an object of its own, as always in this mode.
            self.objects = self.objects.next()
        self._move_away()
        # Layers may say the same in another way: this is no new edit.
        self._history.amend(self._moment())
        self._show_current()
        self.changed.emit()
        return True

    def _show_current(self) -> None:
        is_for_all = self.polarity == drawing.NEGATIVE and (
            self.is_for_all or self.mode is Mode.EACH_PROMPT
        )
        self.layers.set_current(FOR_ALL if is_for_all else self.objects.current, self.polarity)
        self.current_changed.emit()

"""Which objects are in hand on one image, and under which numbers: of them, and of the target."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from napari_sam2_openvino._layers import drawing
from napari_sam2_openvino._layers.marks_io import LeftOut, PlacedMark
from napari_sam2_openvino._qt.prompt_layers import PromptLayers
from napari_sam2_openvino._session.directions import Directions
from napari_sam2_openvino._session.held_labels import HeldLabels
from napari_sam2_openvino._session.objects import FOR_ALL, Objects
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark, ObjectPrompts
from napari_sam2_openvino.core.types import PlaneIndex


@dataclass(frozen=True)
class _Known:
    """What prompts do not say of the objects in hand."""

    objects: Objects
    labels: HeldLabels
    directions: Directions
    class_names: dict[int, str]


class ObjectsInHand:
    """What is known of the objects in hand of one image, and which numbers are taken by what.

    An object has a number of its own, its obj_id, and a label once it is in the target. They are
    the same, unless it is drawn from several directions, or another object took the number: what is
    drawn makes way for what is in the target, and no number goes from one object to another while
    undo could bring back the first.

    Parameters
    ----------
    layers : PromptLayers
        Of the image.
    """

    def __init__(self, layers: PromptLayers) -> None:
        self.layers = layers
        self.objects = Objects()
        self.labels = HeldLabels()
        self.class_names: dict[int, str] = {}
        """By obj_id, for objects that the table of the target says nothing of."""
        # Numbers that objects of the target have, and those that drafts got instead of them.
        self._others: frozenset[int] = frozenset()
        self._moved: dict[int, int] = {}
        self._directions = Directions()
        self._adopt()

    def _adopt(self) -> None:
        """Go on with what is drawn on layers that were there already."""
        known = self.layers.known
        if isinstance(known, _Known):
            self.objects = known.objects.seen(self.layers.obj_ids)
            self.labels, self._directions = known.labels, known.directions
            self.class_names = known.class_names
        elif last := max(self.layers.obj_ids, default=0):
            self.objects = self.objects.select(last)
        if self.objects.refined:
            self.layers.add_preview()

    def close(self) -> None:
        """Leave the prompts to the user, and what is known of them to whoever goes on."""
        known = _Known(self.objects, self.labels, self._directions, self.class_names)
        if self.objects.refined:
            # Such an object needs no prompts: there may be no layer of them.
            drawing.leave_known(self.layers.image, known)
        self.layers.close(known)

    def planes(
        self, along: PlaneIndex | None = None, left_out: LeftOut | None = None
    ) -> Iterator[tuple[PlaneIndex, dict[int, ObjectPrompts]]]:
        """Give what is drawn on each plane, each object once and seen as it was drawn.

        Under `FOR_ALL` is what counts for all objects of the plane, which those have as well.
        Planes with a prompt that cannot be used are left out.

        Parameters
        ----------
        along : PlaneIndex, optional
            Only planes of this direction, with all of their objects seen as this plane is.
        left_out : set of (str, int), optional
            Where it is given, such prompts alone are left out, and noted in it.
        """
        examples = self._directions.examples if along is None else [along]
        noted = {each for _, plane in self.objects.drafts for each in (plane, plane.turned)}
        for example in examples:
            places = {*self.layers.planes(example), *noted}
            for plane in sorted(places, key=lambda each: repr(each.index)):
                if plane.displayed != example.displayed:
                    continue
                try:
                    marks = self.layers.read(plane, left_out)
                except InputError:
                    # The user was told when it was drawn.
                    continue
                yield plane, self._prompts(marks, plane, as_drawn=along is None)

    def planes_drawn(self, along: PlaneIndex) -> set[PlaneIndex]:
        """Return the planes of a direction on which something is drawn from that direction."""
        return {
            plane
            for plane, obj_ids in self.layers.planes(along).items()
            if any(self._directions.is_along(each, along) for each in obj_ids)
        }

    def _prompts(
        self, marks: Mapping[int, tuple[Mark, ...]], plane: PlaneIndex, *, as_drawn: bool
    ) -> dict[int, ObjectPrompts]:
        prompts = self.objects.prompts(self._theirs(marks, plane), plane)
        if for_all := marks.get(FOR_ALL):
            prompts[FOR_ALL] = ObjectPrompts(for_all)
        return {
            key: each
            for key, each in prompts.items()
            if self._directions.is_along(key, plane, as_drawn=as_drawn)
        }

    def _theirs(
        self, marks: Mapping[int, tuple[Mark, ...]], plane: PlaneIndex
    ) -> dict[int, tuple[Mark, ...]]:
        """Leave out points of objects that were drawn on planes of another direction."""
        return {key: each for key, each in marks.items() if self._directions.is_along(key, plane)}

    def is_in_hand(self, obj_id: int) -> bool:
        """Whether anything says where an object is, on any plane."""
        return self.layers.has_prompts(obj_id) or obj_id in self.objects.refined

    @property
    def largest_in_use(self) -> int:
        """The largest number of what is in hand, or has its label in the target; 0 if none is."""
        used = self.layers.obj_ids | self.objects.refined | self.labels.numbers
        return max(used, default=0)

    def note_labels(self, labels: Mapping[int, int]) -> None:
        """Take it that objects are in the target, under these labels by obj_id."""
        self.labels.note(labels)
        self.objects = self.objects.seen(labels.values())

    @property
    def _foreign(self) -> set[int]:
        """The drafts that have the number of another object of the target."""
        used = (self.layers.obj_ids | self.objects.refined) & self._others
        return {each for each in used if self.labels.of(each) is None}

    def _move_away(self) -> None:
        """Give drafts that have the number of another object the same free one each time."""
        while foreign := self._foreign:
            for obj_id in sorted(foreign - self._moved.keys()):
                self._moved[obj_id] = self.first_free_id
                self.objects = self.objects.seen({self._moved[obj_id]})
            moved = {each: self._moved[each] for each in foreign}
            self._renumber(moved)
            self.labels.add_numbers(moved)

    @property
    def first_free_id(self) -> int:
        """An id that no object has, nor any larger one."""
        return self.objects.largest + 1

    def _renumber(self, moved: Mapping[int, int]) -> None:
        self.layers.renumber(moved)
        self.objects = self.objects.renumber(moved)
        self._directions.renumber(moved)
        self.class_names = {moved.get(key, key): each for key, each in self.class_names.items()}

    def _place(self, placed: Sequence[PlacedMark]) -> None:
        self.layers.place(placed)
        for each in placed:
            self._directions.note({each.obj_id}, each.plane)

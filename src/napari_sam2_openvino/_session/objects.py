"""Which objects are being drawn: the current one, their ids, and what marks do not say of them.

The state is one frozen value, so that undo is to put an earlier one back.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

from napari_sam2_openvino.core.marks import Mark, MaskCut, ObjectPrompts
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

FOR_ALL = 0
"""The obj_id of marks that count for all objects."""

HOVER = -1
"""The obj_id of the preview under the pointer."""


class Mode(Enum):
    """What a new prompt belongs to."""

    ONE_OBJECT = "one object"
    EACH_PROMPT = "each prompt is an object"


@dataclass(frozen=True, eq=False)
class Draft:
    """What is known of an object on one plane, beside its marks.

    Parameters
    ----------
    choices : tuple of (int, int), optional
        See `ObjectPrompts`.
    mask : MaskCut, optional
        An object that exists and is refined.
    region : Region, optional
        Where it was decoded before.
    """

    choices: tuple[tuple[int, int], ...] = ()
    mask: MaskCut | None = None
    region: Region | None = None

    @property
    def is_of_marks(self) -> bool:
        """Whether it tells how marks are decoded, and of nothing that is there without them."""
        return self.mask is None and bool(self.choices or self.region)

    @cached_property
    def turned(self) -> "Draft":
        """The same on the plane with rows and columns swapped; always the same object."""
        return Draft(
            self.choices, self.mask and self.mask.turned, self.region and self.region.turned
        )


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects in hand.

    Parameters
    ----------
    current : int, optional
        obj_id of the object that new prompts belong to.
    largest : int, optional
        Largest obj_id that was ever given out or seen: none is given out twice.
    drafts : mapping of (int, PlaneIndex) to Draft, optional
        Of the objects that have more than marks, by obj_id and plane.
    """

    current: int = 1
    largest: int = 1
    drafts: Mapping[tuple[int, PlaneIndex], Draft] = field(default_factory=dict)

    def next(self) -> "Objects":
        """Make a new object the current one."""
        return replace(self, current=self.largest + 1, largest=self.largest + 1)

    def select(self, obj_id: int) -> "Objects":
        """Make an object the current one."""
        return replace(self, current=obj_id, largest=max(self.largest, obj_id))

    def seen(self, obj_ids: Collection[int]) -> "Objects":
        """Take note of ids that are in use."""
        largest = max(obj_ids, default=0)
        return replace(self, largest=largest) if largest > self.largest else self

    def draft(self, obj_id: int, plane: PlaneIndex) -> Draft:
        """Return what is known of an object on a plane, whichever way round it was noted."""
        if (draft := self.drafts.get((obj_id, plane))) is not None:
            return draft
        return self.drafts.get((obj_id, plane.turned), Draft()).turned

    def with_draft(self, obj_id: int, plane: PlaneIndex, draft: Draft) -> "Objects":
        """Note something of an object on a plane."""
        others = {key: each for key, each in self.drafts.items() if key != (obj_id, plane.turned)}
        return replace(self, drafts={**others, (obj_id, plane): draft})

    def decoded_in(self, regions: Mapping[int, Region], plane: PlaneIndex) -> "Objects":
        """Note where objects were decoded on a plane, by obj_id."""
        noted = {
            (obj_id, plane): replace(self.draft(obj_id, plane), region=region)
            for obj_id, region in regions.items()
        }
        others = {
            (obj_id, place): draft
            for (obj_id, place), draft in self.drafts.items()
            if obj_id not in regions or place.index != plane.index
        }
        return replace(self, drafts={**others, **noted})

    @cached_property
    def refined(self) -> frozenset[int]:
        """The objects that exist and are refined, on any plane."""
        return frozenset(obj_id for (obj_id, _), draft in self.drafts.items() if draft.mask)

    def without(self, obj_ids: Collection[int], plane: PlaneIndex) -> "Objects":
        """Forget what is done with on a plane, either way round; the ids stay taken."""
        kept = {
            (obj_id, place): draft
            for (obj_id, place), draft in self.drafts.items()
            if obj_id not in obj_ids or place.index != plane.index
        }
        objects = replace(self, drafts=kept)
        return objects.next() if self.current in obj_ids else objects

    def drawn(self, obj_ids: Collection[int], plane: PlaneIndex) -> "Objects":
        """Forget what was chosen of objects that are no longer drawn on a plane, nor refined there.

        Else it would count for what is drawn next under their ids.
        """
        kept = {
            (obj_id, place): draft
            for (obj_id, place), draft in self.drafts.items()
            if obj_id in obj_ids or place.index != plane.index or not draft.is_of_marks
        }
        return self if len(kept) == len(self.drafts) else replace(self, drafts=kept)

    def renumber(self, new_ids: Mapping[int, int]) -> "Objects":
        """Give objects other ids."""
        return Objects(
            current=new_ids.get(self.current, self.current),
            largest=max([self.largest, *new_ids.values()]),
            drafts={
                (new_ids.get(obj_id, obj_id), plane): draft
                for (obj_id, plane), draft in self.drafts.items()
            },
        )

    def choose(self, obj_id: int, plane: PlaneIndex, stage: int, token: int) -> "Objects":
        """Note which mask the user wants at a stage of an object's prompts."""
        draft = self.draft(obj_id, plane)
        others = tuple(choice for choice in draft.choices if choice[0] < stage)
        choices = (*others, (stage, token))
        return self.with_draft(obj_id, plane, replace(draft, choices=choices))

    def prompts(
        self, marks: Mapping[int, tuple[Mark, ...]], plane: PlaneIndex
    ) -> dict[int, ObjectPrompts]:
        """Return what there is to decode on a plane, by obj_id.

        Parameters
        ----------
        marks : mapping of int to tuple of Mark
            As `drawing.read_marks` returns them.
        plane : PlaneIndex

        Returns
        -------
        dict of int to ObjectPrompts
            Without objects that nothing positive is said about.
        """
        refined = {
            key
            for (key, place), draft in self.drafts.items()
            if draft.mask and place.index == plane.index
        }
        found = {}
        for obj_id in sorted((set(marks) | refined) - {FOR_ALL}):
            draft = self.draft(obj_id, plane)
            prompts = ObjectPrompts(
                # Before the object's own, so that they are no corrections of its mask.
                (*marks.get(FOR_ALL, ()), *marks.get(obj_id, ())),
                draft.mask,
                draft.choices,
            )
            if not prompts.is_empty:
                found[obj_id] = prompts
        return found

"""What is to be committed and what was, as values; which labels new objects get."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from napari.layers import Image, Labels

from napari_sam2_openvino._session.answers import ObjectAnswer
from napari_sam2_openvino._session.sifting import FoundObject
from napari_sam2_openvino.core.commit import CommitMode
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.types import PlaneIndex


class Answer(Protocol):
    """An object that can be written."""

    @property
    def obj_id(self) -> int:
        """Tells it from the others."""

    @property
    def mask(self) -> MaskCut:
        """Its pixels on the plane."""


@dataclass(frozen=True, eq=False)
class Commit:
    """What is to be written.

    Parameters
    ----------
    image : Image
    plane : PlaneIndex
    answers : tuple of Answer
    labels : mapping of int to int, optional
        Label by obj_id of those that are in the target already: their old pixels go. Others get
        their own number, or a free one if that is taken.
    mode : str, optional
    largest_in_hand : int, optional
        The largest obj_id that was ever given out, or of what was found the largest that is in use:
        free labels begin above it.
    """

    image: Image
    plane: PlaneIndex
    answers: Sequence[Answer]
    labels: Mapping[int, int] = field(default_factory=dict)
    mode: CommitMode = "keep existing"
    largest_in_hand: int = 0

    @property
    def replaced(self) -> frozenset[int]:
        """The labels whose old pixels go."""
        return frozenset(self.labels.values())


@dataclass(frozen=True, eq=False)
class DrawnCommit(Commit):
    """Objects that were drawn by hand."""

    answers: tuple[ObjectAnswer, ...]


@dataclass(frozen=True, eq=False)
class FoundCommit(Commit):
    """Objects that were found by a search."""

    answers: tuple[FoundObject, ...]


@dataclass(frozen=True, eq=False)
class Committed:
    """What was written.

    Parameters
    ----------
    commit : Commit
    labels : Labels
    new_ids : mapping of int to int
        Label by obj_id, of the objects that were written.
    areas : mapping of int to int
        Pixels by label.
    before : mapping of int to MaskCut or None
        By label, what the object had on the plane before; None if nothing was changed for it.
    """

    commit: Commit
    labels: Labels
    new_ids: Mapping[int, int] = field(default_factory=dict)
    areas: Mapping[int, int] = field(default_factory=dict)
    before: Mapping[int, MaskCut | None] = field(default_factory=dict)


def free_ids(
    obj_ids: Iterable[int], labels: Mapping[int, int], largest: int, largest_in_hand: int
) -> dict[int, int]:
    """Return a label for each object: the one that it has, its own number, or a free one.

    Parameters
    ----------
    obj_ids : iterable of int
    labels : mapping of int to int
        Label by obj_id of those that are in the target already.
    largest : int
        The largest label of the target.
    largest_in_hand : int
        The largest obj_id that was ever given out.
    """
    ids = {}
    for obj_id in obj_ids:
        label = labels.get(obj_id, obj_id)
        if obj_id not in labels and label <= largest:
            # Above the ids of all objects in hand, so that none loses its number to this one.
            label = max(largest, largest_in_hand) + 1
        ids[obj_id] = label
        largest = max(largest, label)
    return ids

"""What objects are to be on a plane: by what was found, what is there, and what the user did."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from napari_sam2_openvino._layers.left_objects import (
    NO_PIXELS,
    LeftObject,
    common,
    fingerprint,
    union,
)
from napari_sam2_openvino._layers.plane_windows import Window
from napari_sam2_openvino._layers.written_planes import WrittenPlane
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.types import PlaneIndex


@dataclass(frozen=True, eq=False)
class Wish:
    """What an object is to be on a plane.

    Parameters
    ----------
    label : int
    asked : MaskCut
        What was found of it.
    here : MaskCut
        What it has.
    older : MaskCut
        What of that no propagation wrote.
    whole : MaskCut
        All that it is to have.
    """

    label: int
    asked: MaskCut
    here: MaskCut
    older: MaskCut
    whole: MaskCut

    def left(self, plane: PlaneIndex, window: Window) -> LeftObject:
        """Return how it is after it was written in a window."""
        box = Box.around([Box.of(self.whole), Box.of(self.here)])
        cut = MaskCut(window.part(box) == self.label, box.origin)
        return LeftObject.of(plane, cut, fingerprint(self.asked, plane), self.older)


@dataclass(frozen=True, eq=False)
class Known:
    """How an object was left the last time.

    Parameters
    ----------
    left : LeftObject
    is_changed : bool
        Whether the user has changed it since, or committed it as it was.
    """

    left: LeftObject
    is_changed: bool


def what_is_known(
    plane: PlaneIndex, here: Mapping[int, MaskCut], history: Sequence[WrittenPlane]
) -> dict[int, Known]:
    """Return what is known of those objects, by label, that propagations wrote before.

    Parameters
    ----------
    plane : PlaneIndex
    here : mapping of int to MaskCut
        What the objects have, by label.
    history : sequence of WrittenPlane
        What was written on the plane, the newest last.
    """
    known = {}
    for written in history:
        # Of a copy: the main thread may forget some meanwhile.
        for label, left in list(written.left.items()):
            if label in here:
                now = fingerprint(here[label], plane)
                is_changed = left.pixels != now or written.is_committed(label, now)
                known[label] = Known(left, is_changed)
    return known


def make_wishes(
    plane: PlaneIndex,
    asked: Mapping[int, MaskCut],
    here: Mapping[int, MaskCut],
    known: Mapping[int, Known],
    replaced: Collection[int],
    given: Collection[int],
) -> tuple[list[Wish], frozenset[int]]:
    """Return what is to be written, and the labels that stay otherwise, as the user made them.

    Parameters
    ----------
    plane : PlaneIndex
    asked : mapping of int to MaskCut
        What was found, by label.
    here : mapping of int to MaskCut
        What is there, by label.
    known : mapping of int to Known
    replaced, given : collection of int
        As for `plane_writing.write_objects`.
    """
    wishes: list[Wish] = []
    by_hand: set[int] = set()
    for label, cut in asked.items():
        older = here[label]
        if label in replaced:
            older = NO_PIXELS
        elif label in known:
            left, mask = known[label].left, fingerprint(cut, plane)
            is_drawn_anew = label in given and (left.asked != mask or not here[label].mask.any())
            if known[label].is_changed and not is_drawn_anew:
                if mask != fingerprint(here[label], plane):
                    by_hand.add(label)
                continue
            if not known[label].is_changed:
                older = left.older_on(plane)
        whole = cut if label in given else union(older, cut)
        wishes.append(Wish(label, cut, here[label], older, whole))
    return wishes, frozenset(by_hand)


def left_of_others(
    others: Mapping[int, MaskCut],
    plane: PlaneIndex,
    known: Mapping[int, Known],
    windows: Sequence[Window],
) -> dict[int, LeftObject]:
    """Return how objects are after other ones were written over them, which is no user's doing.

    Parameters
    ----------
    others : mapping of int to MaskCut
        What they had, by label.
    plane : PlaneIndex
    known : mapping of int to Known
    windows : sequence of Window
        What was written.
    """
    found = {}
    for label, cut in others.items():
        if label not in known or known[label].is_changed:
            continue
        mask, left = cut.mask.copy(), known[label].left
        for window in {id(each): each for each in windows}.values():
            mask &= ~common(cut, MaskCut(window.after != label, window.origin)).mask
        still = MaskCut(mask, cut.origin)
        found[label] = LeftObject.of(plane, still, left.asked, left.older_on(plane))
    return found

"""Which objects are carried through a stack: read off what is drawn, labelled or found."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_sam2_openvino._layers.label_parts import (
    cut_objects,
    largest_label,
    object_areas,
)
from napari_sam2_openvino._layers.planes import image_shape
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.carried_runs import Stack
from napari_sam2_openvino._qt.drafting import Drafting
from napari_sam2_openvino._session.objects import FOR_ALL
from napari_sam2_openvino._session.propagating import PromptedObject
from napari_sam2_openvino._session.sifting import FoundObject, Sifted, objects_to_commit
from napari_sam2_openvino.core.marks import MaskCut, ObjectPrompts
from napari_sam2_openvino.core.propagation import KnownMask
from napari_sam2_openvino.core.propagation_parameters import ScopeParameters
from napari_sam2_openvino.core.types import PlaneIndex


def stack_in_view(annotator: Annotator, axis: int | None) -> Stack | None:
    """Return the planes that objects can be carried through; None if there is no such axis.

    Parameters
    ----------
    annotator : Annotator
    axis : int or None
        The axis that was moved along last. Channels are no planes.
    """
    image, plane = annotator.image, annotator.plane
    if image is None or plane is None:
        return None
    channels = annotator.view.view.axis
    hidden = [
        each for each, value in enumerate(plane.index) if value is not None and each != channels
    ]
    if not hidden:
        return None
    along = axis if axis in hidden else hidden[-1]
    planes = []
    for number in range(image_shape(image)[along]):
        index = list(plane.index)
        index[along] = number
        planes.append(PlaneIndex(tuple(index), plane.transposed))
    return Stack(image, tuple(planes), along, plane.index[along] or 0)


@dataclass(frozen=True, eq=False)
class Sources:
    """What is to be carried, before it has labels.

    Parameters
    ----------
    known : tuple of KnownMask
        Objects in hand whose mask is there, by obj_id.
    prompted : tuple of PromptedObject
        Objects in hand whose mask is still to be made.
    labels : mapping of int to int
        Label by obj_id of objects in hand that are in the target.
    wanted : frozenset of int or None
        Labels whose masks are read off the target on the plane in view; None for all of them.
    found : Sifted, optional
        What a search has found on the plane in view.
    """

    known: tuple[KnownMask, ...] = ()
    prompted: tuple[PromptedObject, ...] = ()
    labels: dict[int, int] = field(default_factory=dict)
    wanted: frozenset[int] | None = frozenset()
    found: Sifted | None = None

    @property
    def obj_ids(self) -> list[int]:
        """The objects in hand."""
        known = {each.obj_id for each in self.known}
        return sorted(known | {each.obj_id for each in self.prompted})


def gather(
    annotator: Annotator, stack: Stack, scope: ScopeParameters, found: Sifted | None
) -> Sources:
    """Read what is drawn; what is labelled is read later, in a worker.

    Parameters
    ----------
    annotator : Annotator
    stack : Stack
    scope : ScopeParameters
    found : Sifted or None
        What a search has found on the plane in view.
    """
    if scope.objects == "all found on this plane":
        return Sources(found=found)
    drafting = annotator.drafting
    if drafting is None:
        return Sources()
    current: int | None = drafting.objects.current
    if not drafting.layers.has_prompts(drafting.objects.current):
        current = annotator.focus
    known: list[KnownMask] = []
    prompted: list[PromptedObject] = []
    for at, obj_id, prompts in _drawn(drafting, stack):
        if scope.objects == "current object" and obj_id != current:
            continue
        if scope.objects == "all of this plane" and obj_id not in annotator.drawn:
            continue
        answer = annotator.session.answer(obj_id) if at == stack.current else None
        if answer is None:
            region = annotator.region_of(obj_id, stack.planes[at], prompts)
            prompted.append(PromptedObject(obj_id, at, prompts, region))
        elif answer.area:
            known.append(KnownMask(obj_id, at, answer.mask))
    places = {(each.obj_id, each.frame_idx) for each in known}
    places |= {(each.obj_id, each.frame_idx) for each in prompted}
    drawn = {obj_id for obj_id, _ in places}
    labels = labels_in_target(drafting, drawn)
    wanted: frozenset[int] | None = None
    if scope.objects != "all of this plane":
        # From the plane in view on means: from what the object is there.
        begins_here = scope.direction != "both"
        wanted = frozenset(
            label
            for key, label in labels.items()
            if begins_here and (key, stack.current) not in places
        )
    return Sources(tuple(known), tuple(prompted), labels, wanted)


def labels_in_target(drafting: Drafting, obj_ids: Iterable[int]) -> dict[int, int]:
    """Return the label, by obj_id, of those objects that are in the target now."""
    return {key: label for key in obj_ids if (label := drafting.labels.of(key)) is not None}


def _drawn(drafting: Drafting, stack: Stack) -> Iterator[tuple[int, int, ObjectPrompts]]:
    """Give what is drawn on the planes of a stack: the plane, the object, its prompts."""
    numbers = {plane: number for number, plane in enumerate(stack.planes)}
    for plane, drawn in drafting.planes(stack.planes[stack.current]):
        if plane in numbers:
            for obj_id, prompts in drawn.items():
                if obj_id != FOR_ALL:
                    yield numbers[plane], obj_id, prompts


@dataclass(frozen=True, eq=False)
class Read:
    """What was read in a worker.

    Parameters
    ----------
    largest : int
        The largest label of the target.
    cuts : mapping of int to MaskCut
        Masks on the plane in view, by label.
    found : tuple of FoundObject
        What a search has found.
    planes : mapping of int to frozenset of int, optional
        The numbers of all planes with pixels of an object, by label; empty if not asked for.
    gone : frozenset of int, optional
        Labels that were carried, and have no pixel any more on the planes where they were.
    """

    largest: int
    cuts: dict[int, MaskCut]
    found: tuple[FoundObject, ...]
    planes: dict[int, frozenset[int]] = field(default_factory=dict)
    gone: frozenset[int] = frozenset()


def read_sources(
    data: Any,
    stack: Stack,
    sources: Sources,
    largest: int | None,
    cancelled: Callable[[], bool],
    *,
    carried: Mapping[int, Collection[int]],
    on_all_planes: bool,
) -> Read:
    """Read what the target says; for the worker.

    Parameters
    ----------
    data : array_like of integers
        Of the target.
    stack : Stack
    sources : Sources
    largest : int or None
        The largest label, if it is known.
    cancelled : callable
    carried : mapping of int to collection of int
        The numbers of the planes that objects in the target were carried to, by label.
    on_all_planes : bool
        Whether to look up on which planes the objects are.

    Raises
    ------
    JobCancelledError
    InputError
        If the labels cannot be read.
    """
    plane = stack.planes[stack.current]
    if largest is None:
        largest = largest_label(data, cancelled)
    wanted: Collection[int]
    if sources.wanted is None:
        wanted = object_areas(data, plane, cancelled).keys() - set(sources.labels.values())
    else:
        wanted = sources.wanted
    cuts = cut_objects(data, wanted, plane, cancelled)
    cuts = {label: cut for label, cut in cuts.items() if cut.mask.any()}
    found = () if sources.found is None else objects_to_commit(sources.found)
    planes: dict[int, frozenset[int]] = {}
    if on_all_planes:
        planes = _planes_of(data, stack, {*cuts, *sources.labels.values()}, cancelled)
    return Read(largest, cuts, found, planes, _gone(data, stack, carried, cancelled))


def _gone(
    data: Any,
    stack: Stack,
    carried: Mapping[int, Collection[int]],
    cancelled: Callable[[], bool],
) -> frozenset[int]:
    """Return the objects without a pixel on any of their planes."""
    gone = set(carried)
    for number in sorted({each for numbers in carried.values() for each in numbers}):
        if not gone:
            break
        gone -= object_areas(data, stack.planes[number], cancelled).keys()
    return frozenset(gone)


def _planes_of(
    data: Any, stack: Stack, labels: Collection[int], cancelled: Callable[[], bool]
) -> dict[int, frozenset[int]]:
    """Return the numbers of the planes on which objects have pixels."""
    found: dict[int, set[int]] = {label: set() for label in labels}
    for number, plane in enumerate(stack.planes):
        for label in found.keys() & object_areas(data, plane, cancelled).keys():
            found[label].add(number)
    return {label: frozenset(numbers) for label, numbers in found.items()}

"""A propagation in the window: what it begins with, and whether it still fits what is in view."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from napari_sam2_openvino._layers import targets
from napari_sam2_openvino._layers.features import ObjectRow
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.carried_runs import CarriedRun, CarriedRuns, Stack
from napari_sam2_openvino._qt.carry_sources import Read, Sources, labels_in_target
from napari_sam2_openvino._qt.commits import free_ids
from napari_sam2_openvino._session.engines import Engine
from napari_sam2_openvino._session.propagating import PropagationJob
from napari_sam2_openvino.core.commit import CommitMode
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.propagation import CarriedPlane, KnownMask, Propagation
from napari_sam2_openvino.core.propagation_parameters import Carried, ScopeParameters
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

_NOTHING: Mapping[Carried, str] = {
    "all with prompts": "No object has prompts on these planes: draw one first.",
    "current object": "The current object has no prompts on these planes: draw some first.",
    "all of this plane": "This plane has no object: draw or commit one first.",
    "all found on this plane": "Nothing was found on this plane: find all objects first.",
}


@dataclass(eq=False)
class CarryJob:
    """A propagation on its way, from the first reading of the target on.

    Parameters
    ----------
    run : CarriedRun
    engine : Engine
    planes : sequence of PlaneSource
    mode : str
        How it is written where other objects are.
    scope : ScopeParameters
    parameters : VolumeParameters
    old : set of int
        Labels that were in the target before.
    kept : set of (int, int)
        Label and number of each plane on which old pixels of an object stayed beside its new ones.
    by_hand : set of (int, int)
        The same where an object stayed as the user has changed it.
    labelled : frozenset of int
        Labels whose masks were read off the target on the plane in view: they are there already.
    is_cancelled : bool
    """

    run: CarriedRun
    engine: Engine
    planes: Sequence[PlaneSource]
    mode: CommitMode
    scope: ScopeParameters
    parameters: VolumeParameters
    old: set[int] = field(default_factory=set)
    kept: set[tuple[int, int]] = field(default_factory=set)
    by_hand: set[tuple[int, int]] = field(default_factory=set)
    labelled: frozenset[int] = frozenset()
    is_cancelled: bool = False


def nothing_to_carry(scope: ScopeParameters) -> InputError:
    """Return what to say where no object is there to be carried."""
    return InputError(_NOTHING[scope.objects])


def check_can_carry(
    stack: Stack | None, engine: Engine | None, parameters: VolumeParameters
) -> tuple[Stack, Engine]:
    """Return stack and model if objects can be carried.

    Raises
    ------
    InputError
        If not.
    """
    if stack is None:
        raise InputError(
            "Objects are carried along an axis of planes, but this image has none: choose a "
            "stack or a time series."
        )
    if engine is None:
        raise InputError("The model is not there yet: wait until it is loaded.")
    if parameters.method == "memory" and not engine.has_memory:
        raise InputError(
            f"{engine.name} has no memory: choose projection or automatic, or convert a "
            "checkpoint with its memory."
        )
    return stack, engine


def give_labels(
    job: CarryJob,
    annotator: Annotator,
    runs: CarriedRuns,
    planes: tuple[int, int] | None,
    sources: Sources,
    read: Read,
) -> PropagationJob:
    """Give each object its label, note the run, and return what is to be computed.

    Parameters
    ----------
    job : CarryJob
    annotator : Annotator
    runs : CarriedRuns
    planes : tuple of int or None
        The first and the last plane that may be written; None for all.
    sources : Sources
    read : Read

    Raises
    ------
    InputError
        If there is no object, or its label does not fit the layer.
    """
    stack, drafting = job.run.stack, annotator.drafting
    assert drafting is not None
    taken_already = max(read.largest, annotator.committer.reserved)
    # Some may have been committed while the target was read.
    labels = sources.labels | labels_in_target(drafting, sources.obj_ids)
    ids = free_ids(sources.obj_ids, labels, taken_already, drafting.objects.largest)
    # What was found is of no number yet: it gets none of an object that is in hand.
    largest = max([taken_already, drafting.largest_in_use, *ids.values()])
    known = [replace(each, obj_id=ids[each.obj_id]) for each in sources.known]
    prompted = [replace(each, obj_id=ids[each.obj_id]) for each in sources.prompted]
    known += [KnownMask(label, stack.current, cut) for label, cut in read.cuts.items()]
    known += [
        KnownMask(largest + number, stack.current, each.mask)
        for number, each in enumerate(read.found, start=1)
    ]
    if not known and not prompted:
        raise nothing_to_carry(job.scope)
    taken = {each.obj_id for each in known} | {each.obj_id for each in prompted}
    targets.check_id(job.run.labels, max(taken))
    annotator.committer.reserve(max(taken))
    drafting.carried(ids)
    job.old = taken & {*labels.values(), *read.cuts}
    job.labelled = frozenset(read.cuts)
    # Nobody corrects what is gone: it is found anew.
    runs.begin_anew(job.run.labels, stack, read.gone | (taken - job.old))
    earlier = runs.planes_of(job.run.labels, stack, taken)
    for label in job.old & read.planes.keys():
        earlier[label] = earlier.get(label, frozenset()) | read.planes[label]
    runs.add(job.run)
    first, last = planes or (0, len(stack.planes) - 1)
    make = partial(
        Propagation,
        job.planes,
        first=first,
        last=last,
        direction=job.scope.direction,
        start=stack.current,
        until_it_ends=job.scope.until_it_ends,
        earlier=earlier,
        parameters=job.parameters,
    )
    return PropagationJob(
        job.engine,
        job.planes,
        known,
        prompted,
        lambda masks: make(known=masks),
        annotator.session.options,
    )


def why_stale(job: CarryJob, annotator: Annotator) -> str:
    """Return what is no longer as it was when the job began; empty if all is."""
    run = job.run
    if annotator.image != run.stack.image:
        return "Another image was chosen"
    if annotator.target != run.labels or run.labels.data is not run.data:
        return "Another target was chosen"
    engine = annotator.session.engine
    if engine is None or engine.key != job.engine.key:
        # Two models never share the memory.
        return "Another model was chosen"
    try:
        (seen,) = annotator.view.sources(run.stack.planes[:1])
    except InputError:
        return "The channels are others"
    return "" if seen.key == job.planes[0].key else "The network sees the image otherwise"


def new_rows(job: CarryJob, there: Collection[int]) -> list[ObjectRow]:
    """Return a row of the table for each object that was found and is not in it yet."""
    rows = []
    for label, planes in job.run.found.items():
        with_pixels = [number for number, each in planes.items() if each.area]
        given = [number for number in with_pixels if planes[number].is_known]
        if with_pixels and label not in there:
            at = (given or with_pixels)[0]
            plane = job.run.stack.planes[at]
            rows.append(ObjectRow(label, plane, planes[at].area, job.engine.name))
    return rows


def to_write(job: CarryJob, carried: CarriedPlane) -> list[tuple[int, MaskCut]]:
    """Return labels and masks of the objects of a plane that are not there already."""
    is_in_view = carried.frame_idx == job.run.stack.current
    return [
        (each.obj_id, each.mask.cut())
        for each in carried.objects
        if not (is_in_view and each.is_known and each.obj_id in job.labelled)
    ]


def what_was_done(job: CarryJob) -> str:
    """Return how a propagation that has come to its end is announced."""
    run = job.run
    there = [number for its in run.found.values() for number, each in its.items() if each.area]
    n_objects = len({label for _, label in run.touched})
    objects = "One object is" if n_objects == 1 else f"{n_objects} objects are"
    text = f"{objects} on {len(set(there))} planes of {run.labels.name}."
    if job.by_hand:
        text += (
            f" On {_count_planes(job.by_hand)} what you changed by hand or committed stayed as it "
            "was: with “Replace older pixels” it is found anew."
        )
    if job.kept:
        text += (
            f" On {_count_planes(job.kept)} older pixels of theirs stayed beside the new ones: "
            "with “Replace older pixels” they go."
        )
    return text


def _count_planes(places: Collection[tuple[int, int]]) -> str:
    n_planes = len({plane for _, plane in places})
    return "one plane" if n_planes == 1 else f"{n_planes} planes"

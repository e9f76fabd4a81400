"""What propagations wrote, so that they can be shown, told from other labels, and taken back."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels

from napari_sam2_openvino._layers.left_objects import fingerprint
from napari_sam2_openvino._layers.written_planes import WrittenPlane
from napari_sam2_openvino._qt.score_strip import PlaneFinding
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.propagation import CarriedPlane
from napari_sam2_openvino.core.types import PlaneIndex

# Of run lengths: far more than anybody takes back.
MAX_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class Stack:
    """The planes of an image along one axis.

    Parameters
    ----------
    image : Image
    planes : tuple of PlaneIndex
    axis : int
    current : int
        The number of the plane in view.
    """

    image: Image
    planes: tuple[PlaneIndex, ...]
    axis: int
    current: int

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for the same planes, whichever of them is in view."""
        return self.image.unique_id, self.planes[0], self.axis, len(self.planes)

    @property
    def axis_name(self) -> str:
        """What the axis is called."""
        return str(self.image.axis_labels[self.axis])


@dataclass(eq=False)
class CarriedRun:
    """One propagation.

    Parameters
    ----------
    labels : Labels
        The layer that it was written to.
    data : array_like
        Its pixels at that time: where they were replaced since, nothing can be taken back.
    stack : Stack
    written : list of WrittenPlane
        In the order in which they were written.
    found : dict of int to dict of int to PlaneFinding
        By label and plane.
    touched : set of (plane, label)
        Where objects have pixels from it; a plane is told by its index.
    settled : list of WrittenPlane
        Those that can be taken back no more.
    """

    labels: Labels
    data: Any
    stack: Stack
    written: list[WrittenPlane] = field(default_factory=list)
    found: dict[int, dict[int, PlaneFinding]] = field(default_factory=dict)
    touched: set[tuple[tuple[int | None, ...], int]] = field(default_factory=set)
    settled: list[WrittenPlane] = field(default_factory=list)
    _on_its_way: WrittenPlane | None = None

    def begin(self, plane: PlaneIndex) -> None:
        """Note that a plane is about to be written."""
        self._on_its_way = WrittenPlane(plane, {})

    def add(self, carried: CarriedPlane, written: WrittenPlane) -> None:
        """Note a plane; it may be one that was written before."""
        self.written.append(written)
        if self._on_its_way is not None:
            written.commits.update(self._on_its_way.commits)
            self._on_its_way = None
        for each in carried.objects:
            area = written.areas.get(each.obj_id, each.mask.area)
            score = float(1 / (1 + np.exp(-np.clip(each.object_score, -50, 50))))
            finding = PlaneFinding(area, score, each.is_known)
            self.found.setdefault(each.obj_id, {})[carried.frame_idx] = finding
            if area:
                self.touched.add((written.plane.index, each.obj_id))

    def forget(self, written: WrittenPlane) -> None:
        """Note that a plane was taken back."""
        self.written.remove(written)
        index = written.plane.index
        if any(each.plane.index == index for each in self.written):
            return
        number = index[self.stack.axis]
        self.touched = {each for each in self.touched if each[0] != index}
        for planes in self.found.values():
            planes.pop(number or 0, None)

    def settle(self) -> None:
        """Give up taking it back."""
        self.settled += [replace(each, changes=()) for each in self.written]
        self.written.clear()

    def on_plane(self, plane: PlaneIndex) -> list[WrittenPlane]:
        """Return what was written on a plane, the newest last."""
        index = plane.index
        return [each for each in (*self.settled, *self.written) if each.plane.index == index]

    def note_commits(self, plane: PlaneIndex, before: Mapping[int, int | None]) -> None:
        """Note objects that were committed on a plane, see `WrittenPlane.commits`."""
        noted = self.on_plane(plane)
        if self._on_its_way is not None and self._on_its_way.plane.index == plane.index:
            noted.append(self._on_its_way)
        for each in noted:
            for label, pixels in before.items():
                each.note_commit(label, pixels)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(each.nbytes for each in self.written)


class CarriedRuns:
    """All propagations of a window, the newest last."""

    def __init__(self) -> None:
        self._runs: list[CarriedRun] = []

    def add(self, run: CarriedRun) -> None:
        """Note a propagation that begins."""
        self._runs.append(run)

    def trim(self) -> None:
        """Give up taking back the oldest ones, where they need too much memory."""
        total = sum(run.nbytes for run in self._runs)
        for run in self._runs[:-1]:
            if total <= MAX_BYTES:
                return
            total -= run.nbytes
            run.settle()

    def last(self, labels: Labels | None) -> CarriedRun | None:
        """Return the newest propagation of a layer that can be taken back."""
        found = [run for run in self._of(labels) if run.written]
        return found[-1] if found else None

    def remove(self, run: CarriedRun) -> None:
        """Forget one that was taken back."""
        self._runs.remove(run)

    def forget(self, labels: Labels) -> None:
        """Forget all of a layer that is gone."""
        self._runs = [run for run in self._runs if run.labels != labels]

    def on_plane(self, labels: Labels, plane: PlaneIndex) -> list[WrittenPlane]:
        """Return what propagations wrote on a plane, the newest last."""
        return [each for run in self._of(labels) for each in run.on_plane(plane)]

    def begin_anew(self, labels: Labels, stack: Stack, obj_ids: Collection[int]) -> None:
        """Take it that nothing is known of objects on a stack; all can be taken back as before."""
        indices = {plane.index for plane in stack.planes}
        for run in self._of(labels):
            run.touched = {
                (index, label)
                for index, label in run.touched
                if index not in indices or label not in obj_ids
            }
            for each in (*run.settled, *run.written):
                for label in each.left.keys() & obj_ids if each.plane.index in indices else ():
                    del each.left[label]

    def note_commits(
        self, labels: Labels, plane: PlaneIndex, before: Mapping[int, MaskCut | None]
    ) -> None:
        """Note that objects of a plane are the user's.

        Parameters
        ----------
        labels : Labels
        plane : PlaneIndex
        before : mapping of int to MaskCut or None
            By label, what they had before; None if they were committed as they were.
        """
        noted = {
            label: None if cut is None else fingerprint(cut, plane) for label, cut in before.items()
        }
        for run in self._of(labels):
            run.note_commits(plane, noted)

    def planes_of(
        self, labels: Labels, stack: Stack, obj_ids: set[int]
    ) -> dict[int, frozenset[int]]:
        """Return the numbers of the planes on which objects have pixels from a propagation."""
        numbers = {plane.index: number for number, plane in enumerate(stack.planes)}
        found: dict[int, set[int]] = {}
        for run in self._of(labels):
            for index, label in run.touched:
                if label in obj_ids and index in numbers:
                    found.setdefault(label, set()).add(numbers[index])
        return {label: frozenset(planes) for label, planes in found.items()}

    def found(self, labels: Labels | None, stack: Stack) -> dict[int, dict[int, PlaneFinding]]:
        """Return what was found on the planes of a stack, by label and plane."""
        merged: dict[int, dict[int, PlaneFinding]] = {}
        for run in self._of(labels):
            if run.stack.key == stack.key:
                for label, planes in run.found.items():
                    merged.setdefault(label, {}).update(planes)
        return merged

    def nbytes(self, labels: Labels | None) -> int:
        """Return the memory held for taking back what was written to a layer, in bytes."""
        return sum(run.nbytes for run in self._of(labels))

    def _of(self, labels: Labels | None) -> Iterator[CarriedRun]:
        if labels is None:
            return iter(())
        return (run for run in self._runs if run.labels == labels and run.data is labels.data)


def all_together(found: Mapping[int, Mapping[int, PlaneFinding]]) -> dict[int, PlaneFinding]:
    """Return what was found of all objects together: the sum of areas and the lowest score."""
    planes: dict[int, list[PlaneFinding]] = {}
    for its in found.values():
        for plane, finding in its.items():
            planes.setdefault(plane, []).append(finding)
    return {
        plane: PlaneFinding(
            sum(each.area for each in findings),
            min((each.score for each in findings if each.area), default=0.0),
            any(each.is_known for each in findings),
        )
        for plane, findings in planes.items()
    }

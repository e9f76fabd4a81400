"""Objects of neighbouring planes become one: in 3D, or over time.

A second pass over planes that are finished. Planes are gone through in their order; each object of
a plane is matched with an object that ended on one of the planes before, by the overlap of their
masks (IoU): with those of the plane before first, then with those before a gap. Among objects that
overlap it is the assignment with the largest sum of IoUs, not the first that fits. As many planes
are in memory as a gap may be long, and what was decided is kept for each plane, so that the pass
goes on where it was.
"""

import io
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._files.labels_store import LabelsStore
from napari_sam2_openvino.batch.axes import Axes
from napari_sam2_openvino.batch.journal import Journal, write_whole
from napari_sam2_openvino.batch.parameters import LinkParameters
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.progress import Progress

Labels = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class _Plane:
    """A plane that was linked.

    Parameters
    ----------
    labels : ndarray of uint32, shape (H, W)
        As they were segmented.
    ids : ndarray of uint32, shape (largest label + 1,)
        Their ids through all planes, by label; 0 for labels that are not there.
    """

    labels: Labels
    ids: NDArray[np.uint32]


def decide_links(
    store: LabelsStore,
    series: Sequence[Sequence[int]],
    axes: Axes,
    journal: Journal,
    parameters: LinkParameters,
) -> Generator[Progress, None, None]:
    """Decide which objects of which planes are one, and note it in the journal.

    Parameters
    ----------
    store : LabelsStore
        Planes as they were segmented.
    series : sequence of sequences of int
        See `link_series`.
    axes : Axes
        Of the image.
    journal : Journal
    parameters : LinkParameters
    """
    n_planes, n_done, next_id = sum(len(numbers) for numbers in series), 0, 1
    for numbers in series:
        recent: deque[_Plane] = deque(maxlen=parameters.link_max_gap + 1)
        for number in numbers:
            labels = store.read(axes.position(number))
            path = journal.link_file(number)
            if path.is_file():
                ids = np.load(path, allow_pickle=False)
            else:
                ids = _link(labels, recent, next_id, parameters.link_min_iou)
                _save(path, ids)
            next_id = max(next_id, int(ids.max(initial=0)) + 1)
            recent.appendleft(_Plane(labels, ids))
            n_done += 1
            yield Progress("Linking", n_done / n_planes, f"plane {n_done} of {n_planes}")


def linked_plane(labels: Labels, journal: Journal, number: int) -> Labels:
    """Return a plane with the ids that were decided."""
    ids: Labels = np.load(journal.link_file(number), allow_pickle=False)
    return ids[labels]


def link_series(axes: Axes, axis: str, chosen: Iterable[int]) -> list[list[int]]:
    """Return the numbers of planes that are gone through one after the other.

    Parameters
    ----------
    axes : Axes
        Of the image.
    axis : str
        Along which objects are linked.
    chosen : iterable of int
        The planes that count; others are no gaps between them.

    Raises
    ------
    InputError
        If the image has no such axis.
    """
    letters, shape = axes.labels_letters[:-2], axes.labels_shape[:-2]
    if axis.upper() not in letters:
        raise InputError(
            f"Planes cannot be linked along {axis}: the axes are {axes}. Name them, or choose "
            "another axis."
        )
    numbers = np.arange(axes.n_planes).reshape(shape)
    moved = np.moveaxis(numbers, letters.index(axis.upper()), -1)
    counting = set(chosen)
    return [
        [number for number in numbers if number in counting]
        for numbers in moved.reshape(-1, moved.shape[-1]).tolist()
    ]


def _link(
    labels: Labels, recent: Iterable[_Plane], next_id: int, min_iou: float
) -> NDArray[np.uint32]:
    """Return the ids of the labels of a plane; ``recent`` is from the plane before backwards."""
    ids = np.zeros(int(labels.max(initial=0)) + 1, np.uint32)
    areas = np.bincount(labels.ravel(), minlength=len(ids))
    free = areas > 0
    free[0] = False
    taken: set[int] = set()
    for before in recent:
        for label, other in _assign(labels, before, free, taken, min_iou):
            ids[label] = before.ids[other]
            free[label] = False
        # What has gone on, or was there to be matched, does not come back from further behind.
        taken |= set(before.ids[before.ids > 0].tolist())
    ids[free] = np.arange(next_id, next_id + int(free.sum()), dtype=np.uint32)
    return ids


def _assign(
    labels: Labels, before: _Plane, free: NDArray[np.bool_], taken: set[int], min_iou: float
) -> list[tuple[int, int]]:
    """Match free labels of a plane with labels of another one, by the largest sum of IoUs."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs, ious = _overlaps(labels, before.labels)
    is_open = np.isin(before.ids, list(taken), invert=True)
    keep = (ious >= min_iou) & free[pairs[0]] & is_open[pairs[1]]
    (ours, theirs), ious = pairs[:, keep], ious[keep]
    if not len(ious):
        return []
    # Objects that overlap nowhere, directly or by way of others, are matched apart: the matrices
    # stay small however many objects there are.
    size = len(free) + len(before.ids)
    graph = coo_array((ious, (ours, theirs + len(free))), shape=(size, size))
    _, groups = connected_components(graph, directed=False)
    matches = []
    order = np.argsort(groups[ours], kind="stable")
    starts = np.flatnonzero(np.diff(groups[ours][order], prepend=-1))
    for members in np.split(order, starts[1:]):
        rows, row = np.unique(ours[members], return_inverse=True)
        columns, column = np.unique(theirs[members], return_inverse=True)
        scores = np.zeros((len(rows), len(columns)))
        scores[row, column] = ious[members]
        for first, second in zip(*linear_sum_assignment(scores, maximize=True), strict=True):
            if scores[first, second] > 0:
                matches.append((int(rows[first]), int(columns[second])))
    return matches


def _overlaps(first: Labels, second: Labels) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pairs of labels that share pixels, shape (2, n), and their IoUs."""
    is_both = (first > 0) & (second > 0)
    width = int(second.max(initial=0)) + 1
    coded, shared = np.unique(
        first[is_both].astype(np.int64) * width + second[is_both], return_counts=True
    )
    pairs = np.stack([coded // width, coded % width])
    areas = np.bincount(first.ravel()), np.bincount(second.ravel())
    union = areas[0][pairs[0]] + areas[1][pairs[1]] - shared
    return pairs, shared / union


def _save(path: Path, ids: NDArray[np.uint32]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, ids)
    write_whole(path, buffer.getvalue())

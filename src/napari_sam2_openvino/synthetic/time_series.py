"""Short time series with ground truth, each given by its kind and a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic.camera import Image, take_image
from napari_sam2_openvino.synthetic.forms import THINNEST, draw_forms
from napari_sam2_openvino.synthetic.outlines import crop, rasterize, rotated
from napari_sam2_openvino.synthetic.parameters import KINDS, Kind, SceneParameters
from napari_sam2_openvino.synthetic.placement import Layout
from napari_sam2_openvino.synthetic.tracks import Motion, Track, simulate

_LEAST_AREA = 12
"""Of an object with fewer visible pixels nothing is marked at that time."""


@dataclass(frozen=True, slots=True, eq=False)
class TimeSeries:
    """Synthetic images of the same objects at several times.

    Attributes
    ----------
    image : ndarray of uint8 or uint16, shape (T, H, W) or (T, H, W, 3)
    labels : ndarray of int32, shape (T, H, W)
        0 is background; an object has the same number at every time, and the numbers of all
        objects that are seen at any time go from 1 on without gaps. At any one time an object is
        in one piece, or not in the image.
    parents : ndarray of int32, shape (N + 1,)
        Entry i is the number of the object that divided into object i and another one; 0 if none
        did, or if it was never seen.
    parameters : SceneParameters
        What the objects and their images were drawn from.
    seed : int
    """

    image: Image
    labels: NDArray[np.int32]
    parents: NDArray[np.int32]
    parameters: SceneParameters
    seed: int


def make_time_series(
    kind: Kind,
    seed: int,
    *,
    frames: int = 8,
    shape: tuple[int, int] = (256, 256),
    difficulty: float = 0.3,
    motion: Motion | None = None,
    parameters: SceneParameters | None = None,
) -> TimeSeries:
    """Make images of objects that move, touch, divide, appear and vanish, with their ground truth.

    Parameters
    ----------
    kind : str
        One of `KINDS`, but not "membrane", whose cells fill the image.
    seed : int
        The same kind, parameters and seed give the same series.
    frames : int
        Number of times.
    shape : tuple of int
        (height, width) in pixels.
    difficulty : float
        From 0 to 1, see `SceneParameters.at_difficulty`.
    motion : Motion, optional
        How objects behave; `Motion()` without it.
    parameters : SceneParameters, optional
        Used instead of `shape` and `difficulty`. `gap` and `touching` are not used.

    Returns
    -------
    TimeSeries

    Raises
    ------
    ValueError
        If a value is out of its range, or `parameters` are of another kind.

    Examples
    --------
    >>> series = make_time_series("fluorescence", seed=1, frames=3, shape=(64, 96))
    >>> series.image.shape, series.labels.shape
    ((3, 64, 96), (3, 64, 96))
    """
    if kind not in KINDS or kind == "membrane":
        expected = ", ".join(name for name in KINDS if name != "membrane")
        raise ValueError(f"kind must be one of {expected}, but got {kind!r}")
    if frames < 1:
        raise ValueError(f"frames must be at least 1, but got {frames}")
    if parameters is not None and parameters.kind != kind:
        raise ValueError(f"parameters are for kind {parameters.kind!r}, but kind is {kind!r}")
    rng = np.random.default_rng([seed, KINDS.index(kind), frames])
    if parameters is None:
        parameters = SceneParameters.at_difficulty(kind, difficulty, shape, rng)
    count = int(rng.integers(parameters.object_count[0], parameters.object_count[1] + 1))
    forms = list(draw_forms(rng, parameters, count))
    history = simulate(rng, forms, parameters.shape, frames, motion or Motion())
    known = {track.obj_id: track for tracks in reversed(history) for track in tracks}
    images: list[Image] = []
    labels = []
    for tracks in history:
        layout = _draw_layout(tracks, known, parameters.shape)
        # The same numbers each time: what is not moved or noise stays as it is.
        same = np.random.default_rng([seed, KINDS.index(kind), 0])
        images.append(take_image(same, layout, parameters, noise_rng=rng))
        labels.append(layout.labels)
    numbered, parents = _without_gaps(np.stack(labels), known)
    return TimeSeries(cast(Image, np.stack(images)), numbered, parents, parameters, seed)


def _draw_layout(tracks: list[Track], known: dict[int, Track], shape: tuple[int, int]) -> Layout:
    """Draw all objects of one time; `known` are all objects where they were first."""
    labels = np.zeros(shape, np.int32)
    depth = np.zeros(shape, np.float32)
    overlap = np.zeros(shape, bool)
    radii = np.ones(max(known) + 1, np.float32)
    shifts = np.zeros((max(known) + 1, 2), np.int64)
    for obj_id, first in known.items():
        radii[obj_id] = first.radius
    longest = 0.9 * min(shape)
    for track in tracks:
        shifts[track.obj_id] = np.rint(track.centre - known[track.obj_id].centre)
        field = rasterize(
            rotated(track.form, track.angle), track.radius, thinnest=THINNEST, longest=longest
        )
        y, x = np.rint(track.centre).astype(int)
        part, window = crop(field, (int(y), int(x)), shape)
        free = _largest_piece((part < 0) & (labels[window] == 0))
        overlap[window] |= (part < 0) & (labels[window] > 0)
        if np.count_nonzero(free) >= _LEAST_AREA:
            labels[window][free] = track.obj_id
            depth[window][free] = -part[free]
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    moved = shifts[labels]
    texture_from = (rows - moved[..., 0]) % shape[0], (columns - moved[..., 1]) % shape[1]
    return Layout(labels, depth, overlap, radii, texture_from=texture_from)


def _largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)


def _without_gaps(
    labels: NDArray[np.int32], known: dict[int, Track]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give what is seen the numbers from 1 on, also as parents."""
    seen = [obj_id for obj_id in np.unique(labels).tolist() if obj_id > 0]
    number = np.zeros(max(known) + 1, np.int32)
    number[seen] = np.arange(1, len(seen) + 1)
    parents = [0, *(number[known[obj_id].parent] for obj_id in seen)]
    return number[labels], np.array(parents, np.int32)

"""Operations on masks that SAM 2 leaves to a CUDA extension or to other libraries."""

import numpy as np
from numpy.typing import NDArray


def fill_holes_and_remove_sprinkles(
    logits: NDArray[np.float32],
    mask_threshold: float,
    max_hole_area: float,
    max_sprinkle_area: float,
) -> NDArray[np.float32]:
    """Close small holes and drop small specks of low-resolution logits.

    The rule of ``SAM2Transforms.postprocess_masks``: components are 8-connected and their areas
    count in pixels of the low-resolution grid. SAM 2 needs a CUDA extension for it and skips it
    without a word on a CPU; here it always works.

    Parameters
    ----------
    logits : ndarray of float32, shape (C, h, w)
    mask_threshold : float
        In logits.
    max_hole_area, max_sprinkle_area : float
        Largest area that is changed, in low-resolution pixels; 0 changes nothing.

    Returns
    -------
    ndarray of float32, shape (C, h, w)
        Filled holes are set to ``mask_threshold + 10``, removed specks to ``mask_threshold - 10``.
    """
    if max_hole_area <= 0 and max_sprinkle_area <= 0:
        return logits
    cleaned = logits.copy()
    for source, target in zip(logits, cleaned, strict=True):
        foreground = source > mask_threshold
        target[_small_components(~foreground, max_hole_area)] = mask_threshold + 10
        target[_small_components(foreground, max_sprinkle_area)] = mask_threshold - 10
    return cleaned


def fill_holes_in_logits(logits: NDArray[np.float32], max_hole_area: float) -> NDArray[np.float32]:
    """Close small holes of low-resolution logits as SAM 2's video predictor does.

    The rule of ``sam2.utils.misc.fill_holes_in_mask_scores``: background that is 8-connected and
    no larger than ``max_hole_area`` gets the logit 0.1. SAM 2 needs a CUDA extension for it and
    only warns on a CPU.

    Parameters
    ----------
    logits : ndarray of float32, shape (h, w)
    max_hole_area : float
        In low-resolution pixels; 0 changes nothing.

    Returns
    -------
    ndarray of float32, shape (h, w)
    """
    if max_hole_area <= 0:
        return logits
    return np.where(_small_components(logits <= 0, max_hole_area), np.float32(0.1), logits)


def _small_components(mask: NDArray[np.bool_], max_area: float) -> NDArray[np.bool_]:
    components, areas = _components(mask)
    return np.asarray(((areas > 0) & (areas <= max_area))[components])


def _components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the 8-connected component of each pixel, and the area of each; 0 is none."""
    from skimage.measure import label

    components = label(mask, connectivity=2)
    areas = np.bincount(components.ravel())
    areas[0] = 0
    return components, areas


def fill_holes(mask: NDArray[np.bool_], max_area: int) -> NDArray[np.bool_]:
    """Fill small holes of one object.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        Cut to the object: background that reaches the edge of the cut is no hole.
    max_area : int
        Largest hole that is filled, in pixels. Holes are 8-connected, as in SAM 2.

    Returns
    -------
    ndarray of bool, shape (h, w)
    """
    components, areas = _components(np.pad(~mask, 1, constant_values=True))
    areas[components[0, 0]] = 0
    return np.asarray(mask | ((areas > 0) & (areas <= max_area))[components[1:-1, 1:-1]])


def remove_specks(mask: NDArray[np.bool_], max_area: int) -> NDArray[np.bool_]:
    """Remove small pieces of one object; its largest piece always stays.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
    max_area : int
        Largest piece that is removed, in pixels. Pieces are 8-connected, as in SAM 2.

    Returns
    -------
    ndarray of bool, shape (h, w)
    """
    components, areas = _components(mask)
    areas[areas.argmax()] = 0
    return np.asarray(mask & ~((areas > 0) & (areas <= max_area))[components])


def smooth(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Smooth the outline of a mask.

    A pixel belongs to the result if more than half of its surroundings, under a Gaussian of half
    the radius, belong to the mask. What is much thinner than the radius goes.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        With as much background around it as the outline may move. Where the object reaches the
        edge of the array it is taken to go on as it is.
    radius : int
        How far a pixel is felt, in pixels.

    Returns
    -------
    ndarray of bool, shape (h, w)
    """
    from scipy.ndimage import gaussian_filter

    share = gaussian_filter(mask.astype(np.float32), radius / 2, mode="nearest", radius=radius)
    return np.asarray(share > 0.5)


def innermost_point(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the pixel of an object that is farthest from its edge; the first of equal ones.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        With at least one pixel. The border of the array is an edge.

    Returns
    -------
    ndarray of float32, shape (2,)
        (x, y).
    """
    from scipy.ndimage import distance_transform_edt

    y, x = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    cut = np.pad(mask[y[0] : y[-1] + 1, x[0] : x[-1] + 1], 1)
    depth = distance_transform_edt(cut)
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    return np.array([x[0] + column - 1, y[0] + row - 1], np.float32)

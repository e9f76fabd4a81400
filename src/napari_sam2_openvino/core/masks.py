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


def _small_components(mask: NDArray[np.bool_], max_area: float) -> NDArray[np.bool_]:
    from skimage.measure import label

    components = label(mask, connectivity=2)
    areas = np.bincount(components.ravel())
    areas[0] = 0
    return np.asarray(((areas > 0) & (areas <= max_area))[components])

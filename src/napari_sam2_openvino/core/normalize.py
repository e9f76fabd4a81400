"""From any image to the 8-bit RGB image that the network sees."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5


def to_rgb(image: NDArray[Any], *, limits: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Return the RGB image that the network sees.

    uint8 images pass unchanged, as in SAM 2, unless limits are given. Any other real dtype is
    scaled linearly from its percentiles 0.5 and 99.5 (over all channels, NaN and infinity left
    out), or from the limits, to 0 and 255. Grey becomes three equal channels; an alpha channel is
    dropped.

    Parameters
    ----------
    image : ndarray of a real dtype, shape (H, W), (H, W, 3) or (H, W, 4)
    limits : tuple of float, optional
        Values that become 0 and 255, in units of the image.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)

    Raises
    ------
    InputError
        If shape, dtype or limits cannot be used.
    """
    image = np.asarray(image)
    if image.dtype.kind not in "buif":
        raise InputError(
            f"The image must hold real numbers, but has dtype {image.dtype}: convert it first."
        )
    if image.ndim == 3 and image.shape[2] in (3, 4):
        image = image[..., :3]
    elif image.ndim != 2:
        raise InputError(
            "The image must have shape (H, W), (H, W, 3) or (H, W, 4), but has shape "
            f"{image.shape}: choose one plane or channel."
        )
    if 0 in image.shape:
        raise InputError(f"The image must have pixels, but has shape {image.shape}.")
    if image.dtype != np.uint8 or limits is not None:
        image = _rescale(image, limits or _percentile_limits(image))
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image)


def _percentile_limits(image: NDArray[Any]) -> tuple[float, float]:
    values = image.ravel()
    if image.dtype.kind == "b":
        return 0.0, 1.0
    if image.dtype.kind == "f":
        values = values[np.isfinite(values)]
        if not len(values):
            raise InputError("The image must hold numbers, but every pixel is NaN or infinite.")
    low, high = np.percentile(values, (LOW_PERCENTILE, HIGH_PERCENTILE))
    return float(low), float(high)


def _rescale(image: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = map(float, limits)
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise InputError(f"limits must be two finite numbers, the lower first, but are {limits}.")
    # A constant image has no contrast to stretch: it becomes black.
    scale = 255.0 / (high - low) if high > low else 0.0
    # Doubles keep 32-bit integers and large offsets apart.
    work = np.float64 if image.dtype.itemsize > 2 else np.float32
    values = np.nan_to_num(image.astype(work), nan=low, posinf=high, neginf=low)
    eight_bit: NDArray[np.uint8] = np.rint(np.clip((values - low) * scale, 0, 255)).astype(np.uint8)
    return eight_bit

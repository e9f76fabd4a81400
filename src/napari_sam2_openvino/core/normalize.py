"""From any intensities to the 8-bit RGB image that the network sees."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.parameters import Normalization

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5
MOST_CHANNELS = 3
# A power of two, near the largest double.
_LARGE = 2.0**1000


@dataclass(frozen=True)
class Stretch:
    """How intensities become 8 bits: linear between two of them, then a power.

    Parameters
    ----------
    low, high : float
        Intensities that become 0 and 255.
    gamma : float, optional
        Exponent that is applied in between, as napari applies it.

    Raises
    ------
    InputError
        If a number is not finite, ``low`` is above ``high`` or ``gamma`` is not positive.
    """

    low: float
    high: float
    gamma: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.low, self.high
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise InputError(
                f"limits must be two finite numbers, the lower first, but are {(low, high)}."
            )
        if not (np.isfinite(self.gamma) and self.gamma > 0):
            raise InputError(f"gamma must be a positive number, but is {self.gamma}.")


@dataclass(frozen=True)
class ChannelView:
    """Which channels the network sees, and how bright.

    Parameters
    ----------
    normalization : Normalization, optional
    axis : int, optional
        The axis of a single image along which its channels lie, RGB's own left out; None if each
        channel is an image, or the only image has no such axis.
    indices : tuple of int, optional
        Up to three channels along ``axis``, which become red, green and blue.
    displayed : tuple of Stretch, optional
        One for each channel: what mode "as displayed" uses, taken when it was chosen.
    as_grey : bool, optional
        Show the network the brightest of the channels, in grey, instead of colours. For models that
        were trained on grey images, such as the starter: on synthetic pairs of stains its IoU is
        0.7 so, and 0.4 in colours.

    Raises
    ------
    InputError
        If ``axis`` and ``indices`` do not go together.
    """

    normalization: Normalization = field(default_factory=Normalization)
    axis: int | None = None
    indices: tuple[int, ...] = ()
    displayed: tuple[Stretch, ...] = ()
    as_grey: bool = False

    def __post_init__(self) -> None:
        if self.axis is None and self.indices:
            raise InputError("Channels of one image need the axis along which they lie: choose it.")
        if self.axis is not None and not 1 <= len(self.indices) <= MOST_CHANNELS:
            raise InputError(
                f"The network sees 1 to {MOST_CHANNELS} channels, but {len(self.indices)} are "
                "chosen."
            )


def to_rgb(image: NDArray[Any], *, limits: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Return the RGB image that the network sees.

    uint8 images pass unchanged, as in SAM 2, unless limits are given. Any other real dtype is
    scaled linearly from its percentiles 0.5 and 99.5 (over all channels, NaN and infinity left
    out; where they are equal, from minimum and maximum), or from the limits, to 0 and 255. Grey
    becomes three equal channels; an alpha channel is dropped.

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
    check_dtype(image.dtype)
    if image.ndim == 3 and image.shape[2] in (3, 4):
        image = image[..., :3]
    elif image.ndim != 2:
        raise InputError(
            "The image must have shape (H, W), (H, W, 3) or (H, W, 4), but has shape "
            f"{image.shape}: choose one plane or channel."
        )
    if 0 in image.shape:
        raise InputError(f"The image must have pixels, but has shape {image.shape}.")
    stretch = measure_stretch([image], Normalization()) if limits is None else Stretch(*limits)
    return compose_rgb([to_eight_bits(image, stretch)])


def check_dtype(dtype: Any) -> None:
    """Raise InputError unless a dtype holds real numbers."""
    if np.dtype(dtype).kind not in "buif":
        raise InputError(
            f"The image must hold real numbers, but has dtype {dtype}: convert it first."
        )


def measure_stretch(
    samples: Sequence[NDArray[Any]], normalization: Normalization
) -> Stretch | None:
    """Find the intensities that become black and white.

    Where both percentiles are equal, as where few pixels differ from the ground, these are minimum
    and maximum.

    Parameters
    ----------
    samples : sequence of ndarray
        Pixels to look at, of one dtype and any shapes.
    normalization : Normalization
        In any mode but "as displayed", which measures nothing.

    Returns
    -------
    Stretch or None
        None where intensities are 8 bits already and stay as they are.

    Raises
    ------
    InputError
        If no pixel is finite.
    """
    dtype = samples[0].dtype
    if normalization.mode == "automatic":
        if dtype == np.uint8:
            return None
        percentiles = LOW_PERCENTILE, HIGH_PERCENTILE
    else:
        percentiles = normalization.low_percentile, normalization.high_percentile
    if normalization.mode != "minimum to maximum":
        stretch = measure_percentiles(samples, percentiles)
        if stretch.low < stretch.high:
            return stretch
    if dtype.kind == "b":
        return Stretch(0.0, 1.0)
    # Also where nearly all pixels are equal: the few others are what there is to see.
    values = _finite_values(samples)
    return Stretch(float(values.min()), float(values.max()))


def measure_percentiles(
    samples: Sequence[NDArray[Any]], percentiles: tuple[float, float]
) -> Stretch:
    """Find the intensities at two percentiles, which may be equal; of bool 0 and 1.

    Raises
    ------
    InputError
        If no pixel is finite.
    """
    dtype = samples[0].dtype
    if dtype.kind == "b":
        return Stretch(0.0, 1.0)
    values = _finite_values(samples)
    if dtype.kind in "iu" and dtype.itemsize == 2:
        return Stretch(*_percentiles_of_16_bits(values, percentiles))
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = np.percentile(values, percentiles)
    if not (np.isfinite(low) and np.isfinite(high)):
        # Two values may be further apart than a double can tell; a quarter of them is not.
        low, high = 4 * np.percentile(values / 4, percentiles)
    return Stretch(float(low), float(high))


def _finite_values(samples: Sequence[NDArray[Any]]) -> NDArray[Any]:
    values = np.concatenate([sample.ravel() for sample in samples])
    if values.dtype.kind == "f":
        # Between two halves of opposite sign there may be more than a half can hold.
        wide = np.promote_types(values.dtype, np.float32)
        values = values[np.isfinite(values)].astype(wide)
        if not len(values):
            raise InputError("The image must hold numbers, but every pixel is NaN or infinite.")
    return values


def _percentiles_of_16_bits(
    values: NDArray[Any], percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Return what ``np.percentile`` returns, from a histogram: several times as fast."""
    least = int(values.min())
    counted = values if least >= 0 else values.astype(np.int32) - least
    counts = np.cumsum(np.bincount(counted))

    def value_at(rank: int) -> float:
        return float(np.searchsorted(counts, min(rank, len(values) - 1), "right") + min(least, 0))

    def interpolate(percentile: float) -> float:
        place = (len(values) - 1) * (percentile / 100)
        low, high, part = value_at(int(place)), value_at(int(place) + 1), place % 1
        # Both forms are numpy's; they differ in the last bit.
        return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part

    return interpolate(percentiles[0]), interpolate(percentiles[1])


def to_eight_bits(image: NDArray[Any], stretch: Stretch | None) -> NDArray[np.uint8]:
    """Turn intensities into 8 bits.

    Parameters
    ----------
    image : ndarray of a real dtype, any shape
    stretch : Stretch or None
        None leaves the values as they are, rounded.

    Returns
    -------
    ndarray of uint8, of the shape of ``image``
        NaN and what lies below become 0, what lies above 255.
    """
    if stretch is None:
        if image.dtype == np.uint8:
            return image
        stretch = Stretch(0.0, 255.0)
    if image.dtype.kind in "iu" and image.dtype.itemsize == 2 and image.size > 1 << 16:
        # Each of the 65,536 values is looked up: four times as fast as the arithmetic.
        native = image.astype(image.dtype.newbyteorder("="), copy=False)
        info = np.iinfo(native.dtype)
        table = _rescale(np.arange(info.min, info.max + 1).astype(native.dtype), stretch)
        # A negative value counts from the end, where the first half then has to be.
        looked_up: NDArray[np.uint8] = np.roll(table, info.min)[native]
        return looked_up
    return _rescale(image, stretch)


def compose_rgb(
    channels: Sequence[NDArray[np.uint8]], *, as_grey: bool = False
) -> NDArray[np.uint8]:
    """Put one RGB image, or one to three grey channels, into the image that the network sees.

    One channel becomes three equal ones. Of two channels the first is red, the second green, and
    blue stays dark: of the ways to fill it, this served the starter best.

    Parameters
    ----------
    channels : sequence of ndarray of uint8, shape (H, W), or one of shape (H, W, 3)
    as_grey : bool, optional
        Whether the brightest of the channels counts, in grey.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3), contiguous
    """
    first = channels[0]
    if first.ndim == 3 and as_grey:
        channels = list(np.moveaxis(first, -1, 0))
    elif first.ndim == 3:
        return np.ascontiguousarray(first)
    if as_grey:
        channels = [np.maximum.reduce(channels)]
    if len(channels) == 1:
        channels = [channels[0]] * MOST_CHANNELS
    missing = [np.zeros_like(channels[0])] * (MOST_CHANNELS - len(channels))
    return np.stack([*channels, *missing], axis=-1)


def _rescale(image: NDArray[Any], stretch: Stretch) -> NDArray[np.uint8]:
    low, high = float(stretch.low), float(stretch.high)
    # Doubles keep 32-bit integers and large offsets apart.
    work = np.float64 if image.dtype.itemsize > 2 else np.float32
    values = np.nan_to_num(image.astype(work), nan=low, posinf=high, neginf=low)
    if image.dtype.kind == "f" and image.dtype.itemsize > 4:
        values, low, high = _within_reach(values, low, high)
    # A constant image has no contrast to stretch: it becomes black.
    scale = 255.0 / (high - low) if high > low else 0.0
    values = np.clip((values - low) * scale, 0, 255)
    if stretch.gamma != 1.0:
        values = 255 * (values / 255) ** stretch.gamma
    eight_bit: NDArray[np.uint8] = np.rint(values).astype(np.uint8)
    return eight_bit


def _within_reach(
    values: NDArray[np.floating], low: float, high: float
) -> tuple[NDArray[np.floating], float, float]:
    """Keep doubles where neither ``value - low`` nor ``255 / (high - low)`` overflows."""
    values = np.clip(values, low, high)
    factor = 1.0
    if max(abs(low), abs(high)) > _LARGE:
        factor = 0.25
    elif 0 < high - low < 1 / _LARGE:
        factor = _LARGE
    return (values, low, high) if factor == 1 else (values * factor, low * factor, high * factor)

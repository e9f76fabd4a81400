"""Parameter sets, each written once: forms, command line, files and docs are made from them."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from napari_sam2_openvino.core.errors import InputError


def parameter(
    default: Any,
    title: str,
    tip: str,
    *,
    limits: tuple[float, float] | None = None,
    step: float | None = None,
) -> Any:
    """Declare a parameter of a parameter set.

    Parameters
    ----------
    default : object
    title : str
        What a form calls it.
    tip : str
        What it does, in words of a scientist, with the unit.
    limits : tuple of float, optional
        Smallest and largest value.
    step : float, optional
        What one click of a form's arrows adds.
    """
    return field(
        default=default, metadata={"title": title, "tip": tip, "limits": limits, "step": step}
    )


def check_limits(parameters: Any) -> None:
    """Raise InputError if a value of a parameter set is outside its limits."""
    for each in fields(parameters):
        value, limits = getattr(parameters, each.name), each.metadata.get("limits")
        if limits is not None and not limits[0] <= value <= limits[1]:
            raise InputError(
                f"{each.metadata['title']} must be between {limits[0]:g} and {limits[1]:g}, "
                f"but is {value}."
            )


@dataclass(frozen=True)
class MaskOptions:
    """What is done to logits on their way to a mask; none of it decodes again."""

    mask_threshold: float = parameter(
        0.0,
        "Threshold",
        "Logit above which a pixel belongs to the object: lower makes masks larger.",
        limits=(-8.0, 8.0),
        step=0.25,
    )
    fill_holes: int = parameter(
        0,
        "Fill holes up to",
        "Holes of at most this area are filled. In pixels of the image; 0 fills none.",
        limits=(0, 10_000_000),
        step=10,
    )
    remove_specks: int = parameter(
        0,
        "Remove specks up to",
        "Separate pieces of at most this area are removed, but never the largest piece. "
        "In pixels of the image; 0 removes none.",
        limits=(0, 10_000_000),
        step=10,
    )
    smoothing: int = parameter(
        0,
        "Smooth",
        "Radius, in pixels of the image, within which the outline is smoothed; 0 leaves it.",
        limits=(0, 50),
        step=1,
    )

    def __post_init__(self) -> None:
        check_limits(self)


NormalizationMode = Literal["automatic", "as displayed", "percentiles", "minimum to maximum"]


@dataclass(frozen=True)
class Normalization:
    """How intensities become the 8 bits that the network sees."""

    mode: NormalizationMode = parameter(
        "automatic",
        "Intensities",
        "automatic: 8-bit images unchanged, others stretched between two percentiles. as "
        "displayed: the contrast limits and gamma of the layer, taken when this is chosen.",
    )
    low_percentile: float = parameter(
        0.5, "Lower percentile", "Percentile that becomes black.", limits=(0.0, 100.0), step=0.1
    )
    high_percentile: float = parameter(
        99.5, "Upper percentile", "Percentile that becomes white.", limits=(0.0, 100.0), step=0.1
    )
    whole_stack: bool = parameter(
        False,
        "Same for all planes",
        "Percentiles or minimum and maximum of the whole stack (from a sample of its planes) "
        "instead of each plane's own.",
    )

    def __post_init__(self) -> None:
        check_limits(self)
        if self.low_percentile >= self.high_percentile:
            raise InputError(
                "The lower percentile must be below the upper one, but they are "
                f"{self.low_percentile:g} and {self.high_percentile:g}."
            )

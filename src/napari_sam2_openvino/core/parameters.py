"""Parameter sets, each written once: forms, command line, files and docs are made from them."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_type_hints

from napari_sam2_openvino.core.errors import InputError


@dataclass(frozen=True)
class Parameter:
    """What there is to say about one parameter; the annotation of a field of a parameter set.

    Parameters
    ----------
    title : str
        What a form calls it.
    tip : str
        What it does, in words of a scientist, with the unit.
    limits : tuple of float, optional
        Smallest and largest value.
    step : float, optional
        What one click of a form's arrows adds.
    """

    title: str
    tip: str
    limits: tuple[float, float] | None = None
    step: float | None = None


def describe(parameter_set: type) -> dict[str, Parameter]:
    """Return what there is to say about each parameter of a parameter set, by name."""
    hints = get_type_hints(parameter_set, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def check_limits(parameters: Any) -> None:
    """Raise InputError if a value of a parameter set is outside its limits."""
    for name, each in describe(type(parameters)).items():
        value, limits = getattr(parameters, name), each.limits
        if limits is not None and not limits[0] <= value <= limits[1]:
            raise InputError(
                f"{each.title} must be between {limits[0]:g} and {limits[1]:g}, but is {value}."
            )


@dataclass(frozen=True)
class MaskOptions:
    """What is done to logits on their way to a mask; none of it decodes again."""

    mask_threshold: Annotated[
        float,
        Parameter(
            "Threshold",
            "Logit above which a pixel belongs to the object: lower makes masks larger.",
            limits=(-8.0, 8.0),
            step=0.25,
        ),
    ] = 0.0
    fill_holes: Annotated[
        int,
        Parameter(
            "Fill holes up to",
            "Holes of at most this area are filled. In pixels of the image; 0 fills none.",
            limits=(0, 10_000_000),
            step=10,
        ),
    ] = 0
    remove_specks: Annotated[
        int,
        Parameter(
            "Remove specks up to",
            "Separate pieces of at most this area are removed, but never the largest piece. "
            "In pixels of the image; 0 removes none.",
            limits=(0, 10_000_000),
            step=10,
        ),
    ] = 0
    smoothing: Annotated[
        int,
        Parameter(
            "Smooth",
            "Radius, in pixels of the image, within which the outline is smoothed; 0 leaves it.",
            limits=(0, 50),
            step=1,
        ),
    ] = 0

    def __post_init__(self) -> None:
        check_limits(self)


NormalizationMode = Literal["automatic", "as displayed", "percentiles", "minimum to maximum"]


@dataclass(frozen=True)
class Normalization:
    """How intensities become the 8 bits that the network sees."""

    mode: Annotated[
        NormalizationMode,
        Parameter(
            "Intensities",
            "automatic: 8-bit images unchanged, others stretched between two percentiles. as "
            "displayed: the contrast limits and gamma of the layer, taken when this is chosen.",
        ),
    ] = "automatic"
    low_percentile: Annotated[
        float,
        Parameter("Lower percentile", "Percentile that becomes black.", (0.0, 100.0), 0.1),
    ] = 0.5
    high_percentile: Annotated[
        float,
        Parameter("Upper percentile", "Percentile that becomes white.", (0.0, 100.0), 0.1),
    ] = 99.5
    whole_stack: Annotated[
        bool,
        Parameter(
            "Same for all planes",
            "Percentiles or minimum and maximum of the whole stack (from a sample of its planes) "
            "instead of each plane's own.",
        ),
    ] = False

    def __post_init__(self) -> None:
        check_limits(self)
        if self.low_percentile >= self.high_percentile:
            raise InputError(
                "The lower percentile must be below the upper one, but they are "
                f"{self.low_percentile:g} and {self.high_percentile:g}."
            )

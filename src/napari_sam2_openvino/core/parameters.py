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


@dataclass(frozen=True)
class GeneratorParameters:
    """How every object of an image is looked for; SAM 2's names and defaults."""

    points_per_side: Annotated[
        int,
        Parameter(
            "Points per side",
            "Points along one side of the image; each is decoded. Objects smaller than the "
            "distance between points may be missed.",
            limits=(1, 512),
            step=1,
        ),
    ] = 32
    points_per_batch: Annotated[
        int,
        Parameter(
            "Points per batch",
            "Most points that are decoded at once. Changes memory and speed, not the result.",
            limits=(1, 4096),
            step=1,
        ),
    ] = 64
    pred_iou_thresh: Annotated[
        float,
        Parameter(
            "Predicted IoU",
            "Masks that the model itself gives a lower score are dropped; 0 keeps all.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.8
    stability_score_thresh: Annotated[
        float,
        Parameter(
            "Stability",
            "Masks that change more when their threshold moves are dropped; 0 keeps all.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.95
    stability_score_offset: Annotated[
        float,
        Parameter(
            "Stability offset",
            "How far the threshold moves, down and up, to judge stability. In logits.",
            limits=(0.0, 32.0),
            step=0.1,
        ),
    ] = 1.0
    mask_threshold: Annotated[
        float,
        Parameter(
            "Threshold",
            "Logit above which a pixel belongs to the object: lower makes masks larger.",
            limits=(-32.0, 32.0),
            step=0.25,
        ),
    ] = 0.0
    box_nms_thresh: Annotated[
        float,
        Parameter(
            "Duplicates",
            "Of two masks whose boxes overlap more than this (IoU), the one with the lower score "
            "is dropped; 1 keeps both.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.7
    crop_n_layers: Annotated[
        int,
        Parameter(
            "Crop layers",
            "Layers of crops that are searched as well: the first has 2 x 2 crops, the next "
            "4 x 4. Finds smaller objects; each crop takes as long as the image.",
            limits=(0, 4),
            step=1,
        ),
    ] = 0
    crop_nms_thresh: Annotated[
        float,
        Parameter(
            "Duplicates between crops",
            "Of two masks whose boxes overlap more than this (IoU), the one from the larger crop "
            "is dropped; 1 keeps both.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.7
    crop_overlap_ratio: Annotated[
        float,
        Parameter(
            "Overlap of crops",
            "As a share of the image's shorter side; deeper layers overlap less.",
            limits=(0.0, 0.99),
            step=0.01,
        ),
    ] = 512 / 1500
    crop_n_points_downscale_factor: Annotated[
        int,
        Parameter(
            "Fewer points in crops",
            "Points per side are divided by this once more in each layer of crops.",
            limits=(1, 64),
            step=1,
        ),
    ] = 1
    min_mask_region_area: Annotated[
        int,
        Parameter(
            "Smallest region",
            "Holes are filled and separate pieces removed up to this area. In pixels of the "
            "model's low-resolution mask, a quarter of its image size; 0 changes nothing.",
            limits=(0, 1_000_000),
            step=1,
        ),
    ] = 0
    use_m2m: Annotated[
        bool,
        Parameter(
            "Refine each mask",
            "Every mask is decoded once more with itself as prompt. Takes three times as long.",
        ),
    ] = False
    multimask_output: Annotated[
        bool,
        Parameter(
            "Three masks for each point",
            "Part, object and whole; otherwise one mask for each point.",
        ),
    ] = True
    quick: Annotated[
        bool,
        Parameter(
            "Quick (approximate)",
            "Points are decoded coarse to fine, and those inside an object that was found already "
            "are skipped. Faster where objects cover much of the image; a few objects, such as "
            "small ones within others, may be missed.",
        ),
    ] = False

    def __post_init__(self) -> None:
        check_limits(self)


SegmentationForm = Literal["rle", "polygons"]
OverlayStyle = Literal["contours", "filled"]


@dataclass(frozen=True)
class ExportParameters:
    """How objects are written; each is for some formats only."""

    segmentation: Annotated[
        SegmentationForm,
        Parameter(
            "Masks",
            "COCO: rle, run lengths, are small and know holes. polygons are what some programs ask "
            "for; they are exact as well, but objects with holes are cut into several.",
        ),
    ] = "rle"
    style: Annotated[
        OverlayStyle,
        Parameter("Objects as", "Overlay: contours in the objects, or objects filled."),
    ] = "contours"
    contour_width: Annotated[
        int, Parameter("Contour width", "Overlay: in pixels of the image.", (1, 20), 1)
    ] = 1
    opacity: Annotated[
        float,
        Parameter("Opacity", "Overlay: how much of the image objects cover.", (0.0, 1.0), 0.05),
    ] = 0.5

    def __post_init__(self) -> None:
        check_limits(self)

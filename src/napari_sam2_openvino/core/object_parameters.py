"""Parameter sets of what follows the grid of points: filter, labels, tiles, and all of it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.parameters import GeneratorParameters, Parameter, check_limits

LARGEST_AREA = 2_000_000_000


@dataclass(frozen=True)
class CandidateFilter:
    """Which candidates are objects.

    With the defaults what remains is what SAM 2's generator returns with its own.
    """

    pred_iou_thresh: Annotated[
        float,
        Parameter(
            "Predicted IoU",
            "Masks to which the model itself gives no higher score are left out. The first to "
            "lower if objects are missing, the first to raise if there is rubbish.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.8
    stability_score_thresh: Annotated[
        float,
        Parameter(
            "Stability",
            "Masks that change more than this when their threshold moves are left out: blurred "
            "outlines, and objects of which it is unclear where they end.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.95
    min_area: Annotated[
        int,
        Parameter(
            "Smallest area",
            "Smaller masks are left out. In pixels of the image.",
            limits=(0, LARGEST_AREA),
            step=10,
        ),
    ] = 0
    max_area: Annotated[
        int,
        Parameter(
            "Largest area",
            "Larger masks are left out, before they can displace what is inside them. In pixels of "
            "the image; 0 leaves none out.",
            limits=(0, LARGEST_AREA),
            step=10,
        ),
    ] = 0
    box_nms_thresh: Annotated[
        float,
        Parameter(
            "Duplicates",
            "Of two masks whose boxes overlap more than this (IoU), only the one with the higher "
            "score stays; 1 keeps both.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.7
    crop_nms_thresh: Annotated[
        float,
        Parameter(
            "Duplicates between crops",
            "The same between crops or tiles of the image, where the one from the smaller stays.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.7
    max_overlap: Annotated[
        float,
        Parameter(
            "Overlap",
            "Of two masks of which more than this share of the smaller lies in the larger, only "
            "the one with the higher score stays: no parts of objects, no groups. 1 keeps both.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 1.0
    exclude_border: Annotated[
        bool,
        Parameter(
            "Leave out objects at the border",
            "Objects that touch a border of the image go, since a part of them is missing.",
        ),
    ] = False
    remove_background: Annotated[
        bool,
        Parameter(
            "Leave out background",
            "Masks go that cover more than half of the image, that touch three of its borders, or "
            "that enclose at least three other objects as a net encloses its meshes.",
        ),
    ] = False

    def __post_init__(self) -> None:
        check_limits(self)
        if 0 < self.max_area < self.min_area:
            raise InputError(
                "The largest area must not be below the smallest one, but they are "
                f"{self.max_area} and {self.min_area}: raise it, or set it to 0 for no limit."
            )


OverlapRule = Literal["small over large", "high score over low", "large over small"]


@dataclass(frozen=True)
class LabelsParameters:
    """How objects that overlap become labels, of which each pixel has one."""

    overlap: Annotated[
        OverlapRule,
        Parameter(
            "Where objects overlap",
            "Whose the shared pixels are. small over large shows a nucleus in its cell; high score "
            "over low trusts the model's predicted IoU; large over small hides parts of objects.",
        ),
    ] = "small over large"
    min_visible: Annotated[
        float,
        Parameter(
            "Least visible share",
            "Objects of which others, or what is labelled already, leave less than this share are "
            "left out: no slivers around objects that are there.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.25

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class TilingParameters:
    """How planes that are much larger than what the model sees are searched."""

    use_tiles: Annotated[
        bool,
        Parameter(
            "Tiles for large images",
            "An image of more than twice the model's side is searched in overlapping tiles at full "
            "resolution, and more coarsely for larger objects. Otherwise once, as a whole.",
        ),
    ] = True
    tile_size: Annotated[
        int,
        Parameter(
            "Tile size",
            "Side of a tile in pixels of the image; 0 takes what the model sees. Smaller tiles "
            "find smaller objects and take longer.",
            limits=(0, 65_536),
            step=64,
        ),
    ] = 0

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class AllObjectsParameters:
    """All that decides which objects of a plane are found.

    Parameters
    ----------
    generator : GeneratorParameters, optional
        The grid of points. Its thresholds do not count: those of ``filter`` do.
    filter : CandidateFilter, optional
    labels : LabelsParameters, optional
    tiling : TilingParameters, optional
    """

    generator: GeneratorParameters = field(default_factory=GeneratorParameters)
    filter: CandidateFilter = field(default_factory=CandidateFilter)
    labels: LabelsParameters = field(default_factory=LabelsParameters)
    tiling: TilingParameters = field(default_factory=TilingParameters)

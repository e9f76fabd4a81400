"""The parameter set of propagation through volumes and time series."""

from dataclasses import dataclass
from typing import Annotated, Literal

from napari_sam2_openvino.core.parameters import Parameter, check_limits

PropagationMethod = Literal["automatic", "memory", "projection"]


@dataclass(frozen=True)
class VolumeParameters:
    """How objects are carried from plane to plane."""

    method: Annotated[
        PropagationMethod,
        Parameter(
            "Method",
            "memory: SAM 2's video predictor, which remembers how an object looked. projection: "
            "the mask of one plane is the prompt of the next; quicker, and any model can do it. "
            "automatic: memory where the model has it.",
        ),
    ] = "automatic"
    num_maskmem: Annotated[
        int,
        Parameter(
            "Planes remembered",
            "How many planes back memory looks, beside those with prompts; SAM 2 looks at 7. Fewer "
            "are quicker. Projection looks at one.",
            limits=(1, 64),
            step=1,
        ),
    ] = 7
    min_overlap: Annotated[
        float,
        Parameter(
            "Least overlap",
            "Projection only: an object ends where its masks on neighbouring planes overlap less "
            "(IoU). Lower where planes are far apart; higher if objects go on beyond their end.",
            limits=(0.0, 1.0),
            step=0.05,
        ),
    ] = 0.6
    fill_hole_area: Annotated[
        int,
        Parameter(
            "Fill holes up to",
            "Holes of at most this area are filled. In pixels of the model's low-resolution mask, "
            "a quarter of its image size; 0 fills none.",
            limits=(0, 1_000_000),
            step=1,
        ),
    ] = 8
    keep_all_planes: Annotated[
        bool,
        Parameter(
            "Keep every plane",
            "Keep what is known of each plane, so that any plane can be corrected later. Otherwise "
            "only planes near prompts and near the last one, so that memory does not grow.",
        ),
    ] = True
    memory_megabytes: Annotated[
        int,
        Parameter(
            "Memory for memories",
            "Encoded memories beyond this are dropped, and encoded again when they are needed. In "
            "megabytes.",
            limits=(1, 1_000_000),
            step=64,
        ),
    ] = 512

    def __post_init__(self) -> None:
        check_limits(self)

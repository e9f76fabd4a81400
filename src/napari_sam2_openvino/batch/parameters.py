"""What a batch does beside finding objects: its parameters, each written once."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from napari_sam2_openvino.core.object_parameters import AllObjectsParameters
from napari_sam2_openvino.core.parameters import Normalization, Parameter, check_limits

LinkAxis = Literal["none", "z", "t"]


@dataclass(frozen=True)
class LinkParameters:
    """How objects of neighbouring planes become one."""

    link: Annotated[
        LinkAxis,
        Parameter(
            "Link planes",
            "z: an object keeps its number through the planes of a stack. t: over time. none: "
            "numbers begin at 1 on each plane.",
        ),
    ] = "none"
    link_min_iou: Annotated[
        float,
        Parameter(
            "Smallest overlap",
            "Masks of neighbouring planes that overlap less (IoU) are not linked.",
            limits=(0.01, 1.0),
            step=0.01,
        ),
    ] = 0.2
    link_max_gap: Annotated[
        int,
        Parameter(
            "Largest gap",
            "Planes that an object may miss and still be the same one afterwards.",
            limits=(0, 20),
            step=1,
        ),
    ] = 1

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class PlaneParameters:
    """Which planes are segmented, and what of them."""

    skip_empty: Annotated[
        float,
        Parameter(
            "Skip empty planes",
            "Planes with at most this share of the highest contrast of the stack are left empty; 0 "
            "segments all.",
            limits=(0.0, 1.0),
            step=0.01,
        ),
    ] = 0.0
    as_grey: Annotated[
        bool,
        Parameter(
            "Channels as grey",
            "The model sees the brightest of the channels in grey instead of colours.",
        ),
    ] = False

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class BatchParameters:
    """All of it.

    Parameters
    ----------
    objects : AllObjectsParameters, optional
        How objects are found on a plane; None for what the model recommends.
    planes : PlaneParameters, optional
    channels : tuple of int, optional
        Up to three channels, counted from 0, that become red, green and blue; empty for all.
    normalization : Normalization, optional
        In any mode but "as displayed".
    linking : LinkParameters, optional
    """

    objects: AllObjectsParameters | None = None
    planes: PlaneParameters = field(default_factory=PlaneParameters)
    channels: tuple[int, ...] = ()
    normalization: Normalization = field(default_factory=Normalization)
    linking: LinkParameters = field(default_factory=LinkParameters)

"""What can be chosen when a model is quantized."""

from dataclasses import dataclass
from typing import Annotated, Literal

from napari_sam2_openvino.core.parameters import Parameter, check_limits

Preset = Literal["safe", "balanced", "fast"]

# No more are looked at: ranges of numbers do not change with further images.
MOST_IMAGES = 32


@dataclass(frozen=True)
class QuantizeParameters:
    """How a model is quantized."""

    preset: Annotated[
        Preset,
        Parameter(
            "Preset",
            "safe: weights alone are stored in 8 bits, and files are smaller. balanced: the image "
            "encoder also computes in 8 bits, but for its first convolution. fast: all of it.",
        ),
    ] = "balanced"
    planes: Annotated[
        int,
        Parameter(
            "Planes",
            "Planes that are looked at, at even steps through stacks. Every fourth is kept for the "
            "report.",
            limits=(1, MOST_IMAGES),
            step=1,
        ),
    ] = 16

    def __post_init__(self) -> None:
        check_limits(self)

"""The parameter set that says which objects are carried through which planes."""

from dataclasses import dataclass
from typing import Annotated, Literal

from napari_sam2_openvino.core.parameters import Parameter, check_limits

Direction = Literal["both", "forward", "backward"]
Carried = Literal[
    "all with prompts", "current object", "all of this plane", "all found on this plane"
]


@dataclass(frozen=True)
class ScopeParameters:
    """Which objects are carried, and where to."""

    objects: Annotated[
        Carried,
        Parameter(
            "Objects",
            "all with prompts: on whatever plane they are. current object: the one that new "
            "prompts belong to. all of this plane: what the target layer has on the plane in "
            "view. all found on this plane: what the tab “All objects” shows.",
        ),
    ] = "all with prompts"
    direction: Annotated[
        Direction,
        Parameter(
            "Direction",
            "both: from the planes with prompts to both ends. forward, backward: from the plane "
            "in view on, as after a correction on it; what lies behind stays as it is.",
        ),
    ] = "both"
    until_it_ends: Annotated[
        bool,
        Parameter(
            "Until the objects end",
            "Stops where none of the objects is there any more. Otherwise all planes of the range "
            "are gone through: with memory, objects can come back after a gap.",
        ),
    ] = True
    replace: Annotated[
        bool,
        Parameter(
            "Replace older pixels",
            "What an object has on the planes that are gone through goes where it is not found, "
            "whoever drew it: choose it to carry an object of an earlier session anew. Otherwise "
            "only what this window has carried goes, the rest stays beside what is found, and a "
            "plane that was corrected by hand stays as it is.",
        ),
    ] = False

    def __post_init__(self) -> None:
        check_limits(self)

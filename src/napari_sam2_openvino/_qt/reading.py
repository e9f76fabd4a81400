"""What is chosen and drawn on the plane in view, read from viewer and layers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari.layers import Image
from napari.viewer import Viewer

from napari_sam2_openvino._layers.planes import plane_in_view
from napari_sam2_openvino._qt.drafting import Drafting
from napari_sam2_openvino._qt.network_view import NetworkView
from napari_sam2_openvino._session.answers import ObjectAnswer
from napari_sam2_openvino._session.objects import Objects
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex


@dataclass(frozen=True, eq=False)
class Reading:
    """What there was at a moment.

    Parameters
    ----------
    plane : PlaneIndex, optional
        None if no plane of an image is in view.
    source : PlaneSource, optional
    drawn : mapping of int to ObjectPrompts, optional
        By obj_id.
    problem : str, optional
        What is wrong, as a sentence.
    is_drawn_wrong : bool, optional
        Whether it is wrong with what is drawn, not with what is in view.
    """

    plane: PlaneIndex | None = None
    source: PlaneSource | None = None
    drawn: Mapping[int, ObjectPrompts] = field(default_factory=dict)
    problem: str = ""
    is_drawn_wrong: bool = False

    def is_as(self, other: "Reading") -> bool:
        """Whether the same was drawn on the same plane."""
        return self.plane == other.plane and _content(self.drawn) == _content(other.drawn)

    def has_others(self, answers: Mapping[int, ObjectAnswer]) -> bool:
        """Whether anything is drawn that is not what was answered."""
        answered = {key: each.prompts for key, each in answers.items() if key in self.drawn}
        return _content(self.drawn) != _content(answered)

    def regions(self, objects: Objects) -> dict[int, Region]:
        """Return where objects that were brought back were decoded before."""
        if self.plane is None:
            return {}
        drafts = {key: objects.draft(key, self.plane) for key in self.drawn}
        return {key: each.region for key, each in drafts.items() if each.region is not None}


def read_view(
    viewer: Viewer, image: Image | None, view: NetworkView, drafting: Drafting | None
) -> Reading:
    """Read everything; what cannot be used becomes a problem."""
    if image is None:
        return Reading()
    try:
        plane = plane_in_view(viewer, image)
        source = view.source(plane)
    except InputError as error:
        return Reading(problem=str(error))
    try:
        drawn = {} if drafting is None else drafting.read(plane)
    except InputError as error:
        return Reading(plane, source, problem=str(error), is_drawn_wrong=True)
    return Reading(plane, source, drawn)


def _content(drawn: Mapping[int, ObjectPrompts]) -> dict[int, Any]:
    return {key: (each.marks, each.mask, each.choices) for key, each in drawn.items()}

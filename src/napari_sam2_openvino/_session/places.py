"""What embeddings and answers are of."""

from collections.abc import Hashable
from dataclasses import dataclass

from napari_sam2_openvino.core.regions import Region


@dataclass(frozen=True)
class View:
    """A plane as one model sees it.

    Parameters
    ----------
    model_name : str
    plane_key : hashable
        ``PlaneSource.key``.
    """

    model_name: str
    plane_key: Hashable


@dataclass(frozen=True)
class Place:
    """What an embedding is of."""

    view: View
    region: Region

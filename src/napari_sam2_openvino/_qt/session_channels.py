"""Which layers a session saw: the image itself, one layer instead of it, or several channels."""

from collections.abc import Sequence

from napari.layers import Image
from napari.viewer import Viewer

from napari_sam2_openvino._layers import planes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.session_file import SessionFile


def find_channels(session: SessionFile, image: Image, viewer: Viewer) -> list[Image]:
    """Return the layers that a session saw, in its order.

    Where it saw the image that it is of, that is the one that it is opened on, whatever the names.

    Parameters
    ----------
    session : SessionFile
    image : Image
        What it is opened on.
    viewer : Viewer

    Raises
    ------
    InputError
        If some of several channels are not there.
    """
    if len(session.images) == 1 and not _saw_another(session):
        return [image]
    there = [each for each in viewer.layers if isinstance(each, Image)]
    found = [
        layer
        for record in session.images
        for layer in [each for each in there if each.name == record.name][:1]
        if planes.image_shape(layer) == record.shape
    ]
    if not found and len(session.images) == 1:
        return [image]
    if len(found) < len(session.images):
        names = ", ".join(record.name for record in session.images)
        raise InputError(
            f"The session sees the channels {names}: open images of these names and sizes."
        )
    return found


def describe_channels(session: SessionFile, image: Image, layers: Sequence[Image]) -> list[str]:
    """Return sentences about what is seen, where that may be a surprise; see `find_channels`."""
    names = ", ".join(layer.name for layer in layers)
    if image in layers:
        is_missing = _saw_another(session) and len(session.images) == 1
        recorded = session.images[0].name
        return [f"Layer {recorded} is not there: the network sees {names}."] if is_missing else []
    return [] if _saw_another(session) else [f"The network sees {names}, not {image.name}."]


def _saw_another(session: SessionFile) -> bool:
    """Whether the image that a session is of was none of its channels."""
    names = {record.name for record in session.images}
    return bool(session.image_name) and session.image_name not in names

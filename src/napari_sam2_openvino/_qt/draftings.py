"""What is being drawn, on each image by itself."""

from collections.abc import Callable, Hashable
from functools import partial

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer
from qtpy.QtCore import QTimer

from napari_sam2_openvino._qt.drafting import Drafting
from napari_sam2_openvino._qt.keys import Keys
from napari_sam2_openvino._qt.prompt_layers import PromptLayers


class Draftings:
    """Makes a drafting for each image that is chosen, and keeps it while there is the image.

    Parameters
    ----------
    viewer : Viewer
    on_edit : callable
        Bound method that is called, often, when prompts may have changed.
    keys : Keys
    """

    def __init__(self, viewer: Viewer, on_edit: Callable[..., None], keys: Keys) -> None:
        self._viewer = viewer
        self._on_edit = on_edit
        self._keys = keys
        self._draftings: list[Drafting] = []
        self._target: Hashable = None

    def of(self, image: Image | None) -> Drafting | None:
        """Return what is drawn on an image; None if it was never chosen."""
        return next((each for each in self._draftings if each.layers.image == image), None)

    def make(self, image: Image) -> Drafting:
        """Begin to draw on an image."""
        layers = PromptLayers(self._viewer, image, self._on_edit, self._keys)
        drafting = Drafting(layers)
        drafting.labels.set_target(self._target)
        self._draftings.append(drafting)
        return drafting

    def forget(self, layer: Layer) -> None:
        """Note that a layer was removed from the viewer."""
        for drafting in self._draftings:
            drafting.labels.forget_target(layer.unique_id)
            drafting.layers.forget(layer)
            if drafting.layers.image == layer:
                # Not while napari is in the middle of removing a layer. Qt does not keep the owner
                # of a method alive, a partial does.
                QTimer.singleShot(0, partial(Drafting.close, drafting))
        self._draftings = [each for each in self._draftings if each.layers.image != layer]

    def set_target(self, target: Labels | None) -> None:
        """Go on with the labels that objects have in a target."""
        self._target = None if target is None else target.unique_id
        for drafting in self._draftings:
            drafting.labels.set_target(self._target)

    def close(self) -> None:
        """Leave the prompts to the user."""
        for drafting in self._draftings:
            drafting.close()

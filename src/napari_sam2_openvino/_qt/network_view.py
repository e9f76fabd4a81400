"""What the network sees of an image: its channels and intensities, and what the layers add."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from napari.layers import Image
from napari.viewer import Viewer
from psygnal import Signal

from napari_sam2_openvino._layers import planes
from napari_sam2_openvino._session.steps import NetworkInput
from napari_sam2_openvino.core.normalize import ChannelView, Stretch
from napari_sam2_openvino.core.parameters import Normalization
from napari_sam2_openvino.core.planes import PlaneSource, StretchCache
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

_SHOWN_EVENTS = ("contrast_limits", "gamma")


@dataclass(frozen=True)
class _Channels:
    """What was chosen of an image."""

    layers: tuple[Image, ...] = ()
    view: ChannelView = field(default_factory=ChannelView)


class NetworkView:
    """Makes plane sources of the layers that are chosen. Lives in the main thread."""

    changed = Signal()
    """Pixels, channels or intensities are others than before."""

    contrast_offered = Signal(bool)
    """Whether layers are shown otherwise than the network sees them "as displayed"."""

    def __init__(self) -> None:
        self._image: Image | None = None
        self._others: tuple[Image, ...] = ()
        # Of images that others gave way to.
        self._kept: WeakKeyDictionary[Image, _Channels] = WeakKeyDictionary()
        self._versions: dict[Any, int] = {}
        # For good: pixels may be replaced while another image is looked at.
        self._followed: WeakSet[Image] = WeakSet()
        self._former_names: WeakKeyDictionary[Image, set[str]] = WeakKeyDictionary()
        self._measured = StretchCache()
        self.view = ChannelView()

    @property
    def layers(self) -> tuple[Image, ...]:
        """The layers that the channels come from."""
        if self._others:
            return self._others
        return () if self._image is None else (self._image,)

    @property
    def others(self) -> tuple[Image, ...]:
        """The layers that were chosen as channels; none where the image is seen itself."""
        return self._others

    @property
    def normalization(self) -> Normalization:
        """How intensities become 8 bits."""
        return self.view.normalization

    def set_image(self, image: Image | None) -> None:
        """Look at another image: at the channels that were chosen of it, else at all of them."""
        self._connect(connect=False)
        if self._image is not None:
            self._kept[self._image] = _Channels(self._others, self.view)
        chosen = _Channels() if image is None else self._kept.get(image, _Channels())
        self._image, self._others = image, chosen.layers
        # Intensities are a choice for all images.
        self.view = replace(chosen.view, normalization=self.normalization)
        self._connect(connect=True)
        if self.view.displayed and self.normalization.mode == "as displayed":
            self._offer_contrast()
        else:
            self._take_contrast()

    def set_channels(
        self,
        layers: Sequence[Image] = (),
        axis: int | None = None,
        indices: Sequence[int] = (),
        *,
        as_grey: bool = False,
    ) -> None:
        """Choose up to three layers, or up to three entries along an axis, as red, green, blue.

        Parameters
        ----------
        layers : sequence of Image, optional
        axis : int, optional
        indices : sequence of int, optional
        as_grey : bool, optional
            Whether the network sees the brightest of them instead, in grey.
        """
        self._connect(connect=False)
        self._others = tuple(layers)
        axis = axis if indices else None
        self.view = replace(self.view, axis=axis, indices=tuple(indices), as_grey=as_grey)
        self._connect(connect=True)
        self._take_contrast()
        self.changed.emit()

    def set_normalization(self, normalization: Normalization) -> None:
        """Choose how intensities become 8 bits; "as displayed" is as it is displayed now."""
        self.view = replace(self.view, normalization=normalization)
        self._take_contrast()
        self.changed.emit()

    def use_contrast(self) -> None:
        """Take over how the layers are displayed now."""
        self._take_contrast()
        self.changed.emit()

    def restore(self, view: ChannelView) -> None:
        """Look at the image as it was looked at when a session was saved."""
        self.view = view
        self._offer_contrast()
        self.changed.emit()

    def source(self, plane: PlaneIndex) -> PlaneSource:
        """Describe a plane for the session.

        Raises
        ------
        InputError
            If the channels do not go together.
        """
        (source,) = self.sources([plane])
        return source

    def sources(self, planes_wanted: Sequence[PlaneIndex]) -> list[PlaneSource]:
        """Describe many planes, see `source`."""
        versions = [self._versions.get(layer.unique_id, 0) for layer in self.layers]
        return planes.plane_sources(
            self.layers, planes_wanted, self.view, versions=versions, measured=self._measured
        )

    def present_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return what layers are called now, by what they were called when they were seen."""
        return tuple(self._present_name(name) for name in names)

    def _present_name(self, name: str) -> str:
        if any(layer.name == name for layer in self._followed):
            return name
        renamed = (key.name for key, names in self._former_names.items() if name in names)
        return next(renamed, name)

    def forget(self, layer: Any) -> None:
        """Note that a layer was removed from the viewer."""
        if layer in self._others:
            self.set_channels([each for each in self._others if each != layer])
        self._kept.pop(layer, None)
        for image, chosen in list(self._kept.items()):
            if layer in chosen.layers:
                left = tuple(each for each in chosen.layers if each != layer)
                self._kept[image] = _Channels(left)

    def close(self) -> None:
        """Let go of the layers."""
        self._connect(connect=False)
        for layer in self._followed:
            layer.events.data.disconnect(self._on_data)
            layer.events.name.disconnect(self._on_name)
        self._followed.clear()

    def _connect(self, *, connect: bool) -> None:
        for layer in self.layers:
            for name in _SHOWN_EVENTS:
                emitter = layer.events[name]
                (emitter.connect if connect else emitter.disconnect)(self._on_shown)
            if connect and layer not in self._followed:
                self._followed.add(layer)
                layer.events.data.connect(self._on_data)
                self._former_names[layer] = {layer.name}
                layer.events.name.connect(self._on_name)

    def _on_name(self, event: Any) -> None:
        self._former_names[event.source].add(event.source.name)

    def _on_data(self, event: Any) -> None:
        layer = event.source
        self._versions[layer.unique_id] = self._versions.get(layer.unique_id, 0) + 1
        if layer in self.layers:
            self.changed.emit()

    def _on_shown(self, _event: Any = None) -> None:
        self._offer_contrast()

    def _take_contrast(self) -> None:
        displayed: tuple[Stretch, ...] = ()
        if self.normalization.mode == "as displayed" and self.layers:
            displayed = planes.with_shown_limits(self.view, self.layers).displayed
        self.view = replace(self.view, displayed=displayed)
        self._offer_contrast()

    def _offer_contrast(self) -> None:
        is_new = bool(self.layers) and planes.has_new_contrast(self.view, self.layers)
        self.contrast_offered.emit(is_new)


def visible_part(image: Image, plane: PlaneIndex) -> tuple[float, float, float, float]:
    """Return the part of a plane that is on the screen as (y0, x0, y1, x1), in its pixels."""
    corners = np.asarray(image.corner_pixels, float)
    if image.multiscale:
        corners = corners * image.downsample_factors[image.data_level]
    row, column = plane.displayed
    (y0, x0), (y1, x1) = corners[:, [row, column]].tolist()
    return y0, x0, y1 + 1, x1 + 1


def describe_region(region: Region | None, source: PlaneSource | None) -> str:
    """Return which part of a plane is in use; nothing if it is all of it."""
    if region is None or source is None or (region.hw == source.hw and region.step == 1):
        return ""
    where = f"rows {region.row} to {region.row + region.height}, columns {region.column} to "
    where += f"{region.column + region.width}"
    fine = "at full resolution" if region.step == 1 else f"every {region.step}th pixel"
    return f"In use: {where}, {fine}."


def show_input(viewer: Viewer, image: Image, plane: PlaneIndex, seen: NetworkInput) -> None:
    """Add the image that the network sees as a layer, where the image is."""
    row, column = plane.displayed
    height, width = seen.rgb.shape[:2]
    matrix = planes.affine_matrix(image)
    offset = np.array([value or 0 for value in plane.index], float)
    # A pixel that stands for several has its centre in the middle of them.
    steps = seen.region.height / height, seen.region.width / width
    offset[row] = seen.region.row + (steps[0] - 1) / 2
    offset[column] = seen.region.column + (steps[1] - 1) / 2
    matrix[:-1, -1] += matrix[:-1, :-1] @ offset
    matrix[:-1, row] *= steps[0]
    matrix[:-1, column] *= steps[1]
    shape = [1] * image.ndim + [3]
    shape[row], shape[column] = height, width
    pixels = np.swapaxes(seen.rgb, 0, 1) if plane.transposed else seen.rgb
    viewer.add_image(
        pixels.reshape(shape),
        rgb=True,
        name=f"{image.name} as the network sees it",
        affine=matrix,
        units=image.units,
        axis_labels=image.axis_labels,
    )

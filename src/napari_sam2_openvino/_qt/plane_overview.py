"""The planes of the stack: what the strip shows of them, and which are encoded ahead."""

from collections.abc import Hashable, Iterable
from typing import Any

from psygnal import Signal

from napari_sam2_openvino._layers.planes import image_shape, stack_planes
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.object_list import ObjectList
from napari_sam2_openvino._qt.plane_strip import PlaneStates
from napari_sam2_openvino._qt.soon import Soon
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.types import PlaneIndex

# What is encoded ahead at most: more would drop what comes first from the cache.
MOST_AHEAD = 2000


class PlaneOverview:
    """Follows the plane in view. Lives in the main thread.

    Parameters
    ----------
    annotator : Annotator
    objects : ObjectList
    """

    changed = Signal(PlaneStates)

    def __init__(self, annotator: Annotator, objects: ObjectList) -> None:
        self._annotator = annotator
        self._objects = objects
        self._is_ahead, self._is_paused = True, False
        self._axis: int | None = None
        self._plane: PlaneIndex | None = None
        self._keys: dict[Hashable, int] = {}
        annotator.plane_changed.connect(self._on_plane)
        annotator.view.changed.connect(self._plan)
        self._soon = Soon(self.show)
        annotator.objects_changed.connect(self._soon.ask)
        annotator.session.ready_changed.connect(self._soon.ask)

    def set_ahead(self, is_ahead: bool) -> None:
        """Choose whether planes are encoded while nothing else is to be done."""
        self._is_ahead = is_ahead
        self._plan()

    def set_paused(self, is_paused: bool) -> None:
        """Encode nothing ahead for a while, since something else needs the machine."""
        self._is_paused = is_paused
        self._plan()

    @property
    def axis(self) -> int | None:
        """The axis of the image that was moved along last; None if there is none."""
        return self._axis

    def states(self) -> PlaneStates:
        """Return what there is to say about the planes along the axis that was moved last."""
        annotator, axis = self._annotator, self._axis
        image, plane = annotator.image, annotator.plane
        if image is None or plane is None or axis is None:
            return PlaneStates()
        ready = annotator.session.ready
        return PlaneStates(
            n_planes=image_shape(image)[axis],
            current=plane.index[axis] or 0,
            ready=frozenset(number for key, number in self._keys.items() if key in ready),
            with_prompts=self._numbers(self._with_prompts()),
            with_objects=self._numbers(self._objects.planes()),
            axis=str(image.axis_labels[axis]),
        )

    def show(self, _: Any = None) -> None:
        """Say anew what there is."""
        if not self._annotator.is_closed:
            self.changed.emit(self.states())

    def go_to(self, number: int) -> None:
        """Move the slider to a plane along the axis of the strip."""
        image, plane = self._annotator.image, self._annotator.plane
        if image is None or plane is None or self._axis is None:
            return
        place = [float(value or 0) for value in plane.index]
        place[self._axis] = number
        axis = self._axis + self._annotator.viewer.dims.ndim - image.ndim
        self._annotator.viewer.dims.set_point(axis, image.data_to_world(place)[self._axis])

    def go_to_next(self, direction: int) -> None:
        """Move to the nearest plane with prompts or objects, forward (1) or back (-1)."""
        states = self.states()
        wanted = states.with_prompts | states.with_objects
        ahead = [each for each in wanted if (each - states.current) * direction > 0]
        if ahead:
            self.go_to(min(ahead, key=lambda each: abs(each - states.current)))
        else:
            self._annotator.feedback.say("No further plane has prompts or objects.")

    def _on_plane(self) -> None:
        plane = self._annotator.plane
        if plane is not None:
            self._axis = _moved_axis(self._plane, plane, self._axis)
        self._plane = plane
        self._plan()

    def _plan(self) -> None:
        annotator = self._annotator
        image, plane = annotator.image, annotator.plane
        self._keys = {}
        planes = []
        if image is not None and plane is not None and self._axis is not None:
            channel_axis = annotator.view.view.axis
            order = [
                plane,
                *stack_planes(
                    image, plane, self._axis, channel_axis=channel_axis, limit=MOST_AHEAD
                ),
            ]
            try:
                sources = annotator.view.sources(order)
            except InputError:
                # Said already of the plane in view.
                sources = []
            self._keys = {
                source.key: number
                for each, source in zip(order, sources, strict=False)
                if (number := self._number(each)) is not None
            }
            planes = sources[1:] if self._is_ahead and not self._is_paused else []
        annotator.session.set_ahead(planes)
        self.show()

    def _number(self, plane: PlaneIndex) -> int | None:
        """Return where a plane is on the strip; None if it is on no strip of the plane in view."""
        if self._plane is None or self._axis is None:
            return None
        if len(plane.index) != len(self._plane.index):
            # Of a target that another image was committed into.
            return None
        pairs = zip(self._plane.index, plane.index, strict=True)
        differs = {axis for axis, (here, there) in enumerate(pairs) if here != there}
        return (plane.index[self._axis] or 0) if differs <= {self._axis} else None

    def _numbers(self, planes: Iterable[PlaneIndex]) -> frozenset[int]:
        numbers = (self._number(plane) for plane in planes)
        return frozenset(number for number in numbers if number is not None)

    def _with_prompts(self) -> Iterable[PlaneIndex]:
        drafting, plane = self._annotator.drafting, self._annotator.plane
        return () if drafting is None or plane is None else drafting.planes_drawn(plane)


def _moved_axis(before: PlaneIndex | None, now: PlaneIndex, axis: int | None) -> int | None:
    """Return the axis that the strip is about: the one that was moved, else the last hidden one."""
    hidden = [each for each, value in enumerate(now.index) if value is not None]
    if before is not None and len(before.index) == len(now.index):
        moved = [each for each in hidden if before.index[each] != now.index[each]]
        if len(moved) == 1 and before.index[moved[0]] is not None:
            return moved[0]
    return axis if axis in hidden else (hidden[-1] if hidden else None)

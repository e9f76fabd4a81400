"""From which direction each object is drawn: a point lies on planes of other directions too."""

from collections.abc import Collection, Mapping

from napari_sam2_openvino._session.objects import FOR_ALL
from napari_sam2_openvino.core.types import PlaneIndex


class Directions:
    """A plane that each object is drawn on, by obj_id.

    What counts for all objects is of no direction: where no object is, none is from any side.
    """

    def __init__(self) -> None:
        self._planes: dict[int, PlaneIndex] = {}

    def note(self, obj_ids: Collection[int], plane: PlaneIndex) -> None:
        """Note where objects are drawn, of those that nothing is known of."""
        for obj_id in obj_ids:
            self._planes.setdefault(obj_id, plane)

    def change(self, obj_id: int, plane: PlaneIndex) -> None:
        """Note that an object is drawn from another direction from now on."""
        self._planes[obj_id] = plane

    def is_along(self, obj_id: int, plane: PlaneIndex, *, as_drawn: bool = False) -> bool:
        """Whether an object is drawn in the direction of a plane.

        Parameters
        ----------
        obj_id : int
        plane : PlaneIndex
        as_drawn : bool, optional
            Whether rows and columns must be the same as well.
        """
        on = self._planes.get(obj_id)
        if on is None or obj_id == FOR_ALL:
            return True
        if as_drawn:
            return on.displayed == plane.displayed
        return {*on.displayed} == {*plane.displayed}

    @property
    def examples(self) -> list[PlaneIndex]:
        """A plane of each direction that something is drawn from."""
        return list({each.displayed: each for each in self._planes.values()}.values())

    def renumber(self, new_ids: Mapping[int, int]) -> None:
        """Give objects other ids."""
        moved = {new: self._planes[old] for old, new in new_ids.items() if old in self._planes}
        kept = {key: each for key, each in self._planes.items() if key not in new_ids}
        self._planes = kept | moved

    def clear(self) -> None:
        """Forget all objects."""
        self._planes.clear()

    def snapshot(self) -> Mapping[int, PlaneIndex]:
        """Return what is known now, for `restore`."""
        return dict(self._planes)

    def restore(self, planes: Mapping[int, PlaneIndex]) -> None:
        """Go back to what was known of these objects."""
        self._planes |= planes

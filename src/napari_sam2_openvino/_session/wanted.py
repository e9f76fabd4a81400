"""What is wanted of the objects of one plane: their prompts, and where each is decoded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from napari_sam2_openvino._session.objects import HOVER
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region, choose_region, grow

VisibleBox = tuple[float, float, float, float]
"""(y0, x0, y1, x1) of the part of a plane that is on the screen, in pixels of the plane."""


@dataclass(eq=False)
class Wanted:
    """An object that an answer is wanted for.

    Parameters
    ----------
    obj_id : int
    prompts : ObjectPrompts
    digest : str
        Of the prompts.
    recorded : Region, optional
        Where it was decoded at another time.
    previous : Region, optional
        Where it was decoded before its prompts changed.
    region : Region, optional
        Where it is decoded; None until the model is there, whose image size decides.
    error : InputError, optional
        Why it cannot be decoded.
    """

    obj_id: int
    prompts: ObjectPrompts
    digest: str
    recorded: Region | None = None
    previous: Region | None = None
    region: Region | None = None
    error: InputError | None = None

    def choose_region(
        self, source: PlaneSource, image_size: int, shown: VisibleBox | None
    ) -> Region:
        """Return where to decode it, if nothing is remembered of it.

        A pure function of the prompts and of what is on the screen, but for objects that were
        decoded before: those stay where they are as long as they fit.
        """
        bounds = self.prompts.bounds()
        recorded = self.recorded
        if self.previous is not None:
            return choose_region(source.hw, image_size, bounds, shown, self.previous)
        if recorded is not None and _holds(recorded, bounds, source.hw):
            return recorded
        own = choose_region(source.hw, image_size, bounds, shown)
        # What is on the screen is encoded already, and shared by many objects.
        visible = visible_region(source, image_size, shown)
        is_fine = visible.step <= own.step
        return choose_region(source.hw, image_size, bounds, shown, visible) if is_fine else own

    def may_use(self, region: Region) -> bool:
        """Return whether an answer that was given in a region is as good as a new one."""
        return self.previous is not None or self.recorded in (None, region)

    def grow(self, source: PlaneSource, image_size: int) -> bool:
        """Look at a larger region, and return whether there is one.

        Not for the preview under the pointer: nobody waits for more of it.
        """
        larger = None
        if self.region is not None and self.obj_id != HOVER:
            larger = grow(self.region, source.hw, image_size)
        if larger is not None:
            self.region = larger
        return larger is not None


def visible_region(source: PlaneSource, image_size: int, shown: VisibleBox | None) -> Region:
    """Return what is encoded of a plane while there is no object."""
    return choose_region(source.hw, image_size, None, shown, None)


def _holds(
    region: Region, bounds: tuple[float, float, float, float] | None, hw: tuple[int, int]
) -> bool:
    bottom, right = region.row + region.height, region.column + region.width
    if bottom > hw[0] or right > hw[1]:
        return False
    if bounds is None:
        return True
    x0, y0, x1, y1 = bounds
    return region.column <= x0 and x1 < right and region.row <= y0 and y1 < bottom


def renewed(
    before: Mapping[int, Wanted],
    objects: Mapping[int, ObjectPrompts],
    regions: Mapping[int, Region],
) -> dict[int, Wanted]:
    """Return what is wanted now; objects whose prompts are as before stay the same.

    Parameters
    ----------
    before : mapping of int to Wanted
        What was wanted of the same plane.
    objects : mapping of int to ObjectPrompts
    regions : mapping of int to Region
        Recorded ones.

    Returns
    -------
    dict of int to Wanted
        By obj_id, in the order in which they are decoded.
    """
    wanted = {}
    texts: dict[int, bytes] = {}
    for obj_id in sorted(objects, key=_order):
        prompts, old = objects[obj_id], before.get(obj_id)
        if prompts.is_empty:
            continue
        if old is not None and old.prompts is prompts:
            wanted[obj_id] = old
            continue
        digest = prompts.digest(texts)
        if old is not None and old.digest == digest:
            wanted[obj_id] = old
        else:
            previous = None if old is None else old.region or old.previous
            wanted[obj_id] = Wanted(obj_id, prompts, digest, regions.get(obj_id), previous)
    return wanted


def _order(obj_id: int) -> tuple[bool, int]:
    return obj_id == HOVER, obj_id


def focus_first(objects: Iterable[Wanted], focus: int | None) -> list[Wanted]:
    """Sort objects in the order in which they are decoded."""
    return sorted(objects, key=lambda each: (each.obj_id != focus, *_order(each.obj_id)))

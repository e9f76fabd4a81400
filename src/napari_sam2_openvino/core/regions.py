"""Which part of a plane is encoded, and how finely."""

from dataclasses import dataclass

# A plane up to this many times the model's side is encoded whole.
WHOLE_FACTOR = 2
# A region is at least this many times as long as what is known of the object.
CONTEXT = 3.0
# Below this many pixels, what is known of the object is where it is and not how large.
SMALLEST_EXTENT = 3.0
# The part of what is visible that is encoded around a click.
PART_OF_VIEW = 0.5
# Origins lie on a grid of this many cells to a region's side, so that objects share regions.
CELLS = 4
# Those of clicks on a coarser one: a click stays a quarter of the side away from the edges, and
# hundreds of clicks on what is visible share a few regions. Over 580 clicks on objects of 57 pixels
# in planes of 2048, the starter's masks are as good in 9 regions of such a grid as in 20 of the
# finer one (mean IoU 0.69 and 0.68), but not in one region of all that is visible (0.50).
CELLS_OF_CLICKS = 2
# An object keeps its region while it is this part of the side away from the edges.
MARGIN = 1 / 8

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Region:
    """A rectangle of a plane that is encoded as one image.

    Parameters
    ----------
    row, column : int
        First pixel, in pixels of the plane at full resolution.
    height, width : int
        Extent in pixels of the plane at full resolution.
    step : int, optional
        Every how many pixels one is read: 1 is full resolution.
    """

    row: int
    column: int
    height: int
    width: int
    step: int = 1

    @classmethod
    def whole(cls, plane_hw: tuple[int, int], step: int = 1) -> "Region":
        """Return the region that is all of a plane."""
        return cls(0, 0, *plane_hw, step)

    @property
    def turned(self) -> "Region":
        """The same pixels on the plane with rows and columns swapped."""
        return Region(self.column, self.row, self.width, self.height, self.step)

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width in pixels of the plane."""
        return self.height, self.width


def choose_region(
    plane_hw: tuple[int, int],
    image_size: int,
    bounds: Bounds | None,
    view: Bounds | None = None,
    current: Region | None = None,
) -> Region:
    """Return the region of a plane in which one object is segmented.

    All of the plane while one encode resolves it well. Of a larger plane, a square around the
    object: a few times as large as the object where its extent is known, else a part of what is
    visible. Sides are the model's side times a power of two, and origins lie on a grid, so that
    objects share regions: however many points there are, no more than 25 regions for all on the
    screen, usually 9. What is read of any region has at most twice the model's side.

    Parameters
    ----------
    plane_hw : tuple of int
        Height and width of the plane in pixels.
    image_size : int
        S, the model's side in pixels.
    bounds : tuple of float or None
        (x0, y0, x1, y1) around what the user marked, as `ObjectPrompts.bounds` gives it; None if
        there is no object yet.
    view : tuple of float, optional
        (y0, x0, y1, x1): the part of the plane that is visible.
    current : Region, optional
        The region in which this object is. It stays there while it fits, so that looking closer
        changes no mask.

    Returns
    -------
    Region
    """
    longest = max(plane_hw)
    if longest <= WHOLE_FACTOR * image_size:
        return Region.whole(plane_hw)
    if current is not None and (bounds is None or _fits(bounds, current, plane_hw)):
        return current
    visible, cells = _visible(view, plane_hw), CELLS
    if bounds is None:
        centre, wanted = _centre(visible), _longest_side(visible)
    else:
        extent = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
        known = extent > SMALLEST_EXTENT
        wanted = CONTEXT * extent if known else PART_OF_VIEW * _longest_side(visible)
        cells = CELLS if known else CELLS_OF_CLICKS
        centre = _centre((bounds[1], bounds[0], bounds[3], bounds[2]))
    side = image_size
    while side < wanted:
        side *= 2
    return _square(centre, side, plane_hw, image_size, cells)


def grow(region: Region, plane_hw: tuple[int, int], image_size: int) -> Region | None:
    """Return the next larger region around a region, or None if it is all of the plane."""
    if region.hw == tuple(plane_hw):
        return None
    centre = region.row + region.height / 2, region.column + region.width / 2
    return _square(centre, 2 * max(region.hw), plane_hw, image_size)


def _square(
    centre: tuple[float, float],
    side: int,
    plane_hw: tuple[int, int],
    image_size: int,
    cells: int = CELLS,
) -> Region:
    """Return a square near a centre, cut to the plane; the whole plane if it is no larger."""
    if side >= max(plane_hw):
        return Region.whole(plane_hw, max(1, max(plane_hw) // image_size))
    cell = side // cells
    height, width = min(side, plane_hw[0]), min(side, plane_hw[1])
    row, column = (
        max(0, min(round((middle - side / 2) / cell) * cell, end - length))
        for middle, length, end in zip(centre, (height, width), plane_hw, strict=True)
    )
    return Region(row, column, height, width, side // image_size)


def _fits(bounds: Bounds, region: Region, plane_hw: tuple[int, int]) -> bool:
    """Whether bounds lie in a region, away from those edges that are not the plane's."""
    x0, y0, x1, y1 = bounds
    margin = MARGIN * max(region.hw)
    for low, high, start, length, end in (
        (y0, y1, region.row, region.height, plane_hw[0]),
        (x0, x1, region.column, region.width, plane_hw[1]),
    ):
        if start > 0 and low < start + margin:
            return False
        if start + length < end and high > start + length - 1 - margin:
            return False
    return True


def _visible(view: Bounds | None, plane_hw: tuple[int, int]) -> Bounds:
    """Return the visible part of a plane; all of it if that is not known or nothing is visible."""
    height, width = plane_hw
    if view is None:
        return 0.0, 0.0, float(height), float(width)
    y0, x0, y1, x1 = view
    y0, y1, x0, x1 = max(0.0, y0), min(float(height), y1), max(0.0, x0), min(float(width), x1)
    is_visible = y1 > y0 and x1 > x0
    return (y0, x0, y1, x1) if is_visible else (0.0, 0.0, float(height), float(width))


def _longest_side(box: Bounds) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def _centre(box: Bounds) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2

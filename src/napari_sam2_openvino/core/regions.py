"""Which part of a plane is encoded, and how finely."""

from dataclasses import dataclass


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
    def hw(self) -> tuple[int, int]:
        """Height and width in pixels of the plane."""
        return self.height, self.width

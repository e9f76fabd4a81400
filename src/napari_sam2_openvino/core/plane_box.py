"""Rows and columns of a plane that something fills, as whole pixels."""

from collections.abc import Iterable
from dataclasses import dataclass

from napari_sam2_openvino.core.marks import MaskCut


@dataclass(frozen=True)
class Box:
    """Rows and columns of a plane, the ends not included."""

    row: int = 0
    column: int = 0
    end_row: int = 0
    end_column: int = 0

    @classmethod
    def of(cls, cut: MaskCut) -> "Box":
        """Return the box that a mask fills."""
        (row, column), (height, width) = cut.origin, cut.mask.shape
        return cls(row, column, row + height, column + width)

    @classmethod
    def around(cls, boxes: "Iterable[Box]") -> "Box":
        """Return the smallest box that holds all boxes; empty ones do not count."""
        corners = [(*each.origin, each.end_row, each.end_column) for each in boxes if each.area]
        if not corners:
            return cls()
        rows, columns, end_rows, end_columns = zip(*corners, strict=True)
        return cls(min(rows), min(columns), max(end_rows), max(end_columns))

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the first pixel."""
        return self.row, self.column

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.end_row - self.row, self.end_column - self.column

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.hw[0] * self.hw[1]

    def is_inside(self, hw: tuple[int, int]) -> bool:
        """Whether all of it lies in a plane of a height and width."""
        return min(self.origin) >= 0 and self.end_row <= hw[0] and self.end_column <= hw[1]

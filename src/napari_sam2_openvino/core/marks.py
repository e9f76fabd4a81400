"""What the user drew for one object on one plane, before it becomes tokens and logits."""

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError

MarkKind = Literal["point", "box", "polygon", "ellipse", "path"]

_FEWEST_VERTICES = {"point": 1, "box": 2, "polygon": 3, "ellipse": 4, "path": 2}


@dataclass(frozen=True)
class Mark:
    """One point or shape.

    Parameters
    ----------
    kind : {"point", "box", "polygon", "ellipse", "path"}
        "polygon" and "ellipse" are lassos, "path" is a scribble.
    vertices : tuple of (float, float)
        (x, y) in pixels of the plane; an integer is the centre of a pixel. A point has one, a box
        two opposite corners, an ellipse the four corners of the parallelogram around it.
    is_positive : bool, optional
        Whether it lies on the object. Boxes and lassos always do.

    Raises
    ------
    InputError
        If there are too few vertices, one is not finite, or a box or lasso is negative.
    """

    kind: MarkKind
    vertices: tuple[tuple[float, float], ...]
    is_positive: bool = True

    def __post_init__(self) -> None:
        if self.kind not in get_args(MarkKind):
            raise InputError(
                f"A mark must be one of {', '.join(get_args(MarkKind))}, but is {self.kind!r}."
            )
        fewest = _FEWEST_VERTICES[self.kind]
        if len(self.vertices) < fewest:
            raise InputError(
                f"A {self.kind} needs at least {fewest} vertices, but has {len(self.vertices)}: "
                "draw it again."
            )
        if not np.isfinite(self.vertices).all():
            raise InputError(f"A {self.kind} must have finite coordinates: draw it again.")
        if not self.is_positive and self.kind not in ("point", "path"):
            raise InputError(f"A {self.kind} cannot be negative: use a point or a scribble.")


@dataclass(frozen=True, eq=False)
class MaskCut:
    """A mask, cut to its object.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The part of the plane that holds the object; (0, 0) if there is none.
    origin : tuple of int
        (row, column) in the plane of the first pixel.
    """

    mask: NDArray[np.bool_]
    origin: tuple[int, int] = (0, 0)

    @property
    def turned(self) -> "MaskCut":
        """The same pixels on the plane with rows and columns swapped."""
        row, column = self.origin
        return MaskCut(self.mask.T, (column, row))


@dataclass(frozen=True, eq=False)
class ObjectPrompts:
    """All that is said about one object on one plane.

    Parameters
    ----------
    marks : tuple of Mark
        In the order in which they were drawn.
    mask : MaskCut, optional
        An object that exists and is to be refined.
    choices : tuple of (int, int), optional
        Masks that the user chose instead of the default: (number of the stage, token), see
        `ObjectDecoder`.
    """

    marks: tuple[Mark, ...] = ()
    mask: MaskCut | None = None
    choices: tuple[tuple[int, int], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing says where the object is: no positive mark and no mask."""
        return self.mask is None and not any(mark.is_positive for mark in self.marks)

    def digest(self, texts: dict[int, bytes] | None = None) -> str:
        """Return a hash of the content: equal prompts have equal digests.

        Parameters
        ----------
        texts : dict of int to bytes, optional
            Filled with what is hashed of each mark, by its ``id``. Objects that share marks share
            it, while all of them are kept: of many objects most of the time goes there.
        """
        texts = {} if texts is None else texts
        for mark in self.marks:
            if id(mark) not in texts:
                texts[id(mark)] = repr(mark).encode()
        hasher = hashlib.blake2b(repr(self.choices).encode(), digest_size=16)
        hasher.update(b"".join([texts[id(mark)] for mark in self.marks]))
        if self.mask is not None:
            hasher.update(repr((self.mask.origin, self.mask.mask.shape)).encode())
            hasher.update(np.packbits(self.mask.mask).tobytes())
        return hasher.hexdigest()

    def bounds(self) -> tuple[float, float, float, float] | None:
        """Return the box (x0, y0, x1, y1) around the positive marks and the mask, or None."""
        corners = [vertex for mark in self.marks if mark.is_positive for vertex in mark.vertices]
        if self.mask is not None and self.mask.mask.size:
            (row, column), (height, width) = self.mask.origin, self.mask.mask.shape
            corners += [(column, row), (column + width - 1, row + height - 1)]
        if not corners:
            return None
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def is_inside(xy: tuple[float, float], hw: tuple[int, int]) -> bool:
    """Whether a place is on a plane of H by W pixels, which reach half a pixel beyond a centre."""
    (x, y), (height, width) = xy, hw
    return -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5


def check_inside(subject: str, xy: tuple[float, float], hw: tuple[int, int]) -> None:
    """Raise InputError, which begins with its subject and verb, if a place is on no pixel."""
    if not is_inside(xy, hw):
        (x, y), (height, width) = xy, hw
        raise InputError(
            f"{subject} at x {x:.0f}, y {y:.0f}, outside planes of {width} x {height} pixels: "
            "coordinates must be in pixels."
        )

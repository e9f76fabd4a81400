"""What the axes of an image are: named by its file or the user, or guessed."""

import re
from dataclasses import dataclass
from math import prod

import numpy as np

from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.types import PlaneIndex

_MEANINGS = {
    "T": "time",
    "C": "channel",
    "Z": "z",
    "Y": "y",
    "X": "x",
    "S": "colour",
}
# Before the two axes of a plane, labels have theirs in this order, which OME-Zarr wants: time, one
# axis of another kind, z.
_FIRST, _LAST = "T", "Z"
# An axis without a name that is no longer than this holds channels.
_MOST_CHANNELS = 4
_COLOURS = (3, 4)
_PLACE = re.compile(r"\s*([a-z])\s*=\s*(-?\d*)(:-?\d*)?(:\d*)?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Axes:
    """The axes of an image.

    Parameters
    ----------
    letters : str
        One upper-case letter for each axis: Y and X of a plane, C for channels, S (last) for red,
        green, blue and perhaps alpha; the others, such as T and Z, tell planes apart.
    shape : tuple of int
        As many lengths.
    is_guessed : bool, optional
        Whether a letter was guessed from the lengths.

    Raises
    ------
    InputError
        If the letters cannot be used.
    """

    letters: str
    shape: tuple[int, ...]
    is_guessed: bool = False

    def __post_init__(self) -> None:
        letters, shape = self.letters, self.shape
        if len(letters) != len(shape):
            raise InputError(
                f"Axes must have one letter for each axis, but {letters!r} has {len(letters)} and "
                f"the shape is {times(shape)}: give {len(shape)}, such as {_example(len(shape))}."
            )
        is_distinct = len(set(letters)) == len(letters) and letters.isascii() and letters.isalpha()
        if not is_distinct or not {"Y", "X"} <= set(letters):
            raise InputError(
                f"Axes must be distinct letters with Y and X among them, but are {letters!r}: "
                f"give such as {_example(len(shape))}."
            )
        if "S" in letters and (letters[-1] != "S" or shape[-1] not in _COLOURS):
            raise InputError(
                f"Axis S (red, green, blue) must be the last and have length 3 or 4, but the axes "
                f"are {letters!r} of {times(shape)}: call it C."
            )
        others = sorted(set(letters) - set(_MEANINGS))
        if len(others) > 1:
            raise InputError(
                f"Besides T, C, Z, Y, X and S one more axis is possible, but there are "
                f"{' and '.join(others)}: cut the image into parts."
            )

    @property
    def has_colours(self) -> bool:
        """Whether the last axis is red, green and blue."""
        return self.letters.endswith("S")

    @property
    def channel(self) -> int | None:
        """The axis of channels, if there is one."""
        return self.letters.find("C") if "C" in self.letters else None

    @property
    def n_channels(self) -> int:
        """Length of the axis of channels; 1 if there is none."""
        return 1 if self.channel is None else self.shape[self.channel]

    @property
    def is_transposed(self) -> bool:
        """Whether the image has X before Y, which planes and labels have not."""
        return self.letters.index("X") < self.letters.index("Y")

    @property
    def labels_letters(self) -> str:
        """The axes of the labels: those of planes, then Y and X."""
        return "".join(sorted(set(self.letters) - set("CSYX"), key=_rank)) + "YX"

    @property
    def labels_shape(self) -> tuple[int, ...]:
        """Lengths of the axes of the labels."""
        return tuple(self.shape[self.letters.index(letter)] for letter in self.labels_letters)

    @property
    def plane_hw(self) -> tuple[int, int]:
        """Height and width of a plane in pixels."""
        height, width = self.labels_shape[-2:]
        return height, width

    @property
    def n_planes(self) -> int:
        """How many planes there are."""
        return prod(self.labels_shape[:-2])

    def position(self, number: int) -> tuple[int, ...]:
        """Return where a plane lies along the axes of the labels, the two of a plane left out."""
        return tuple(int(each) for each in np.unravel_index(number, self.labels_shape[:-2]))

    def number(self, position: tuple[int, ...]) -> int:
        """Return the number of the plane at a position."""
        return int(np.ravel_multi_index(position, self.labels_shape[:-2])) if position else 0

    def plane(self, position: tuple[int, ...]) -> PlaneIndex:
        """Return a plane as the image is indexed, colours left out; its channel is the first.

        Its rows are Y and its columns X, in whatever order the image has them.
        """
        places = dict(zip(self.labels_letters, position, strict=False))
        index = [
            None if letter in "YX" else places.get(letter, 0)
            for letter in self.letters.removesuffix("S")
        ]
        return PlaneIndex(tuple(index), self.is_transposed)

    def name(self, position: tuple[int, ...]) -> str:
        """Return what a plane is called, such as "t=0, z=10"."""
        places = zip(self.labels_letters.lower(), position, strict=False)
        return ", ".join(f"{letter}={place}" for letter, place in places) or "the plane"

    def __str__(self) -> str:
        lengths = ", ".join(
            f"{_MEANINGS.get(letter, letter.lower())} {length}"
            for letter, length in zip(self.letters, self.shape, strict=True)
        )
        return f"{lengths} (guessed)" if self.is_guessed else lengths


def name_axes(shape: tuple[int, ...], known: str = "", wanted: str | None = None) -> Axes:
    """Say what the axes of an image are.

    Parameters
    ----------
    shape : tuple of int
        Two to six axes, colours included.
    known : str, optional
        What the file says, one letter for each axis; others than T, C, Z, Y, X and S count as
        unknown.
    wanted : str, optional
        What the user says, in any case; S may be left out.

    Returns
    -------
    Axes
        What nobody says is guessed: the last axis is colours if it has length 3 or 4 and there are
        more than two; then the last two are Y and X; of the others one that is no longer than 4 is
        C; what is left is, from the right, Z and T.

    Raises
    ------
    InputError
        If they cannot be named.
    """
    if len(shape) < 2:
        raise InputError(f"The image must have at least two axes, but has shape {times(shape)}.")
    if wanted is not None:
        letters = wanted.strip().upper()
        # Colours are the one axis that people do not count.
        if len(letters) == len(shape) - 1 and shape[-1] in _COLOURS and "S" not in letters:
            letters += "S"
        return Axes(letters, shape)
    found: list[str] = [""] * len(shape)
    if len(known) == len(shape):
        is_told = [each in _MEANINGS and known.count(each) == 1 for each in known.upper()]
        found = [each if told else "" for each, told in zip(known.upper(), is_told, strict=True)]
    if "S" in found and (found[-1] != "S" or shape[-1] not in _COLOURS):
        found[found.index("S")] = "" if "C" in found else "C"
    if "Y" not in found or "X" not in found:
        _guess_plane(found, shape)
    _guess_others(found, shape)
    letters = "".join(found)
    return Axes(letters, shape, is_guessed=letters != known.upper())


def select_planes(axes: Axes, text: str) -> tuple[int, ...]:
    """Return the numbers of the planes that a text chooses.

    Parameters
    ----------
    axes : Axes
    text : str
        Such as "z=10", "z=10:20" (the end is left out, as in Python), "z=::5" or "t=0, z=10:"; an
        axis that is not named is taken whole.

    Raises
    ------
    InputError
        If it cannot be read, chooses nothing, or names an axis twice.
    """
    letters, lengths = axes.labels_letters[:-2], axes.labels_shape[:-2]
    chosen = [range(length) for length in lengths]
    named = set()
    for part in text.split(","):
        match = _PLACE.fullmatch(part)
        letter = match[1].upper() if match else ""
        if match is None or letter not in letters:
            names = " or ".join(letters.lower()) or "none"
            raise InputError(
                f"Planes are chosen such as z=10, z=10:20 or z=::5, but {part.strip()!r} was "
                f"given, and axes to choose from are: {names}."
            )
        if letter in named:
            raise InputError(
                f"Planes of axis {letter.lower()} are chosen once, such as {letter.lower()}=1:4, "
                f"but {text.strip()!r} names it twice."
            )
        named.add(letter)
        axis = letters.index(letter)
        chosen[axis] = _places(match, lengths[axis], letter)
    numbers = np.arange(axes.n_planes).reshape(lengths)
    return tuple(numbers[np.ix_(*chosen)].ravel().tolist()) if lengths else (0,)


def _places(match: re.Match[str], length: int, letter: str) -> range:
    start, stop, step = match[2], match[3], match[4]
    if stop is None:
        place = int(start) if start.lstrip("-") else length
        place += length if place < 0 else 0
        places = range(place, place + 1) if 0 <= place < length else range(0)
    else:
        first, last = (int(each) if each.lstrip("-") else None for each in (start, stop[1:]))
        every = max(1, int((step or ":1")[1:] or 1))
        places = range(*slice(first, last, every).indices(length))
    if not places:
        raise InputError(
            f"Axis {letter.lower()} has planes 0 to {length - 1}, so {match[0].strip()} chooses "
            "none: planes are counted from 0."
        )
    return places


def _guess_plane(found: list[str], shape: tuple[int, ...]) -> None:
    """Name the two axes of a plane, and colours."""
    free = [axis for axis, letter in enumerate(found) if not letter]
    has_colours = len(free) > 2 and free[-1] == len(shape) - 1 and shape[-1] in _COLOURS
    if has_colours and "S" not in found:
        found[free.pop()] = "S"
    for letter in "XY":
        if letter not in found and free:
            found[free.pop()] = letter


def _guess_others(found: list[str], shape: tuple[int, ...]) -> None:
    """Name what is neither a plane's nor colours."""
    free = [axis for axis, letter in enumerate(found) if not letter]
    if not {"C", "S"} & set(found):
        small = [axis for axis in free if 1 < shape[axis] <= _MOST_CHANNELS]
        if small:
            found[small[-1]] = "C"
        elif len(free) > len(set("TZ") - set(found)):
            found[free[len(free) // 2]] = "C"
    rest = [letter for letter in "TZ" if letter not in found]
    for axis in reversed([axis for axis, letter in enumerate(found) if not letter]):
        if not rest:
            raise InputError(
                f"It is not clear what the axes of shape {times(shape)} are: name them, such as "
                f"{_example(len(shape))}."
            )
        found[axis] = rest.pop()


def _rank(letter: str) -> int:
    return {_FIRST: 0, _LAST: 2}.get(letter, 1)


def _example(ndim: int) -> str:
    return "TCZYX"[-ndim:] if ndim < 6 else "TCZYXS"

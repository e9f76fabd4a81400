"""In which order the tokens of an image stand in memory, and how one order becomes another.

Hiera attends within windows and pools 2 x 2 tokens between its stages. In an order where the tokens
of a window stand together, and within it those that are pooled apart by equal distances, both are
views of the same memory; only from one size of window to another do tokens have to be moved.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

Axis = Literal["y", "x"]


@dataclass(frozen=True)
class Step:
    """Part of an index: it counts to ``length`` in steps of ``stride`` tokens along an axis."""

    axis: Axis
    length: int
    stride: int


@dataclass(frozen=True)
class TokenOrder:
    """The order of the tokens of an image.

    Parameters
    ----------
    steps : tuple of Step
        The outermost first. Together, the steps of an axis count each of its positions once.
    """

    steps: tuple[Step, ...]

    @classmethod
    def rows(cls, height: int, width: int) -> "TokenOrder":
        """Row by row."""
        return cls._of([Step("y", height, 1), Step("x", width, 1)])

    @classmethod
    def windows(cls, height: int, width: int, side: int) -> "TokenOrder":
        """Window by window, and within one so that pooling leaves windows of half the side.

        Parameters
        ----------
        height, width : int
            Of the image in tokens; multiples of ``side``.
        side : int
            Of a window in tokens.
        """
        steps = [Step("y", height // side, side), Step("x", width // side, side)]
        stride = 1
        while side // stride % 2 == 0:
            steps += [Step("y", 2, stride), Step("x", 2, stride)]
            stride *= 2
        steps += [Step("y", side // stride, stride), Step("x", side // stride, stride)]
        return cls._of(steps)

    @classmethod
    def _of(cls, steps: list[Step]) -> "TokenOrder":
        """Leave out what counts to one: equal orders have equal steps."""
        return cls(tuple(step for step in steps if step.length > 1))

    @property
    def run(self) -> int | None:
        """How many tokens stand between neighbours that are pooled; None if that differs."""
        at = [index for index, step in enumerate(self.steps) if step.stride == 1]
        pair = [self.steps[index] for index in at]
        if pair != [Step("y", 2, 1), Step("x", 2, 1)] or at[1] != at[0] + 1:
            return None
        return prod(step.length for step in self.steps[at[1] + 1 :])

    def pooled(self) -> "TokenOrder":
        """Return the order of what is left when 2 x 2 neighbours have become one."""
        return TokenOrder(
            tuple(
                Step(step.axis, step.length, step.stride // 2)
                for step in self.steps
                if step.stride > 1
            )
        )

    def move(self, other: "TokenOrder") -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shape to see the tokens in, and its axes in the order of ``other``."""
        mine, wanted = self._refined(other), other._refined(self)
        return tuple(step.length for step in mine), tuple(mine.index(step) for step in wanted)

    def _refined(self, other: "TokenOrder") -> tuple[Step, ...]:
        """Return the same order in the smaller steps that another order needs too."""
        refined: list[Step] = []
        for step in self.steps:
            end = step.stride * step.length
            inside = {
                each.stride
                for each in other.steps
                if each.axis == step.axis and step.stride < each.stride < end
            }
            bounds = [step.stride, *sorted(inside), end]
            pairs = list(pairwise(bounds))
            refined += [Step(step.axis, to // start, start) for start, to in reversed(pairs)]
        return tuple(refined)


def joined(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Join the axes that stay neighbours in a transposition, and leave out those of length 1.

    Parameters
    ----------
    shape, axes : tuple of int
        A transposition as `numpy.transpose` takes it.

    Returns
    -------
    shape, axes : list of int
        One that moves memory in the same way, of as few axes as possible.
    """
    groups: list[list[int]] = []
    for axis in (axis for axis in axes if shape[axis] > 1):
        before = groups[-1][-1] if groups else None
        if before is not None and before < axis and set(shape[before + 1 : axis]) <= {1}:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    order = sorted(groups)
    return [prod(shape[axis] for axis in group) for group in order], [
        order.index(group) for group in groups
    ]

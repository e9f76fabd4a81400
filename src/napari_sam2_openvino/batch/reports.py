"""What became of a batch: for each image a line, and whether all went well."""

from dataclasses import dataclass

_MOST_PROBLEMS = 3


@dataclass(frozen=True)
class StackReport:
    """What became of one image.

    Parameters
    ----------
    image : str
        Its name.
    output : str
        Where its labels are.
    n_planes, n_finished, n_objects : int
        Planes that were wanted, those that have labels, and objects on all of those together.
    problems : tuple of str, optional
        What went wrong, a sentence each.
    """

    image: str
    output: str
    n_planes: int = 0
    n_finished: int = 0
    n_objects: int = 0
    problems: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all that was wanted is there."""
        return not self.problems and self.n_finished == self.n_planes

    def __str__(self) -> str:
        if not self.n_planes:
            return f"{self.image}: {' '.join(self.problems)}"
        text = (
            f"{self.image}: {count(self.n_objects, 'object')} on {self.n_finished} of "
            f"{count(self.n_planes, 'plane')}"
        )
        text += f", in {self.output}" if self.n_finished else ""
        told = " ".join(self.problems[:_MOST_PROBLEMS])
        more = len(self.problems) - _MOST_PROBLEMS
        rest = f" And {more} more." if more > 0 else ""
        return f"{text}. {told}{rest}" if self.problems else text


@dataclass(frozen=True)
class BatchReport:
    """What became of all images.

    Parameters
    ----------
    stacks : tuple of StackReport
    seconds : float
    planes_per_minute : float
        Of those that were segmented now.
    """

    stacks: tuple[StackReport, ...]
    seconds: float
    planes_per_minute: float

    @property
    def is_whole(self) -> bool:
        """Whether all that was wanted is there."""
        return all(stack.is_whole for stack in self.stacks)

    @property
    def n_failed(self) -> int:
        """How many images have not all labels that were wanted."""
        return sum(not stack.is_whole for stack in self.stacks)

    def __str__(self) -> str:
        n_objects = sum(stack.n_objects for stack in self.stacks)
        n_planes = sum(stack.n_finished for stack in self.stacks)
        n_images = len(self.stacks)
        text = f"{count(n_objects, 'object')} on {count(n_planes, 'plane')}"
        text += f" of {n_images} images" if n_images > 1 else ""
        return f"{text}; {self.n_failed} failed" if self.n_failed else text


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as "2 planes"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

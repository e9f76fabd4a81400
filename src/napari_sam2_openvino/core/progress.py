"""How a long job tells where it is."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report of a running job.

    Parameters
    ----------
    stage : str
        What is being done, in a few words for the user.
    done : float, optional
        Share of the whole job that is done, 0 to 1; NaN where it is not known.
    detail : str, optional
        A figure to show beside it, such as "12 of 156 MB".
    """

    stage: str
    done: float = math.nan
    detail: str = ""

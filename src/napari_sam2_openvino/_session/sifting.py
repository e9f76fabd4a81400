"""Filters candidates and composes labels outside the main thread, the newest wish first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam2_openvino._session.jobs import Runner
from napari_sam2_openvino.core.candidate_filter import CandidateSieve
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import Sam2Error
from napari_sam2_openvino.core.labels_from_candidates import (
    LabelledObjects,
    labels_from_candidates,
)
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.measurements import INDEX, measurements
from napari_sam2_openvino.core.object_parameters import CandidateFilter, LabelsParameters


@dataclass(frozen=True, eq=False)
class Wish:
    """What is to be shown.

    Parameters
    ----------
    candidates : Candidates
    criteria : CandidateFilter
    labels : LabelsParameters
    existing : callable, optional
        Reads the labels of the plane that are there already; called in the worker.
    """

    candidates: Candidates
    criteria: CandidateFilter
    labels: LabelsParameters
    existing: Callable[[], NDArray[Any]] | None = None


@dataclass(frozen=True, eq=False)
class Sifted:
    """What there is to show.

    Parameters
    ----------
    wish : Wish
    objects : Candidates
        Those that pass.
    shown : LabelledObjects
        Of ``objects``; a candidate has the same label at whatever thresholds, and what was there
        already has none.
    """

    wish: Wish
    objects: Candidates
    shown: LabelledObjects


class Sifter:
    """Answers the newest wish. Lives in the main thread.

    Parameters
    ----------
    run : Runner
        Of its own, so that a slider never waits for the model.
    """

    sifted = Signal(Sifted)
    failed = Signal(Sam2Error)

    def __init__(self, run: Runner) -> None:
        self._run = run
        self._sieve: CandidateSieve | None = None
        self._wanted: Wish | None = None
        self._waiting: Wish | None = None
        self._is_busy = self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether the newest wish is still to be answered."""
        return self._is_busy

    def ask(self, wish: Wish | None) -> None:
        """Say what is wanted now; None for nothing."""
        self._wanted = self._waiting = wish
        self._advance()

    def close(self) -> None:
        """Answer nothing more."""
        self._is_closed = True
        self._wanted = self._waiting = None

    def _advance(self) -> None:
        if self._is_busy or self._waiting is None or self._is_closed:
            return
        wish, self._waiting, self._is_busy = self._waiting, None, True
        self._run(lambda: self._sift(wish), self._on_done, self._on_error)

    def _sift(self, wish: Wish) -> Sifted:
        """Filter and compose; in the worker, which alone uses the sieve."""
        if self._sieve is None or self._sieve.candidates is not wish.candidates:
            self._sieve = CandidateSieve(wish.candidates)
        sieve = self._sieve
        chosen = sieve.indices(wish.criteria)
        objects = wish.candidates.take(chosen)
        existing = None if wish.existing is None else wish.existing() != 0
        shown = labels_from_candidates(
            objects,
            wish.labels,
            existing,
            cut=lambda index: sieve.cut(int(chosen[index])),
            # Above the mark of what is there already.
            numbers=chosen + 2,
        )
        if existing is not None:
            shown.labels[existing] = 0
        return Sifted(wish, objects, shown)

    def _on_done(self, sifted: Sifted) -> None:
        self._is_busy = False
        wanted = self._wanted
        # While a slider is dragged each answer is shown, but none of another plane.
        if wanted is not None and sifted.wish.candidates is wanted.candidates:
            self.sifted.emit(sifted)
        self._advance()

    def _on_error(self, error: Exception) -> None:
        self._is_busy = False
        self._advance()
        if not isinstance(error, Sam2Error):
            raise error
        if not self._is_closed:
            self.failed.emit(error)


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object to be committed.

    Parameters
    ----------
    obj_id : int
        From 1, from the top to the bottom of the plane.
    mask : MaskCut
        The pixels that are shown of it.
    iou_prediction : float
    measures : mapping of str to float
        What else its row of the table says, by column.
    """

    obj_id: int
    mask: MaskCut
    iou_prediction: float
    measures: Mapping[str, float]


def objects_to_commit(sifted: Sifted) -> tuple[FoundObject, ...]:
    """Return what is shown as objects, measured; for the worker."""
    shown, objects = sifted.shown, sifted.objects
    table = measurements(shown, objects).set_index(INDEX)
    is_shown = np.flatnonzero(shown.ids)
    x0, y0, x1, y1 = objects.boxes[is_shown].astype(int).T
    found = []
    for number, place in enumerate(np.lexsort((x0, y0)), start=1):
        index, label = is_shown[place], shown.ids[is_shown[place]]
        window = slice(y0[place], y1[place] + 1), slice(x0[place], x1[place] + 1)
        cut = MaskCut(shown.labels[window] == label, (int(y0[place]), int(x0[place])))
        measures = {str(name): float(value) for name, value in table.loc[label].items()}
        del measures["iou_prediction"], measures["area"]
        found.append(FoundObject(number, cut, float(objects.iou_predictions[index]), measures))
    return tuple(found)

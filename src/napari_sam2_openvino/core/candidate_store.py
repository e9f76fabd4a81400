"""Candidates on disk, for the next time the same plane is looked at."""

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from napari_sam2_openvino.core.candidate_files import SUFFIX, load_candidates, save_candidates
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.kept_files import drop_least_recently_used, kept_files
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters
from napari_sam2_openvino.core.paths import cache_dir, remove
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region

DEFAULT_MAX_BYTES = 1 << 30
_LOGGER = logging.getLogger(__name__)
# A plane is recognized by what is read of it at about this side.
_LOOKED_AT = 1024


class CandidateStore:
    """A folder of candidates, the least recently used dropped first.

    Nothing that goes wrong on disk is an error: what is damaged is as if it were not there. All of
    it touches the disk: for a worker.

    Parameters
    ----------
    folder : Path, optional
        Made when it is needed; ``candidates`` in the user's cache folder if None.
    max_bytes : int, optional
        Budget for all files together.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.folder = cache_dir() / "candidates" if folder is None else folder
        self.max_bytes = max_bytes

    def get(self, key: str) -> Candidates | None:
        """Return the candidates of that key, or None, and mark them as used."""
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            candidates = load_candidates(path)
        except InputError as error:
            _LOGGER.warning("%s is removed: %s", path, error)
            remove(path)
            return None
        with suppress(OSError):
            os.utime(path)
        return candidates

    def put(self, key: str, candidates: Candidates) -> None:
        """Keep candidates, and drop old ones beyond the budget."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_candidates(self._path(key), candidates)
            files = kept_files(self.folder, SUFFIX)
            drop_least_recently_used(files, self._path(key), self.max_bytes)
        except OSError as error:
            _LOGGER.warning(
                "Candidates are not kept: %s cannot be written (%s).", self.folder, error
            )

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"


def candidate_key(model_key: str, source: PlaneSource, parameters: AllObjectsParameters) -> str:
    """Return what candidates are kept under: the pixels, the model, and how it was searched.

    Pixels of a large plane are averaged before they are compared. What is only filtered afterwards
    does not count, but for the thresholds from which on candidates are kept.

    Parameters
    ----------
    model_key : str
        ``Sam2Model.key``.
    source : PlaneSource
        Is read.
    parameters : AllObjectsParameters
    """
    step = max(1, max(source.hw) // _LOOKED_AT)
    rgb = source.load(Region.whole(source.hw, step))
    hasher = hashlib.blake2b(np.ascontiguousarray(rgb).data, digest_size=16)
    scores = parameters.filter.pred_iou_thresh, parameters.filter.stability_score_thresh
    about = (model_key, source.hw, parameters.generator, parameters.tiling, scores)
    hasher.update(repr(about).encode())
    return hasher.hexdigest()

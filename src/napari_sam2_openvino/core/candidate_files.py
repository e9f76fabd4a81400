"""Candidates as one compressed file, to filter them another day."""

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import DAMAGED_ARCHIVE, InputError
from napari_sam2_openvino.core.kept_files import UNFINISHED
from napari_sam2_openvino.core.paths import remove
from napari_sam2_openvino.core.rle import MaskRuns

FORMAT_VERSION = 1
SUFFIX = ".npz"

_SCORES = ("boxes", "iou_predictions", "stability_scores", "point_coords", "crop_boxes", "areas")
_DTYPES = {name: np.dtype(np.int64 if name == "areas" else np.float32) for name in _SCORES}


def save_candidates(path: Path, candidates: Candidates) -> None:
    """Write candidates to a compressed ``.npz``, under a temporary name until it is whole.

    Beside the arrays of `Candidates` it holds the run lengths of all masks one after the other
    (``counts``), how many each mask has (``n_counts``), and the ``hw`` and ``origin`` of each cut.

    Parameters
    ----------
    path : Path
    candidates : Candidates

    Raises
    ------
    OSError
        If it cannot be written.
    """
    masks = candidates.masks
    handle, unfinished = tempfile.mkstemp(dir=path.parent, suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(
                file,
                format_version=np.int64(FORMAT_VERSION),
                image_hw=np.array(candidates.image_hw, np.int64),
                counts=np.concatenate([np.zeros(0, np.int32), *(mask.counts for mask in masks)]),
                n_counts=np.array([len(mask.counts) for mask in masks], np.int64),
                hw=np.array([mask.hw for mask in masks], np.int64).reshape(-1, 2),
                origin=np.array([mask.origin for mask in masks], np.int64).reshape(-1, 2),
                **{name: getattr(candidates, name) for name in _SCORES},
            )
        os.replace(unfinished, path)
    except BaseException:
        remove(Path(unfinished))
        raise


def load_candidates(path: Path) -> Candidates:
    """Read candidates back, equal to the bit to those that were written.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If it is no whole file of candidates of this format.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            version = int(archive["format_version"])
            arrays = {name: archive[name] for name in archive.files}
        if version != FORMAT_VERSION:
            raise InputError(
                f"{path} has format {version}, but this version reads {FORMAT_VERSION}: find the "
                "objects again."
            )
        return _from_arrays(arrays)
    except InputError:
        raise
    except (TypeError, *DAMAGED_ARCHIVE) as e:
        raise InputError(
            f"{path} is no whole file of candidates ({e}): find the objects again."
        ) from e


def _from_arrays(arrays: dict[str, NDArray[np.generic]]) -> Candidates:
    for name, dtype in {**_DTYPES, "counts": np.dtype(np.int32)}.items():
        if arrays[name].dtype != dtype:
            raise ValueError(f"{name} is of type {arrays[name].dtype}")
    counts, stops = arrays["counts"], np.cumsum(arrays["n_counts"].astype(np.int64))
    height, width = (int(length) for length in arrays["image_hw"].astype(np.int64))
    masks = []
    for part, hw, origin in zip(
        np.split(counts, stops[:-1]) if len(stops) else [],
        arrays["hw"].astype(np.int64).tolist(),
        arrays["origin"].astype(np.int64).tolist(),
        strict=True,
    ):
        is_inside = min(*origin, *hw) >= 0 and (
            origin[0] + hw[0] <= height and origin[1] + hw[1] <= width
        )
        if (
            not is_inside
            or part.min(initial=0) < 0
            or int(part.sum(dtype=np.int64)) != hw[0] * hw[1]
        ):
            raise ValueError("a mask does not fit its place")
        masks.append(MaskRuns(part.astype(np.int32), (hw[0], hw[1]), (origin[0], origin[1])))
    scores = {name: arrays[name] for name in _SCORES}
    return Candidates(image_hw=(height, width), masks=tuple(masks), **scores)  # type: ignore[arg-type]

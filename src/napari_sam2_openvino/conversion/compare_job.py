"""Compare two models in a child process, which can be ended at any moment."""

import hashlib
import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_sam2_openvino.comparison.compare import MOST_IMAGES
from napari_sam2_openvino.conversion.child import FolderJob
from napari_sam2_openvino.conversion.compare_task import Request
from napari_sam2_openvino.conversion.image_files import write_images
from napari_sam2_openvino.conversion.staging import MOST_BYTES
from napari_sam2_openvino.core.model_folder import read_model_info
from napari_sam2_openvino.core.models import find_model_folder
from napari_sam2_openvino.core.paths import reports_dir
from napari_sam2_openvino.core.progress import Progress

# Letters, of up to four bytes.
_SHORTENED_TO = 38


class CompareJob(FolderJob):
    """One comparison, whose report is in `folder` when `run` has ended.

    Parameters
    ----------
    a, b : str
        Names of the original and of the model that may replace it. A report of the same two is
        replaced.
    images, labels : iterable of ndarray
        See `compare_models`.
    """

    TASK = "compare"
    CALLED = "comparison"

    def __init__(
        self,
        a: str,
        b: str,
        images: Iterable[NDArray[Any]],
        *,
        labels: Iterable[NDArray[Any]] | None = None,
    ) -> None:
        super().__init__(b, overwrite=True, destination=reports_dir() / _report_name(a, b))
        self._folders: tuple[Path, Path] = (find_model_folder(a), find_model_folder(b))
        self._images = images
        self._labels = labels

    def _prepare(self, temporary: Path) -> Generator[Progress, None, Request]:
        a, b = (folder.absolute() for folder in self._folders)
        size = read_model_info(a).config.image_size
        count = yield from write_images(
            temporary, self._images, self._labels, size, MOST_IMAGES, self._raise_if_cancelled
        )
        return Request(str(a), str(b), count, self._labels is not None)


def _report_name(a: str, b: str) -> str:
    name = f"{b} compared with {a}"
    if len(os.fsencode(name)) <= MOST_BYTES:
        return name
    # Each may be as long as a name may be.
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{name[:_SHORTENED_TO]}… {digest}"

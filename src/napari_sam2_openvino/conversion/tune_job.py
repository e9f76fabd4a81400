"""Try out what a model runs best with, in a child process that can be ended at any moment."""

from collections.abc import Generator
from pathlib import Path

from napari_sam2_openvino.conversion.child import FolderJob
from napari_sam2_openvino.conversion.staging import StagedFolder
from napari_sam2_openvino.conversion.tune_task import RESULT_FILE, Request
from napari_sam2_openvino.core.models import find_model_folder
from napari_sam2_openvino.core.paths import cache_dir
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.tunings import Tuning, from_json


class TuneJob(FolderJob):
    """One trial of every device, precision and number of threads.

    Parameters
    ----------
    model : str
        Name of the model.
    only_check : bool, optional
        Whether the model is only held against its self-test, as it would be used.
    """

    TASK = "tune"
    CALLED = "trial"

    def __init__(self, model: str, *, only_check: bool = False) -> None:
        place = cache_dir() / "trial"
        super().__init__(model, overwrite=True, destination=place)
        self._model = find_model_folder(model).absolute()
        self._only_check = only_check
        self.tuning: Tuning | None = None
        """What is known of the model, after `run` has ended."""

    def _prepare(self, temporary: Path) -> Generator[Progress, None, Request]:  # noqa: ARG002
        yield from ()
        return Request(str(self._model), self._only_check)

    def _finish(self, staged: StagedFolder) -> None:
        # Nothing of it stays: what was found is remembered in the cache folder.
        self.tuning = from_json((staged.folder / RESULT_FILE).read_bytes())

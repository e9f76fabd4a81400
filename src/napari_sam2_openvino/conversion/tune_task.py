"""Find out what a model runs best with here, or only whether it is right, in this process."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.tuning import load_tuned, tune
from napari_sam2_openvino.core.tunings import as_json, read_tuning

RESULT_FILE = "tuning.json"
_CHECKED_ON = "CPU"


@dataclass(frozen=True)
class Request:
    """What to try out.

    Parameters
    ----------
    model : str
        Folder of the model.
    only_check : bool
        Whether it is loaded as it would be used and held against its self-test, and that is all.
    """

    model: str
    only_check: bool


def fill_folder(request: Request, folder: Path) -> Iterator[Progress]:
    """Write what is known then into a folder; it is also remembered for this computer.

    Raises
    ------
    DeviceError
        If the model gives wrong masks, and that was what was asked.
    ModelFormatError
        If the model is damaged.
    """
    model = Path(request.model)
    if request.only_check:
        yield Progress("Checking the masks", 0.1)
        load_tuned(model, _CHECKED_ON)
        tuning = read_tuning(model)
    else:
        tuning = yield from tune(model)
    (folder / RESULT_FILE).write_text(as_json(tuning), encoding="utf-8")

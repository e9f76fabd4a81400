"""Compare two models, step by step, in this process."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_sam2_openvino.comparison.compare import compare_folders
from napari_sam2_openvino.conversion.image_files import read_images, read_labels, remove_images
from napari_sam2_openvino.core.paths import cache_dir
from napari_sam2_openvino.core.progress import Progress


@dataclass(frozen=True)
class Request:
    """What to compare.

    Parameters
    ----------
    a, b : str
        Folders of the original and of the model that may replace it.
    images : int
        How many lie in the job's folder.
    has_labels : bool
        Whether there are labels of each.
    """

    a: str
    b: str
    images: int
    has_labels: bool


def fill_folder(request: Request, folder: Path) -> Iterator[Progress]:
    """Write the report into a folder that holds the images.

    Raises
    ------
    InputError
        If nothing can be compared.
    ModelFormatError, DeviceError
        If a model cannot be loaded.
    """
    numbers = range(request.images)
    report = yield from compare_folders(
        (Path(request.a), Path(request.b)),
        read_images(folder, numbers),
        read_labels(folder, numbers) if request.has_labels else None,
        cache=cache_dir() / "compiled",
    )
    report.save(folder)
    remove_images(folder)

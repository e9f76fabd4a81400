"""Which models there are, where they live, and how one is loaded."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2_openvino.core.catalogue import CATALOGUE, find_entry
from napari_sam2_openvino.core.errors import ModelFormatError, ModelNotFoundError
from napari_sam2_openvino.core.model_folder import INFO_FILE, read_model_info
from napari_sam2_openvino.core.paths import models_dir, starter_dir

if TYPE_CHECKING:
    from napari_sam2_openvino.core.model import Sam2Model

STARTER = "starter"
_STARTER_DESCRIPTION = "Comes with the package: small and quick, for compact objects"


@dataclass(frozen=True)
class ModelListing:
    """One line of the list of models.

    ``folder`` is None for a model of the catalogue that was not converted yet.
    """

    name: str
    folder: Path | None
    description: str
    image_size: int
    licence: str
    weights: str

    @property
    def is_ready(self) -> bool:
        """Whether the model can be loaded."""
        return self.folder is not None


def list_models() -> tuple[ModelListing, ...]:
    """Return the starter, the converted models, then what the catalogue offers to convert.

    Damaged model folders are left out; `find_model_folder` and `load_model` say what is wrong with
    one.
    """
    ready = [listing for folder in _model_folders() if (listing := _describe(folder)) is not None]
    known = {listing.name for listing in ready}
    offered = [
        ModelListing(
            entry.name, None, entry.description, entry.image_size, entry.licence, weights=""
        )
        for entry in CATALOGUE
        if entry.name not in known
    ]
    return (*ready, *offered)


def find_model_folder(model: str | os.PathLike[str] = STARTER) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    model : str or path-like
        "starter", the name of a converted model, or a model folder.

    Raises
    ------
    ModelNotFoundError
        If there is none; the message says how to get it.
    """
    name = os.fspath(model)
    if name == STARTER:
        return starter_dir()
    if "/" in name or os.sep in name or isinstance(model, os.PathLike):
        folder = Path(name).expanduser()
        if folder.is_dir():
            return folder
        raise ModelNotFoundError(f"There is no model folder {folder}: check the path.")
    folder = models_dir() / name
    if name and (folder / INFO_FILE).is_file():
        return folder
    if find_entry(name) is not None:
        raise ModelNotFoundError(
            f"Model {name} is not converted yet: run `napari-sam2 models download {name}`, then "
            f"`napari-sam2 models convert {name} --name {name}`."
        )
    names = ", ".join(listing.name for listing in list_models())
    raise ModelNotFoundError(
        f"There is no model {name!r}: choose one of {names}, or a model folder."
    )


def load_model(
    model: str | os.PathLike[str] = STARTER,
    *,
    device: str = "CPU",
    precision: str = "auto",
    threads: int | None = None,
) -> "Sam2Model":
    """Load a model for prediction.

    Parameters
    ----------
    model : str or path-like, optional
        "starter", the name of a converted model, or a model folder.
    device : str, optional
        A device that OpenVINO lists, such as "CPU" or "GPU".
    precision : {"auto", "f32", "bf16", "f16"}, optional
        What the device computes in. "auto" is what `napari-sam2 benchmark --tune` found to be best,
        otherwise the device's own default if it gives the right masks, and else f32.
        ``Sam2Model.precision`` tells what it became.
    threads : int, optional
        Processor threads that inference may use: for several processes on one computer. By default
        it is what was found to be best, or OpenVINO takes all.

    Returns
    -------
    Sam2Model

    Raises
    ------
    ModelNotFoundError, ModelFormatError, DeviceError, InputError

    Examples
    --------
    >>> from napari_sam2_openvino import load_model
    >>> load_model("starter", precision="f32")
    Sam2Model('starter', device='CPU', precision='f32')
    """
    from napari_sam2_openvino.core.tuning import Choice, load_choice, load_tuned

    folder = find_model_folder(model)
    if precision == "auto":
        return load_tuned(folder, device, threads)
    return load_choice(folder, Choice(device, precision, threads))


def _model_folders() -> list[Path]:
    local = models_dir()
    found = sorted(path.parent for path in local.glob(f"*/{INFO_FILE}")) if local.is_dir() else []
    return [starter_dir(), *(folder for folder in found if not folder.name.startswith("."))]


def _describe(folder: Path) -> ModelListing | None:
    try:
        info = read_model_info(folder)
    except ModelFormatError:
        return None
    entry, quantization = find_entry(info.name), info.quantization
    description = entry.description if entry else info.config.architecture
    if quantization is not None:
        advice = "use it" if quantization.is_advised else f"keep {quantization.original}"
        description = f"{quantization.original} in 8 bits; its report says: {advice}"
    return ModelListing(
        name=folder.name,
        folder=folder,
        description=_STARTER_DESCRIPTION if folder == starter_dir() else description,
        image_size=info.config.image_size,
        licence=info.source.licence,
        weights=info.weights,
    )

"""Which models there are, where they live, and how one is loaded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_sam2_openvino.core.catalogue import (
    CATALOGUE,
    CatalogueEntry,
    find_entry,
    find_entry_by_hash,
)
from napari_sam2_openvino.core.errors import ModelFormatError, ModelNotFoundError
from napari_sam2_openvino.core.model_folder import INFO_FILE, ModelInfo, read_model_info
from napari_sam2_openvino.core.paths import models_dir, starter_dir

if TYPE_CHECKING:
    from napari_sam2_openvino.core.model import Sam2Model
    from napari_sam2_openvino.core.tunings import Tuning

STARTER = "starter"
_STARTER_DESCRIPTION = "Comes with the package: small and quick, for compact objects"


ModelState = Literal["in catalogue", "downloaded", "converted", "quantized", "damaged"]


@dataclass(frozen=True)
class ModelListing:
    """One line of the list of models.

    Parameters
    ----------
    name : str
    folder : Path or None
        The model folder; None for a model of the catalogue that was not converted yet.
    description : str
        What it is good for, or what its report says.
    image_size : int
        S: side of the square that the network sees, in pixels; 0 where a damaged folder does not
        tell.
    licence : str
        Of the weights; "" where it is not known.
    weights : str
        How they are stored: "f32", "f16" or "int8"; "" where they are not converted.
    state : str
        One of `ModelState`.
    source : str
        Where the weights come from: a web address, or a checkpoint and its SHA-256.
    n_bytes : int or None
        What its files take on disk, or will as a download; None where that is not known.
    problem : str
        What is wrong with a damaged folder, in one sentence.
    warning : str
        Why it should not be used, as its report or a self-test on this computer has found; else "".
    runs_on : str
        What a self-test on this computer found it to run with, such as "CPU bf16"; "" where it was
        not tried.
    original : str
        Name of the model that it was quantized from; "" for others.
    content : str
        What tells it from another model that takes its name later; "" where it cannot be loaded.
    is_published : bool
        Whether it is what the catalogue has under its name, as far as can be told; False for a
        model of the user's own, also where it is named like one of the catalogue.
    """

    name: str
    folder: Path | None
    description: str
    image_size: int
    licence: str
    weights: str
    state: ModelState
    source: str = ""
    n_bytes: int | None = None
    problem: str = ""
    warning: str = ""
    runs_on: str = ""
    original: str = ""
    content: str = ""
    is_published: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether the model can be loaded."""
        return self.state in ("converted", "quantized")


def list_models() -> tuple[ModelListing, ...]:
    """Return the starter, the local models, then what the catalogue offers.

    Damaged model folders are among the local ones; ``is_ready`` is false for them. A name is there
    twice where a model of the user's own is named like one of the catalogue.
    """
    described = (_describe_if_there(folder) for folder in _model_folders())
    local = [listing for listing in described if listing is not None]
    known = {listing.name for listing in local if listing.is_published}
    offered = [_offer(entry) for entry in CATALOGUE if entry.name not in known]
    return (*local, *offered)


def choose_default(listings: Sequence[ModelListing], wanted: str) -> str:
    """Return the name of the model to begin with.

    Parameters
    ----------
    listings : sequence of ModelListing
    wanted : str
        What the user prefers.

    Returns
    -------
    str
        ``wanted``, but "starter" where that is not there or where its report or a self-test has
        found that it should not be used.
    """
    fit = {listing.name for listing in listings if listing.is_ready and not listing.warning}
    return wanted if wanted in fit else STARTER


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
    entry = find_entry(name)
    if entry is not None and not entry.can_be_downloaded:
        raise ModelNotFoundError(
            f"Model {name} is not converted yet: get its checkpoint from {entry.page}, then run "
            f"`napari-sam2 models convert FILE --name {name} --image-size {entry.image_size}`."
        )
    if entry is not None:
        raise ModelNotFoundError(
            f"Model {name} is not converted yet: run `napari-sam2 models download {name}`, then "
            f"`napari-sam2 models convert {name} --name {name}`."
        )
    names = ", ".join(dict.fromkeys(listing.name for listing in list_models()))
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
        A device that OpenVINO lists, such as "CPU" or "GPU", or "auto": the one that
        `napari-sam2 benchmark --tune` found to be best, otherwise the CPU.
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
    from napari_sam2_openvino.core.tuning import best_device, load_choice, load_tuned
    from napari_sam2_openvino.core.tunings import Choice

    folder = find_model_folder(model)
    if device == "auto":
        device = best_device(folder)
    if precision == "auto":
        return load_tuned(folder, device, threads)
    return load_choice(folder, Choice(device, precision, threads))


def _model_folders() -> list[Path]:
    local = models_dir()
    found = sorted(local.iterdir()) if local.is_dir() else []
    return [
        starter_dir(),
        *(folder for folder in found if folder.is_dir() and not folder.name.startswith(".")),
    ]


def _offer(entry: CatalogueEntry) -> ModelListing:
    """Describe a model of the catalogue that is not converted."""
    is_there = entry.can_be_downloaded and entry.checkpoint.is_file()
    return ModelListing(
        name=entry.name,
        folder=None,
        description=entry.description,
        image_size=entry.image_size,
        licence=entry.licence,
        weights="",
        state="downloaded" if is_there else "in catalogue",
        source=entry.url or f"a file that you bring ({entry.page})",
        n_bytes=entry.checkpoint.stat().st_size if is_there else entry.n_bytes,
        is_published=True,
    )


def _describe_if_there(folder: Path) -> ModelListing | None:
    try:
        return _describe(folder)
    except FileNotFoundError:
        # It was removed meanwhile.
        return None


def _describe(folder: Path) -> ModelListing:
    """Describe a local model."""
    from napari_sam2_openvino.core.model_content import content_hash
    from napari_sam2_openvino.core.tunings import read_tuning

    try:
        info = read_model_info(folder)
        content = content_hash(folder)
    except ModelFormatError as error:
        return ModelListing(
            *(folder.name, folder, "", 0, "", "", "damaged"),
            n_bytes=_size(folder),
            problem=str(error),
            # It has only its name left.
            is_published=find_entry(folder.name) is not None,
        )
    entry, quantization = _published(info), info.quantization
    description = entry.description if entry else info.config.architecture
    if quantization is not None:
        advice = "use it" if quantization.is_advised else f"keep {quantization.original}"
        description = f"{quantization.original} in 8 bits; its report says: {advice}"
    checkpoint = f"{info.source.checkpoint}, SHA-256 {info.source.sha256}"
    is_starter = folder == starter_dir()
    tuning = read_tuning(folder)
    return ModelListing(
        name=folder.name,
        folder=folder,
        description=_STARTER_DESCRIPTION if is_starter else description,
        image_size=info.config.image_size,
        licence=info.source.licence,
        weights=info.weights,
        state="converted" if quantization is None else "quantized",
        source="this package" if is_starter else checkpoint,
        n_bytes=_size(folder),
        warning=_warning(info, tuning),
        runs_on=tuning.runs_on,
        original="" if quantization is None else quantization.original,
        content=content,
        is_published=entry is not None and entry.name == folder.name,
    )


def _published(info: ModelInfo) -> CatalogueEntry | None:
    """Return what the catalogue says of the checkpoint that a model was converted from."""
    if (entry := find_entry_by_hash(info.source.sha256)) is not None:
        return entry
    entry = find_entry(info.name)
    # Where the hash is known, a model of that name with another one is the user's own.
    return entry if entry is not None and entry.sha256 is None else None


def _warning(info: ModelInfo, tuning: "Tuning") -> str:
    if tuning.is_wrong:
        return "It gives wrong masks on this computer: convert or quantize it again."
    if info.quantization is not None and not info.quantization.is_advised:
        return info.quantization.advice
    return ""


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())

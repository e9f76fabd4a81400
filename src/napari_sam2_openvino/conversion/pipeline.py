"""From a checkpoint to the files of a model, step by step, in this process."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from napari_sam2_openvino.conversion import (
    architecture,
    checkpoints,
    export,
    memory_check,
    self_check,
)
from napari_sam2_openvino.core.catalogue import CATALOGUE, find_entry_by_hash
from napari_sam2_openvino.core.errors import ConversionError, MissingExtraError
from napari_sam2_openvino.core.model_folder import (
    ModelInfo,
    ModelSource,
    SelfCheck,
    write_model_info,
)
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.self_test import write_self_test

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

# In older ones a checkpoint can get round ``weights_only`` (CVE-2025-32434, CVE-2026-24747).
SAFE_TORCH = Version("2.10")
_MADE_BY = ("napari-sam2-openvino", "openvino", "torch", "sam2")


@dataclass(frozen=True)
class Request:
    """What to convert.

    Parameters
    ----------
    checkpoint : str
        Path of the checkpoint.
    name : str
        Name of the model.
    config : str, optional
        YAML file or config of the sam2 package; not needed for the architectures of Meta's models.
    image_size : int, optional
        Side of the square image in pixels; not needed where a config or the catalogue tells it.
    sha256 : str, optional
        What the checkpoint's hash must be.
    memory : bool, optional
        Whether the graphs are converted that remember objects from plane to plane.
    """

    checkpoint: str
    name: str
    config: str | None = None
    image_size: int | None = None
    sha256: str | None = None
    memory: bool = True


def fill_folder(request: Request, folder: Path) -> Iterator[Progress]:
    """Write all files of a model into an empty folder, ``model.json`` last.

    Raises
    ------
    ConversionError
        If the checkpoint, the config or the image size cannot be used, or if the graphs differ
        from PyTorch.
    MissingExtraError
        If torch or sam2 is not installed.
    """
    require_extra()
    path = Path(request.checkpoint)
    yield Progress("Reading the checkpoint", 0.0)
    sha256 = checkpoints.sha256_of_file(path)
    if request.sha256 not in (None, sha256):
        raise ConversionError(f"{path} is damaged: download it again.")
    weights = checkpoints.read_checkpoint(path)
    yield Progress("Building the model", 0.05)
    model, name = _build(request, weights, sha256)
    checkpoints.load_weights(model, weights, path, name)
    del weights
    memory = request.memory and architecture.has_memory(model)
    check = yield from _write_graphs(model, folder, memory=memory)
    entry = find_entry_by_hash(sha256)
    info = ModelInfo(
        name=request.name,
        config=architecture.describe(model, name),
        source=ModelSource(path.name, sha256, entry.licence if entry else ""),
        self_check=check,
        weights=export.stored_weights(model, memory=memory),
        versions=_versions(),
    )
    write_model_info(folder, info)
    del model
    yield Progress("Writing the self-test", 0.9)
    write_self_test(folder, folder)
    yield Progress("Done", 1.0)


def require_extra() -> None:
    """Check that what converts is installed.

    Raises
    ------
    MissingExtraError
        If it is not; the message says what to install.
    """
    try:
        import sam2  # noqa: F401
        import torch
    except ImportError as error:
        raise MissingExtraError(
            "Converting a checkpoint needs PyTorch and sam2, which are not installed: run "
            'pip install "napari-sam2-openvino[convert]".'
        ) from error
    if Version(torch.__version__) < SAFE_TORCH:
        raise MissingExtraError(
            f"Converting a checkpoint needs PyTorch {SAFE_TORCH} or newer, but {torch.__version__} "
            'is installed: run pip install --upgrade "napari-sam2-openvino[convert]".'
        )


def _build(request: Request, weights: checkpoints.StateDict, sha256: str) -> tuple["SAM2Base", str]:
    """Build the architecture of the weights, or of the config, and name it."""
    file_name = Path(request.checkpoint).name
    if request.config is not None:
        config = architecture.read_config(request.config)
        known = next((entry for entry in CATALOGUE if entry.config_file == request.config), None)
        name = known.name if known else Path(request.config).stem
        image_size = request.image_size or config.get("image_size")
    else:
        recognised = architecture.recognise(weights)
        if recognised is None:
            raise ConversionError(
                f"{file_name} has none of the architectures of Meta's SAM 2 models: give the "
                "config (a YAML file) that it was trained with."
            )
        config, name = architecture.read_config(recognised.config_file), recognised.name
        published = find_entry_by_hash(sha256)
        image_size = request.image_size or (published.image_size if published else None)
    if not isinstance(image_size, int):
        raise ConversionError(
            f"The image size of {file_name} is not written in it: give image_size, which is 1024 "
            "for Meta's models and 512 for MedSAM2."
        )
    return architecture.build(config, image_size, name), name


def _write_graphs(
    model: "SAM2Base", folder: Path, *, memory: bool
) -> Generator[Progress, None, SelfCheck]:
    """Write all files but ``model.json``, and compare them with PyTorch."""
    run = self_check.SelfCheckRun(model.image_size)
    random_weights = self_check.is_untrained(model)
    yield Progress("Computing the reference in PyTorch", 0.1)
    reference = run.reference(model)
    export.export_parameters(model, folder)
    yield Progress("Converting the image encoder", 0.25)
    export.export_image_encoder(model, folder)
    yield Progress("Converting the mask decoder", 0.45)
    export.export_mask_decoder(model, folder)
    if memory:
        yield Progress("Converting the memory", 0.6)
        export.export_memory_attention(model, folder)
        export.export_memory_encoder(model, folder)
    yield Progress("Comparing with PyTorch", 0.75)
    saved = run.saved_graphs(folder, model, reference)
    check = SelfCheck(
        prompt_sets=len(run.prompt_sets),
        differences=self_check.differences(saved, reference),
        random_weights=random_weights,
        memory=memory_check.MemoryCheckRun(model).differences(folder) if memory else None,
    )
    self_check.judge(check)
    return check


def _versions() -> dict[str, str]:
    found = {}
    for name in _MADE_BY:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found

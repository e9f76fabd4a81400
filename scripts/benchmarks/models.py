"""The models that are measured, ours and the reference."""

import shutil
import time
from pathlib import Path
from typing import Any

from tests.reference import build_model, perturbed_model, starter_model

from napari_sam2_openvino import convert
from napari_sam2_openvino.core.catalogue import find_entry
from napari_sam2_openvino.core.model_folder import read_model_info
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.paths import models_dir

SEED = 1


def reference_model(name: str) -> Any:
    """Return the PyTorch model of that name, with the weights that the engine gets."""
    if name == STARTER:
        return starter_model()
    entry = find_entry(name)
    if entry is None:
        raise SystemExit(f"There is no model {name!r} in the catalogue.")
    return perturbed_model(entry.config_file, seed=SEED)


def kept_reference(name: str) -> Any:
    """Return the PyTorch model that an earlier run has converted, or None."""
    import torch

    entry, checkpoint = find_entry(name), _checkpoint(name)
    if entry is None or not checkpoint.is_file():
        return None
    reference = build_model(entry.config_file)
    reference.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    return reference


def _checkpoint(name: str) -> Path:
    return models_dir().parent / f"{name}.pt"


def model_folder(name: str, reference: Any, *, memory: bool = True) -> Path | str:
    """Return what `load_model` takes: the bundled starter, or a conversion of the reference.

    One that is there with the same weights is taken. Without memory it is converted sooner.
    """
    import torch

    if name == STARTER:
        return STARTER
    checkpoint, folder = _checkpoint(name), models_dir() / name
    weights = reference.state_dict()
    if folder.is_dir() and checkpoint.is_file():
        earlier = torch.load(checkpoint, weights_only=True)["model"]
        is_same = earlier.keys() == weights.keys() and all(
            torch.equal(tensor, weights[key]) for key, tensor in earlier.items()
        )
        if is_same and (read_model_info(folder).has_memory or not memory):
            return folder
        shutil.rmtree(folder)
    torch.save({"model": weights}, checkpoint)
    started = time.perf_counter()
    converted = convert(checkpoint, name, image_size=reference.image_size, memory=memory)
    print(f"{name}: converted in {time.perf_counter() - started:.0f} s")
    return converted

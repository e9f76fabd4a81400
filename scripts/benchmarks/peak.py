"""How much memory another runtime needs for an image and a click: a process of its own tells it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from napari_sam2_openvino.comparison.memory import peak_of_this_process

TORCH, ONNX = "torch", "onnx"


def peak_of(kind: str, *arguments: str) -> float:
    """Return the peak of a process, in bytes.

    Parameters
    ----------
    kind : str
        `TORCH`, with a model's name and "f32" or "bf16", or `ONNX`, with the folder of the model
        and that of its graphs for ONNX Runtime.
    """
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, kind, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])


def main(kind: str, first: str, second: str) -> None:
    """Encode an image, decode a click, and print the peak."""
    if kind == TORCH:
        import torch
        from tests.reference import reference_predictor

        from benchmarks.models import reference_model

        reference = reference_model(first)
        predictor, size = reference_predictor(reference), reference.image_size
        context = torch.autocast("cpu", torch.bfloat16, enabled=second == "bf16")
    else:
        from contextlib import nullcontext

        from benchmarks.onnx_model import OnnxModel
        from napari_sam2_openvino import SAM2ImagePredictor

        predictor = SAM2ImagePredictor(OnnxModel(Path(first), Path(second)))
        size, context = predictor.model.image_size, nullcontext()
    with context:
        predictor.set_image(np.zeros((size, size, 3), np.uint8))
        predictor.predict(point_coords=np.array([[size / 2, size / 2]]), point_labels=np.array([1]))
    print(peak_of_this_process())


if __name__ == "__main__":
    main(*sys.argv[1:])

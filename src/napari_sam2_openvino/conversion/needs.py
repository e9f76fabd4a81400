"""What a quantization needs, told before it begins."""

import time
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2_openvino.conversion.recipes import Recipe
from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.model_folder import IMAGE_ENCODER_FILE
from napari_sam2_openvino.core.runtime import Runtime

if TYPE_CHECKING:
    import openvino

# Measured peaks of the child process, rounded up: what its libraries take, and for how much of the
# encoder's activations there is room while ranges are collected.
_LIBRARIES = 700_000_000
_ACTIVATIONS_SHARE = 0.6
_BYTES = 4
# In products of two numbers, as the computer does them in a matrix product of numpy: what is done
# once (libraries, compiling, the report), and what an image costs beside its own products. From one
# run of the starter on two busy cores, 62 s for 16 images; a rough figure for other models.
_ONCE = 160e9
_PER_PRODUCT = 1.5
# Side of the product that the computer is timed with.
_TRIAL_SIDE = 768
_TRIALS = 4


@dataclass(frozen=True)
class Need:
    """What a quantization needs.

    Parameters
    ----------
    memory, free_memory : int
        At its peak, and what the computer has, in bytes.
    seconds : float
        Roughly how long it takes.
    """

    memory: int
    free_memory: int
    seconds: float

    @property
    def is_met(self) -> bool:
        """Whether there is so much memory."""
        return self.memory <= self.free_memory

    @property
    def refusal(self) -> str:
        """Why it does not begin where that is not so."""
        return (
            f"Quantizing this model needs about {self.memory / 1e9:.1f} GB of memory, but only "
            f"{self.free_memory / 1e9:.1f} GB are free: close other programs, or quantize on "
            "another computer."
        )


def estimate_need(folder: Path, recipe: Recipe, images: int) -> Need:
    """Estimate what a quantization needs; takes a fraction of a second.

    Parameters
    ----------
    folder : Path
        Of the model.
    recipe : Recipe
    images : int
        How many are looked at.
    """
    graph = _read(folder)
    # Each is computed in f32 once: while ranges are collected, or for the report.
    of_images = _PER_PRODUCT * images * _products(graph) if recipe.activations else 0
    seconds = (_ONCE + of_images) / _products_per_second()
    return Need(_memory(graph, recipe), _free(), seconds)


def needed_memory(folder: Path, recipe: Recipe) -> int:
    """Estimate the peak memory, in bytes, of the process that quantizes a model.

    It grows with what the encoder computes for one image, not with the number of images, which are
    prepared one at a time.
    """
    return _memory(_read(folder), recipe)


def check_memory(folder: Path, recipe: Recipe) -> int:
    """Return what a quantization needs, in bytes, if the computer has it.

    Raises
    ------
    ConversionError
        If not so much memory is free.
    """
    need = Need(needed_memory(folder, recipe), _free(), 0.0)
    if not need.is_met:
        raise ConversionError(need.refusal)
    return need.memory


def _read(folder: Path) -> "openvino.Model":
    return Runtime("CPU", "f32", None).read(folder / IMAGE_ENCODER_FILE)


def _free() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _memory(graph: "openvino.Model", recipe: Recipe) -> int:
    weights, activations = 0, 0
    for node in graph.get_ops():
        shapes = [port.get_partial_shape() for port in node.outputs()]
        size = sum(_BYTES * prod(shape.to_shape()) for shape in shapes if shape.is_static)
        if node.get_type_name() == "Constant":
            weights += size
        else:
            activations += size
    share = _ACTIVATIONS_SHARE if recipe.activations else 0.25
    # The comparison holds the weights of three models.
    return int(_LIBRARIES + 3 * weights + share * activations)


def _products(graph: "openvino.Model") -> int:
    """Return how many products of two numbers an image takes in matrix products and convolutions.

    Attention is a tenth of it and left out.
    """
    count = 0
    for node in graph.get_ops():
        kind = node.get_type_name()
        shapes = [port.get_partial_shape() for port in (*node.inputs(), *node.outputs())]
        if kind not in ("MatMul", "Convolution") or not all(each.is_static for each in shapes):
            continue
        first, second, found = (each.to_shape() for each in shapes)
        inner = prod(second[1:]) if kind == "Convolution" else first[-1]
        count += prod(found) * inner
    return count


def _products_per_second() -> float:
    """Time this computer, as busy as it is."""
    numbers = np.ones((_TRIAL_SIDE, _TRIAL_SIDE), np.float32)
    seconds = []
    for _ in range(_TRIALS):
        started = time.perf_counter()
        numbers @ numbers
        seconds.append(time.perf_counter() - started)
    return float(_TRIAL_SIDE**3 / min(seconds))

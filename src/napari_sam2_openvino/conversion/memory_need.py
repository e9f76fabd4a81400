"""How much memory a quantization needs, told before it begins."""

from math import prod
from pathlib import Path

from napari_sam2_openvino.conversion.recipes import Recipe
from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.model_folder import IMAGE_ENCODER_FILE

# Measured peaks of the child process, rounded up: what its libraries take, and for how much of the
# encoder's activations there is room while ranges are collected.
_LIBRARIES = 700_000_000
_ACTIVATIONS_SHARE = 0.6
_BYTES = 4


def needed_memory(folder: Path, recipe: Recipe) -> int:
    """Estimate the peak memory, in bytes, of the process that quantizes a model.

    It grows with what the encoder computes for one image, not with the number of images, which are
    prepared one at a time.
    """
    import openvino

    graph = openvino.Core().read_model(folder / IMAGE_ENCODER_FILE)
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


def check_memory(folder: Path, recipe: Recipe) -> int:
    """Return what a quantization needs, in bytes, if the computer has it.

    Raises
    ------
    ConversionError
        If not so much memory is free.
    """
    import psutil

    needed, free = needed_memory(folder, recipe), int(psutil.virtual_memory().available)
    if needed > free:
        raise ConversionError(
            f"Quantizing this model needs about {needed / 1e9:.1f} GB of memory, but only "
            f"{free / 1e9:.1f} GB are free: close other programs, or quantize on another computer."
        )
    return needed

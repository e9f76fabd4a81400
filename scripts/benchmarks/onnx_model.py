"""The graphs of a model in ONNX Runtime, with our engine around them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.image_graphs import DecoderOutput, ImageEncoder, MaskDecoder
from napari_sam2_openvino.core.memory_model import MemoryModel
from napari_sam2_openvino.core.memory_runtime import IMAGE_EMBED, MemoryAttention, MemoryEncoder
from napari_sam2_openvino.core.model import Sam2Model

Arrays = dict[str, NDArray[Any]]
_OPSET = 18
_DECODER = "mask_decoder.onnx"
_ENCODER = "image_encoder.onnx"
_ATTENTION = "memory_attention.onnx"
_MEMORY_ENCODER = "memory_encoder.onnx"


def require_onnx() -> str:
    """Return ONNX Runtime's version; say in a sentence what to do if it is not there."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise SystemExit(
            f"There is no {error.name}: install onnx and onnxruntime beside the packages of "
            "scripts/test.py."
        ) from error
    version: str = onnxruntime.__version__
    return version


def export_onnx(reference: Any, folder: Path) -> Path:
    """Write the four graphs of a PyTorch model, if they are not there from an earlier run."""
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}, unfinished")
    unfinished.mkdir(parents=True, exist_ok=True)
    for name, module, shapes, outputs in _graphs(reference):
        _export(module, shapes, outputs, unfinished / name)
    return unfinished.rename(folder)


def _graphs(model: Any) -> Iterator[tuple[str, Any, dict[str, tuple[int, ...]], tuple[str, ...]]]:
    """Give name, module, shapes of inputs (-1 is open) and names of outputs of each graph."""
    from napari_sam2_openvino.conversion import graphs, memory_graphs

    width, memory, size = model.hidden_dim, model.mem_dim, model.image_size
    grid = size // 16
    features = {
        "high_res_feats_0": (1, width // 8, 4 * grid, 4 * grid),
        "high_res_feats_1": (1, width // 4, 2 * grid, 2 * grid),
    }
    embed = {IMAGE_EMBED: (1, width, grid, grid)}
    yield _ENCODER, _encoder_module(model), {"image": (1, 3, size, size)}, ImageEncoder.OUTPUTS
    prompts = {
        MaskDecoder.POINT_COORDS: (-1, -1, 2),
        MaskDecoder.POINT_LABELS: (-1, -1),
        MaskDecoder.MASK_INPUT: (-1, 1, 4 * grid, 4 * grid),
        MaskDecoder.HAS_MASK_INPUT: (-1,),
    }
    # Each object of a video has an embedding of its own.
    conditioned = {IMAGE_EMBED: (-1, width, grid, grid)}
    decoder = graphs.MaskDecoderGraph(model)
    yield _DECODER, decoder, conditioned | features | prompts, DecoderOutput._fields
    memories = {
        MemoryAttention.MASKMEM_FEATURES: (-1, -1, memory, grid, grid),
        MemoryAttention.MASKMEM_TPOS: (-1, -1, memory),
        MemoryAttention.OBJ_PTRS: (-1, -1, width),
        MemoryAttention.OBJ_PTR_TPOS: (-1, -1, memory),
    }
    attention = memory_graphs.MemoryAttentionGraph(model)
    yield _ATTENTION, attention, embed | memories, (MemoryAttention.OUTPUT,)
    masks = {
        MemoryEncoder.LOW_RES_MASKS: (-1, 1, 4 * grid, 4 * grid),
        MemoryEncoder.BINARIZE: (-1,),
    }
    remembering = memory_graphs.MemoryEncoderGraph(model)
    yield _MEMORY_ENCODER, remembering, embed | masks, (MemoryEncoder.OUTPUT,)


def _encoder_module(model: Any) -> Any:
    """Return the image encoder with its position embedding inside, which ours computes."""
    import torch

    from napari_sam2_openvino.conversion.encoder_graph import ImageEncoderGraph, position_embedding

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.graph = ImageEncoderGraph(model)
            self.register_buffer("embed", position_embedding(model))

        def forward(self, image: torch.Tensor) -> Any:
            return self.graph(image, self.embed)

    return Encoder()


def _export(
    module: Any, shapes: dict[str, tuple[int, ...]], outputs: tuple[str, ...], path: Path
) -> None:
    import torch

    examples = {
        name: torch.zeros([(3, 2)[min(axis, 1)] if n < 0 else n for axis, n in enumerate(shape)])
        for name, shape in shapes.items()
    }
    labels = MaskDecoder.POINT_LABELS
    if labels in examples:
        examples[labels] = examples[labels].to(torch.int32)
    with torch.no_grad():
        torch.onnx.export(
            module.eval(),
            tuple(examples.values()),
            str(path),
            input_names=list(shapes),
            output_names=list(outputs),
            dynamic_axes={
                name: {axis: f"{name}_{axis}" for axis, n in enumerate(shape) if n < 0}
                for name, shape in shapes.items()
            },
            opset_version=_OPSET,
            dynamo=False,
        )


class OnnxModel(Sam2Model):
    """A model whose graphs ONNX Runtime computes in f32.

    Parameters
    ----------
    folder : Path
        The model folder that they were made beside; parameters are taken from it.
    onnx_folder : Path
        As written by `export_onnx`.
    """

    def __init__(self, folder: Path, onnx_folder: Path) -> None:
        self._onnx_folder = onnx_folder
        super().__init__(folder, "CPU", "f32", None)
        self._mask_decoder = _OnnxDecoder(onnx_folder / _DECODER)  # type: ignore[assignment]

    def _load_image_encoder(self) -> tuple[Any, str]:
        # OpenVINO's is not compiled: its memory would count as ONNX Runtime's.
        return _OnnxEncoder(self._onnx_folder / _ENCODER), "f32"

    @property
    def memory(self) -> MemoryModel:
        """What remembers objects."""
        has_memory = self._memory is not None
        memory = super().memory
        if not has_memory:
            folder = self._onnx_folder
            memory._attention = _OnnxAttention(folder / _ATTENTION)  # type: ignore[assignment]
            memory._encoder = _OnnxRemembering(folder / _MEMORY_ENCODER)  # type: ignore[assignment]
        return memory

    def point_graphs(self) -> None:
        """Return None: the faster graphs for single points are made of OpenVINO's."""


class _Graph:
    def __init__(self, path: Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(self, outputs: tuple[str, ...], inputs: Arrays) -> list[NDArray[np.float32]]:
        found: list[NDArray[np.float32]] = self._session.run(list(outputs), inputs)
        return found


class _OnnxEncoder(_Graph):
    def __call__(self, image: NDArray[np.float32], _: Callable[[], bool] | None = None) -> Any:
        return tuple(self.run(ImageEncoder.OUTPUTS, {ImageEncoder.INPUT: image}))


class _OnnxDecoder(_Graph):
    keeps_embedding = True

    def set_embedding(self, arrays: tuple[NDArray[np.float32], ...]) -> None:
        self._embedding: Arrays = dict(zip(MaskDecoder.EMBEDDING, arrays, strict=True))

    def __call__(self, *prompts: NDArray[Any]) -> DecoderOutput:
        names = (
            MaskDecoder.POINT_COORDS,
            MaskDecoder.POINT_LABELS,
            MaskDecoder.MASK_INPUT,
            MaskDecoder.HAS_MASK_INPUT,
        )
        # The last argument is how ours would be cancelled.
        inputs = self._embedding | dict(zip(names, prompts[: len(names)], strict=True))
        return DecoderOutput(*self.run(DecoderOutput._fields, inputs))


class _OnnxAttention(_Graph):
    def __call__(self, *arrays: Any) -> NDArray[np.float32]:
        names = (
            IMAGE_EMBED,
            MemoryAttention.MASKMEM_FEATURES,
            MemoryAttention.MASKMEM_TPOS,
            MemoryAttention.OBJ_PTRS,
            MemoryAttention.OBJ_PTR_TPOS,
        )
        # The last argument is how ours would be cancelled.
        inputs = dict(zip(names, arrays[: len(names)], strict=True))
        return self.run((MemoryAttention.OUTPUT,), inputs)[0]


class _OnnxRemembering(_Graph):
    def __call__(self, *arrays: Any) -> NDArray[np.float32]:
        names = (IMAGE_EMBED, MemoryEncoder.LOW_RES_MASKS, MemoryEncoder.BINARIZE)
        inputs = dict(zip(names, arrays[: len(names)], strict=True))
        return self.run((MemoryEncoder.OUTPUT,), inputs)[0]

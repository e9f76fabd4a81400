"""A SAM 2 module to the files of a model folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.attention import separate_heads
from napari_sam2_openvino.core.memory_runtime import MemoryAttention, MemoryEncoder
from napari_sam2_openvino.core.model_folder import (
    IMAGE_ENCODER_FILE,
    MASK_DECODER_FILE,
    MEMORY_ATTENTION_FILE,
    MEMORY_ENCODER_FILE,
    PARAMETERS_FILE,
)

if TYPE_CHECKING:
    import openvino
    import torch
    from sam2.modeling.sam2_base import SAM2Base

# What SAM 2 keeps outside the networks of a model folder, as in its state dict.
PARAMETERS = (
    "no_mem_embed",
    "no_mem_pos_enc",
    "no_obj_ptr",
    "maskmem_tpos_enc",
    "no_obj_embed_spatial",
    "obj_ptr_tpos_proj.weight",
    "obj_ptr_tpos_proj.bias",
    "mask_downsample.weight",
    "mask_downsample.bias",
)
# Modules that are inside the image graphs.
_NETWORKS = ("image_encoder", "sam_prompt_encoder", "sam_mask_decoder", "obj_ptr_proj")
_MEMORY_NETWORKS = ("memory_attention", "memory_encoder")
# Smaller constants (shapes, biases, scales) are left alone: nothing would be gained.
_SMALLEST_HALF_CONSTANT = 512


def stored_weights(model: "SAM2Base", *, memory: bool = False) -> str:
    """Return "f16" if half precision holds every weight of the graphs exactly, else "f32"."""
    networks = (*_NETWORKS, *_MEMORY_NETWORKS) if memory else _NETWORKS
    parameters = (parameter for name in networks for parameter in getattr(model, name).parameters())
    is_half = all(bool((each.half().float() == each).all()) for each in parameters)
    return "f16" if is_half else "f32"


def export_image_encoder(model: "SAM2Base", folder: Path) -> None:
    """Write the graph of the image encoder, of a fixed shape."""
    import openvino
    import torch

    from napari_sam2_openvino.conversion import encoder_graph

    size = model.image_size
    trunk = model.image_encoder.trunk
    pos_embed = encoder_graph.position_embedding(model)
    graph = _convert(
        encoder_graph.ImageEncoderGraph(model),
        {"image": torch.zeros(1, 3, size, size), encoder_graph.POS_EMBED_INPUT: pos_embed},
        {"image": (1, 3, size, size), encoder_graph.POS_EMBED_INPUT: tuple(pos_embed.shape)},
        encoder_graph.IMAGE_ENCODER_OUTPUTS,
    )
    embedded = graph.input(encoder_graph.POS_EMBED_INPUT).get_node()
    embedded.output(0).replace(_pos_embed_graph(trunk, size // 4).output(0))
    graph.remove_parameter(embedded)
    graph.validate_nodes_and_infer_types()
    _compress(graph)
    openvino.save_model(graph, folder / IMAGE_ENCODER_FILE, compress_to_fp16=False)


def export_mask_decoder(model: "SAM2Base", folder: Path) -> None:
    """Write the graph of the prompt encoder and mask decoder, of any batch and number of tokens."""
    import openvino

    from napari_sam2_openvino.conversion import graphs

    width, grid = model.hidden_dim, model.image_size // 16
    shapes = {
        "image_embed": (-1, width, grid, grid),
        "high_res_feats_0": (-1, width // 8, 4 * grid, 4 * grid),
        "high_res_feats_1": (-1, width // 4, 2 * grid, 2 * grid),
        "point_coords": (-1, -1, 2),
        "point_labels": (-1, -1),
        "mask_input": (-1, 1, 4 * grid, 4 * grid),
        "has_mask_input": (-1,),
    }
    graph = _convert(
        graphs.MaskDecoderGraph(model),
        _examples(shapes),
        shapes,
        graphs.MASK_DECODER_OUTPUTS,
    )
    _compress(graph)
    openvino.save_model(graph, folder / MASK_DECODER_FILE, compress_to_fp16=False)


def export_memory_attention(model: "SAM2Base", folder: Path) -> None:
    """Write the graph of memory attention, of any number of objects, memories and pointers."""
    import openvino

    from napari_sam2_openvino.conversion import memory_graphs

    width, memory, grid = model.hidden_dim, model.mem_dim, model.image_size // 16
    shapes = {
        "image_embed": (1, width, grid, grid),
        "maskmem_features": (-1, -1, memory, grid, grid),
        "maskmem_tpos": (-1, -1, memory),
        "obj_ptrs": (-1, -1, width),
        "obj_ptr_tpos": (-1, -1, memory),
    }
    graph = _convert(
        memory_graphs.MemoryAttentionGraph(model),
        _examples(shapes),
        shapes,
        (MemoryAttention.OUTPUT,),
    )
    _compress(graph)
    openvino.save_model(graph, folder / MEMORY_ATTENTION_FILE, compress_to_fp16=False)


def export_memory_encoder(model: "SAM2Base", folder: Path) -> None:
    """Write the graph of the memory encoder, of any number of objects."""
    import openvino

    from napari_sam2_openvino.conversion import memory_graphs

    grid = model.image_size // 16
    shapes = {
        "image_embed": (1, model.hidden_dim, grid, grid),
        "low_res_masks": (-1, 1, 4 * grid, 4 * grid),
        "binarize": (-1,),
    }
    graph = _convert(
        memory_graphs.MemoryEncoderGraph(model),
        _examples(shapes),
        shapes,
        (MemoryEncoder.OUTPUT,),
    )
    _compress(graph)
    openvino.save_model(graph, folder / MEMORY_ENCODER_FILE, compress_to_fp16=False)


def export_parameters(model: "SAM2Base", folder: Path) -> None:
    """Write the tensors outside the graphs that this model has."""
    state = model.state_dict()
    arrays: dict[str, NDArray[Any]] = {
        name: state[name].numpy() for name in PARAMETERS if name in state
    }
    with (folder / PARAMETERS_FILE).open("wb") as file:
        # No ``allow_pickle``: numpy before 2.1 would take it for one more array.
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _examples(shapes: Mapping[str, Sequence[int]]) -> dict[str, "torch.Tensor"]:
    """Return inputs for tracing: three objects, of two tokens or memories each, on one image."""
    import torch

    batch = {name: 1 if "feats" in name or "embed" in name else 3 for name in shapes}
    examples = {
        name: torch.zeros([batch[name], *(2 if n == -1 else n for n in shape[1:])])
        for name, shape in shapes.items()
    }
    if "point_labels" in examples:
        examples["point_labels"] = examples["point_labels"].to(torch.int32)
    return examples


def _convert(
    module: "torch.nn.Module",
    examples: dict[str, "torch.Tensor"],
    shapes: Mapping[str, Sequence[int]],
    outputs: Sequence[str],
) -> "openvino.Model":
    """Trace a module and give its inputs and outputs their names."""
    import openvino
    import torch

    types = {torch.float32: openvino.Type.f32, torch.int32: openvino.Type.i32}
    with torch.no_grad():
        graph = openvino.convert_model(
            module.eval(),
            example_input=examples,
            input=[
                (name, openvino.PartialShape(list(shapes[name])), types[example.dtype])
                for name, example in examples.items()
            ],
        )
    for ports, names in ((graph.inputs, list(examples)), (graph.outputs, outputs)):
        for port, name in zip(ports, names, strict=True):
            port.get_tensor().set_names({name})
            node = port.get_node()
            node.set_friendly_name(name)
    separate_heads(graph)
    return graph


def _pos_embed_graph(trunk: Any, size: int) -> "openvino.Node":
    """Build ``Hiera._get_pos_embed`` from its small tensors.

    As a constant it would be a third of the file (25 MB for tiny at 1024); from its parts, OpenVINO
    computes it when it compiles. Bicubic interpolation is linear: a matrix for the rows, and one
    for the columns.
    """
    import torch
    from openvino import opset13 as ops

    background = trunk.pos_embed.detach()[0]
    window = trunk.pos_embed_window.detach()[0]
    rows, columns = (
        torch.nn.functional.interpolate(
            torch.eye(n).reshape(1, n, n, 1), size=(size, 1), mode="bicubic"
        )[0, :, :, 0]
        for n in background.shape[1:]
    )
    # (C, n, n) -> (C, size, size)
    up = ops.matmul(ops.constant(background.numpy()), ops.constant(columns.numpy()), False, False)
    up = ops.matmul(ops.constant(rows.T.contiguous().numpy()), up, False, False)
    repeats = ops.constant(np.array([1, size // window.shape[1], size // window.shape[2]]))
    total = ops.add(up, ops.tile(ops.constant(window.numpy()), repeats))
    return ops.unsqueeze(total, ops.constant(np.array([0])))


def _compress(graph: "openvino.Model") -> None:
    """Store every constant that half precision holds exactly in half precision.

    Nothing is rounded: the graphs hold the weights of the checkpoint. `openvino.save_model` would
    round the others too, among them position encodings, whose phases are multiples of 2 pi.
    """
    import openvino
    from openvino import opset13 as ops

    for node in graph.get_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != openvino.Type.f32:
            continue
        if node.data.size < _SMALLEST_HALF_CONSTANT:
            continue
        with np.errstate(over="ignore"):
            values = node.data
            half = values.astype(np.float16)
        if not np.array_equal(values, half.astype(np.float32)):
            continue
        consumers = list(node.output(0).get_target_inputs())
        restored = ops.convert(ops.constant(half, name=f"{node.get_friendly_name()}_half"), "f32")
        restored.set_friendly_name(node.get_friendly_name())
        for consumer in consumers:
            consumer.replace_source_output(restored.output(0))

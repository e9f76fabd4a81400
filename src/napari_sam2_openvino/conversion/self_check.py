"""Are the saved graphs the model? They are run beside PyTorch on the same inputs.

The reference is SAM 2's own code (``PromptEncoder.forward``, ``MaskDecoder.predict_masks``), not
the modules that were traced. OpenVINO computes in f32 from the saved files.
"""

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.model_folder import (
    IMAGE_ENCODER_FILE,
    MASK_DECODER_FILE,
    Differences,
    MemoryDifferences,
    SelfCheck,
)
from napari_sam2_openvino.core.runtime import expect_points

if TYPE_CHECKING:
    import torch
    from sam2.modeling.sam2_base import SAM2Base

Float = NDArray[np.float32]

# f32 kernels of two libraries differ by 1e-6 to 1e-4; a wrong graph differs by 1e-2 and more.
TOLERANCE = Differences(embedding=1e-3, mask_logits=5e-3, iou_predictions=1e-3, mask_pixels=0.999)
MEMORY_TOLERANCE = MemoryDifferences(conditioned_embed=1e-3, maskmem_features=1e-3)
_SEED = 20
_TRAINED_PARAMETER = "image_encoder.trunk.pos_embed"


@dataclass(frozen=True, eq=False)
class PromptSet:
    """Tokens and mask input of B prompts, as the mask decoder takes them.

    ``point_coords`` (B, N, 2) and ``point_labels`` (B, N) hold every token, the one of -1 included;
    ``mask_input`` is (B, 1, S / 4, S / 4) or None.
    """

    point_coords: Float
    point_labels: NDArray[np.int32]
    mask_input: Float | None = None


@dataclass(frozen=True, eq=False)
class Outputs:
    """What one computation gives: three embeddings, then masks and scores for each prompt set."""

    embeddings: list[Float]
    masks: list[Float]
    iou_predictions: list[Float]


class SelfCheckRun:
    """One image and several prompt sets, computed by PyTorch and by the saved graphs.

    Parameters
    ----------
    image_size : int
        Side of the model's square image.
    """

    def __init__(self, image_size: int) -> None:
        rng = np.random.default_rng(_SEED)
        self.image = _random_image(rng, image_size)
        self.prompt_sets = _random_prompts(rng, image_size)

    def reference(self, model: "SAM2Base") -> Outputs:
        """Compute with PyTorch."""
        import torch

        with torch.no_grad():
            feats = model.forward_image(torch.from_numpy(self.image))["backbone_fpn"]
            embed = feats[2] + _no_mem_embed(model)
            outputs = Outputs([feats[2].numpy(), feats[0].numpy(), feats[1].numpy()], [], [])
            for prompts in self.prompt_sets:
                masks, scores = _decode(model, embed, feats[:2], prompts)
                outputs.masks.append(masks.numpy())
                outputs.iou_predictions.append(scores.numpy())
        return outputs

    def saved_graphs(self, folder: Path, model: "SAM2Base", reference: Outputs) -> Outputs:
        """Compute with OpenVINO in f32 from the saved files.

        The decoder is given the embeddings of ``reference``: each graph is judged by itself.
        """
        import openvino

        from napari_sam2_openvino.conversion import encoder_graph

        expect_points()
        core = openvino.Core()
        precise = {"INFERENCE_PRECISION_HINT": "f32"}
        encoder = core.compile_model(folder / IMAGE_ENCODER_FILE, "CPU", precise)
        encoded = encoder({"image": self.image})
        names = encoder_graph.IMAGE_ENCODER_OUTPUTS
        outputs = Outputs([encoded[name].copy() for name in names], [], [])
        # The encoder's memory is not needed beside the decoder's.
        del encoder, encoded
        decoder = core.compile_model(folder / MASK_DECODER_FILE, "CPU", precise)
        image = dict(zip(names, reference.embeddings, strict=True))
        image["image_embed"] = image["image_embed"] + _no_mem_embed(model).numpy()
        for prompts in self.prompt_sets:
            decoded = decoder({**image, **_decoder_inputs(prompts, self.image.shape[-1] // 4)})
            outputs.masks.append(decoded["low_res_masks"].copy())
            outputs.iou_predictions.append(decoded["iou_predictions"].copy())
        return outputs


def differences(outputs: Outputs, reference: Outputs) -> Differences:
    """Compare two computations of the same prompt sets."""

    def largest(values: list[Float], wanted: list[Float]) -> float:
        scaled = [
            np.abs(value - want).max() / max(float(want.std()), 1e-12)
            for value, want in zip(values, wanted, strict=True)
        ]
        return float(np.max(scaled))

    scores = zip(outputs.iou_predictions, reference.iou_predictions, strict=True)
    pixels = zip(outputs.masks, reference.masks, strict=True)
    return Differences(
        embedding=largest(outputs.embeddings, reference.embeddings),
        mask_logits=largest(outputs.masks, reference.masks),
        iou_predictions=max(float(np.abs(value - want).max()) for value, want in scores),
        mask_pixels=min(
            float(((value > 0) == (want > 0)).mean(axis=(2, 3)).min()) for value, want in pixels
        ),
    )


def judge(check: SelfCheck) -> None:
    """Raise where the graphs are not the model.

    Raises
    ------
    ConversionError
        If a difference from PyTorch is beyond `TOLERANCE` or `MEMORY_TOLERANCE`, or not a number.
    """
    graph = check.differences
    *found, pixels = astuple(graph)
    *allowed, wanted_pixels = astuple(TOLERANCE)
    within = all(value <= limit for value, limit in zip(found, allowed, strict=True))
    if not (within and pixels >= wanted_pixels):
        raise ConversionError(
            "The converted model does not compute what the checkpoint computes in PyTorch "
            f"(embedding off by {graph.embedding:.1e}, masks by {graph.mask_logits:.1e}, predicted "
            f"IoU by {graph.iou_predictions:.1e}), so it was removed: please report this."
        )
    memory = check.memory
    if memory is not None and not all(
        value <= limit
        for value, limit in zip(astuple(memory), astuple(MEMORY_TOLERANCE), strict=True)
    ):
        raise ConversionError(
            "The converted memory does not compute what the checkpoint computes in PyTorch "
            f"(attention off by {memory.conditioned_embed:.1e}, memories by "
            f"{memory.maskmem_features:.1e}), so the model was removed: please report this."
        )


def is_untrained(model: "SAM2Base") -> bool:
    """Whether the weights are those that SAM 2 starts training from.

    Position embeddings start as zeros, and no training leaves all of them there.
    """
    return not bool(model.get_parameter(_TRAINED_PARAMETER).any())


def _random_image(rng: np.random.Generator, size: int) -> Float:
    """Return smooth blobs with noise: natural enough to excite all frequencies."""
    coarse = rng.standard_normal((1, 3, 8, 8)).astype(np.float32)
    smooth = coarse.repeat(size // 8, axis=2).repeat(size // 8, axis=3)
    return smooth + 0.3 * rng.standard_normal(smooth.shape).astype(np.float32)


def _random_prompts(rng: np.random.Generator, size: int) -> list[PromptSet]:
    """Return points, a box, both, mask inputs with and without points, and a batch of three."""

    def tokens(*labels: int, batch: int = 1) -> tuple[Float, NDArray[np.int32]]:
        coords = rng.uniform(0, size, (batch, len(labels), 2)).astype(np.float32)
        coords[:, np.array(labels, int) == -1] = 0
        return coords, np.tile(np.array(labels, np.int32), (batch, 1))

    def mask(batch: int = 1) -> Float:
        low = rng.standard_normal((batch, 1, size // 32, size // 32)) * 8
        smooth = low.repeat(8, axis=2).repeat(8, axis=3)
        return (smooth + rng.standard_normal(smooth.shape)).astype(np.float32)

    return [
        PromptSet(*tokens(1, -1)),
        PromptSet(*tokens(1, 0, 1, -1)),
        PromptSet(*tokens(2, 3, -1)),
        PromptSet(*tokens(2, 3, 1, 0, -1)),
        PromptSet(*tokens(), mask()),
        PromptSet(*tokens(1, 0, -1), mask()),
        PromptSet(*tokens(-1, -1)),
        PromptSet(*tokens(2, 3, 1, -1, batch=3)),
        PromptSet(*tokens(1, -1, batch=3), mask(batch=3)),
    ]


def _decode(
    model: "SAM2Base",
    image_embed: "torch.Tensor",
    high_res_feats: list["torch.Tensor"],
    prompts: PromptSet,
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Decode as SAM 2's image predictor does, but for the choice among the four masks."""
    import torch

    encoder, decoder = model.sam_prompt_encoder, model.sam_mask_decoder
    coords, labels = torch.from_numpy(prompts.point_coords), torch.from_numpy(prompts.point_labels)
    mask_input = None if prompts.mask_input is None else torch.from_numpy(prompts.mask_input)
    # The prompt encoder appends the token of -1 itself, whenever there are points.
    points = (coords[:, :-1], labels[:, :-1]) if coords.shape[1] else None
    sparse, dense = encoder(points=points, boxes=None, masks=mask_input)
    masks, scores, _, _ = decoder.predict_masks(
        image_embeddings=image_embed,
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=True,
        high_res_features=high_res_feats,
    )
    return masks, scores


def _decoder_inputs(prompts: PromptSet, low_res_size: int) -> dict[str, NDArray[Any]]:
    batch = len(prompts.point_coords)
    mask_input = prompts.mask_input
    if mask_input is None:
        mask_input = np.zeros((batch, 1, low_res_size, low_res_size), np.float32)
    return {
        "point_coords": prompts.point_coords,
        "point_labels": prompts.point_labels,
        "mask_input": mask_input,
        "has_mask_input": np.full(batch, prompts.mask_input is not None, np.float32),
    }


def _no_mem_embed(model: "SAM2Base") -> "torch.Tensor":
    embed: torch.Tensor = model.no_mem_embed.detach()
    return embed.reshape(1, -1, 1, 1)

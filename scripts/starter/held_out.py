"""The images that the starter is judged on and never trained on.

They are given by the seeds 0 to `IMAGES_PER_KIND - 1` of every kind, at two difficulties; training
uses seeds from `FIRST_TRAINING_SEED` on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.synthetic import KINDS, Scene, make_scene
from starter.network import Features, Prediction, decode, encode
from starter.shapes import Masks

DIFFICULTIES = {"easy": 0.2, "hard": 1.0}
IMAGES_PER_KIND = 20
SIDE = 512
LEAST_AREA = 40
"""Objects of fewer pixels, slivers at the border, are not asked for."""


def held_out_scenes(
    difficulty: str, images_per_kind: int = IMAGES_PER_KIND, first_seed: int = 0
) -> Iterator[Scene]:
    """Make the scenes of one difficulty, of every kind in turn."""
    for seed in range(first_seed, first_seed + images_per_kind):
        for kind in KINDS:
            yield make_scene(kind, seed, shape=(SIDE, SIDE), difficulty=DIFFICULTIES[difficulty])


class Judged:
    """A network with one encoded image, asked for several objects at once.

    Parameters
    ----------
    network : SAM2Base
    image : ndarray of shape (H, W) or (H, W, 3)
    """

    def __init__(self, network: Any, image: NDArray[Any]) -> None:
        self._network = network
        self._shape = (image.shape[0], image.shape[1])
        self._scale = network.image_size / np.array(self._shape[::-1], np.float32)
        rgb = torch.from_numpy(to_rgb(image)).permute(2, 0, 1)[None].float()
        size = (network.image_size, network.image_size)
        rgb = interpolate(rgb, size, mode="bilinear", align_corners=False, antialias=True)
        pixels = rgb[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
        self._device = next(network.parameters()).device
        self._features: Features = encode(network, [pixels], self._device)

    @torch.no_grad()
    def answer(
        self,
        coords: NDArray[Any],
        labels: NDArray[Any],
        mask_input: torch.Tensor | None = None,
    ) -> tuple[Masks, NDArray[np.float32], torch.Tensor]:
        """Masks (B, 4, H, W), predicted IoU (B, 4), and all masks' logits (B, 4, h, w)."""
        prediction: Prediction = decode(
            self._network,
            self._features.repeat(len(coords)),
            torch.from_numpy((coords * self._scale).astype(np.float32)).to(self._device),
            torch.from_numpy(labels.astype(np.int32)).to(self._device),
            mask_input,
        )
        fine = interpolate(
            prediction.low_res_masks, self._shape, mode="bilinear", align_corners=False
        )
        predicted = prediction.iou_predictions.cpu().numpy()
        return (fine > 0).cpu().numpy(), predicted, prediction.low_res_masks.clamp(-32, 32)

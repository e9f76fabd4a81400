"""What all points of an image share in the decoder, computed once for the image."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.decoder_weights import DecoderWeights, Linear

Float = NDArray[np.float32]

_ROWS_PER_PRODUCT = 8


class ImageArrays(NamedTuple):
    """What all points of an image share; P image tokens, D wide, A wide in attention.

    Shapes: ``x`` (1, P, D); ``k``, ``v`` (1, heads, P, A / heads) and ``q`` (1, P, A) of the first
    layer; ``feats_1`` (1, 4 P, D / 4) and ``feats_0`` (1, 16 P, D / 8) with the biases of the
    upscaling.
    """

    x: Float
    k: Float
    v: Float
    q: Float
    feats_1: Float
    feats_0: Float


def image_arrays(
    weights: DecoderWeights, image_embed: Float, feats_0: Float, feats_1: Float
) -> ImageArrays:
    """Compute what all points of an image share.

    Parameters
    ----------
    weights : DecoderWeights
    image_embed, feats_0, feats_1 : ndarray of float32
        As `MaskDecoder` takes them.
    """
    n_tokens, width = weights.image_pe.shape
    x = image_embed.reshape(width, n_tokens).T + weights.no_mask
    placed = x + weights.image_pe
    first = weights.layers[0]
    return ImageArrays(
        x[None],
        _heads(_project(placed, first.token_to_image.k), weights.n_heads),
        _heads(_project(x, first.token_to_image.v), weights.n_heads),
        _project(placed, first.image_to_token.q)[None],
        _by_token(feats_1[0] + weights.upscale_1.bias[:, None, None], 1),
        _by_token(feats_0[0] + weights.upscale_2.bias[:, None, None], 2),
    )


def _project(x: Float, linear: Linear) -> Float:
    # Too little at a time for BLAS to divide it among threads: else the last bits, and with them
    # some masks, would depend on how many threads a process may use.
    rows = math.gcd(len(x), _ROWS_PER_PRODUCT)
    product = x.reshape(-1, rows, x.shape[1]) @ linear.weight.T
    return np.asarray(product.reshape(len(x), -1) + linear.bias)


def _heads(x: Float, n_heads: int) -> Float:
    return np.ascontiguousarray(x.reshape(len(x), n_heads, -1).transpose(1, 0, 2))[None]


def _by_token(feats: Float, doublings: int) -> Float:
    """Return (C, h, w) as (1, h * w, C), pixels in the order in which upscaling makes them."""
    channels, height, width = feats.shape
    split = [2] * doublings
    side = height >> doublings, width >> doublings
    feats = feats.reshape(channels, side[0], *split, side[1], *split)
    row, column = 1, 2 + doublings
    order = [row, column]
    for step in range(1, doublings + 1):
        order += [row + step, column + step]
    return np.ascontiguousarray(feats.transpose(*order, 0)).reshape(1, height * width, channels)

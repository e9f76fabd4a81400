"""The mask decoder for many single points on one image, in two graphs made from its weights.

The same network as ``mask_decoder`` with the same weights, and the same results up to rounding.
What differs is the order of the arithmetic, and what is computed how often:

- What depends on the image alone is computed once, by `image_arrays`, not once for each point.
- The first graph ends at the scores. The second upscales one point's masks, and runs only for
  points that have a mask worth it.
- In attention between T tokens and P image tokens (T = 8, P = 4096), the image is not projected to
  queries, keys and values. The few tokens are projected instead, by the transposed weights:
  ``(x W) . t = x . (W t)`` for each head, at half of the cost, since T times the number of heads is
  half of the projected width.
- Transposed convolutions of stride 2 are products: pixels stay in the order (image token, then
  position in it), and only finished masks are put into rows and columns.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.attention import separate_heads
from napari_sam2_openvino.core.decoder_weights import (
    Attention,
    DecoderGraph,
    DecoderWeights,
    Layer,
    Linear,
)
from napari_sam2_openvino.core.graph_ops import GraphOps
from napari_sam2_openvino.core.image_graphs import MaskDecoder

if TYPE_CHECKING:
    import openvino
    from openvino import Output as Node

Float = NDArray[np.float32]

POINT_COORDS = MaskDecoder.POINT_COORDS
POINT_LABELS = MaskDecoder.POINT_LABELS
POINTS_PER_CALL = 4
"""Points that the first graph decodes at once: their image tokens just fit into a core's cache."""


def tokens_graph(decoder: DecoderGraph) -> "openvino.Model":
    """Return the part of the graph from points to tokens, for one call: (B, 2) to (B, T, D).

    Each point gets the token after it that is not a point, as `build_tokens` lays them out.
    """
    inputs = [decoder.graph.input(name) for name in (POINT_COORDS, POINT_LABELS)]
    graph = GraphOps().graph([decoder.tokens], inputs, "tokens")
    n_points = 2
    graph.reshape(
        {
            POINT_COORDS: [POINTS_PER_CALL, n_points, 2],
            POINT_LABELS: [POINTS_PER_CALL, n_points],
        }
    )
    return graph


def scores_graph(weights: DecoderWeights, n_tokens: int, *, half: bool) -> "openvino.Model":
    """Return the graph from tokens to scores, and to what `masks_graph` goes on with.

    Inputs are the tokens (B, T, D) and the first four of `ImageArrays`. Outputs are scores (B, 4),
    the masks' filters (B, 4, D / 8), and the image tokens after the first product of the upscaling
    (B * P, D): it ends in that product, since OpenVINO computes all after the last one in f32.
    ``half`` says whether they are handed over in half precision.
    """
    return _ScoresGraph(weights, n_tokens, half).build()


class _ScoresGraph(GraphOps):
    """Builds the graph of `scores_graph`; B points of T tokens, P image tokens."""

    def __init__(self, weights: DecoderWeights, n_tokens: int, half: bool) -> None:
        super().__init__()
        self.weights = weights
        self.half = half
        self.batch, self.n_tokens, self.heads = POINTS_PER_CALL, n_tokens, weights.n_heads
        self.n_image, self.width = weights.image_pe.shape
        self.inner = len(weights.final.q.bias)
        # Which part of the width in attention belongs to which head: (1, heads, 1, A).
        own = np.kron(np.eye(self.heads), np.ones(self.inner // self.heads))
        self.own = own.reshape(1, self.heads, 1, self.inner).astype(np.float32)

    def build(self) -> "openvino.Model":
        depth = self.inner // self.heads
        inputs = self.inputs(
            {
                "tokens": (self.batch, self.n_tokens, self.width),
                "x": (1, self.n_image, self.width),
                "k": (1, self.heads, self.n_image, depth),
                "v": (1, self.heads, self.n_image, depth),
                "q": (1, self.n_image, self.inner),
            }
        )
        tokens, x, k, v, q = inputs.values()
        queries, image = self._transformer(tokens, x, (k, v), q)
        graph = self.graph(self._outputs(queries, image), list(inputs.values()), "scores")
        # There are as many tokens as heads.
        separate_heads(graph)
        return graph

    def _transformer(
        self, tokens: "Node", image: "Node", first_kv: "tuple[Node, Node]", first_q: "Node"
    ) -> "tuple[Node, Node]":
        queries = tokens
        for number, layer in enumerate(self.weights.layers):
            placed = self.add(image, self.weights.image_pe[None]) if number else None
            queries = self._self_attention(queries, tokens, layer.self_attention, bool(number))
            if placed is None:
                queries = self._to_shared_image(queries, tokens, first_kv, layer.token_to_image)
            else:
                queries = self._to_image(queries, tokens, image, placed, layer.token_to_image)
            change = self.perceptron(queries, layer.mlp)
            queries = self.norm(self.add(queries, change), layer.mlp_norm)
            image = self._from_tokens(queries, tokens, image, placed or first_q, layer)
        placed = self.add(image, self.weights.image_pe[None])
        return self._to_image(queries, tokens, image, placed, self.weights.final), image

    def _outputs(self, queries: "Node", image: "Node") -> "tuple[Node, Node, Node]":
        weights = self.weights
        scores = self.perceptron(self.token(queries, weights.iou_token), weights.iou_head)
        if weights.iou_sigmoid:
            scores = self.ops.sigmoid(scores).output(0)
        filters = [
            self.perceptron(self.token(queries, weights.iou_token + 1 + number), layers)
            for number, layers in enumerate(weights.hypernetworks)
        ]
        rows = self.reshape(image, self.batch * self.n_image, self.width)
        upscaled = self.product(rows, _as_product(weights.upscale_1))
        if self.half:
            upscaled = self.ops.convert(upscaled, "f16").output(0)
        rows_of_filters = [self.reshape(each, self.batch, 1, -1) for each in filters]
        stacked = self.ops.concat(rows_of_filters, 1).output(0)
        return scores, stacked, upscaled

    def _self_attention(
        self, queries: "Node", tokens: "Node", attention: Attention, is_later: bool
    ) -> "Node":
        """Attend between tokens; the first layer adds neither encoding nor what was before."""
        placed = self.add(queries, tokens) if is_later else queries
        q, k, v = (
            self._split(self.linear(x, linear))
            for x, linear in (
                (placed, attention.q),
                (placed, attention.k),
                (queries, attention.v),
            )
        )
        found = self.ops.scaled_dot_product_attention(q, k, v).output(0)
        found = self.transpose(found, 0, 2, 1, 3)
        found = self.reshape(found, self.batch, self.n_tokens, -1)
        change = self.linear(found, attention.out)
        return self.norm(self.add(queries, change) if is_later else change, attention.norm)

    def _split(self, x: "Node") -> "Node":
        heads = self.reshape(x, self.batch, self.n_tokens, self.heads, -1)
        return self.transpose(heads, 0, 2, 1, 3)

    def _to_shared_image(
        self, queries: "Node", tokens: "Node", kv: "tuple[Node, Node]", attention: Attention
    ) -> "Node":
        """Attend to the image as it is for all points: their tokens are one long list."""
        count, depth = self.batch * self.n_tokens, self.inner // self.heads
        q = self.linear(self.add(queries, tokens), attention.q)
        q = self.transpose(self.reshape(q, count, self.heads, depth), 1, 0, 2)
        q = self.reshape(q, 1, self.heads, count, depth)
        found = self.ops.scaled_dot_product_attention(q, *kv).output(0)
        found = self.transpose(self.reshape(found, self.heads, count, depth), 1, 0, 2)
        found = self.reshape(found, self.batch, self.n_tokens, self.inner)
        return self.norm(self.add(queries, self.linear(found, attention.out)), attention.norm)

    def _to_image(
        self, queries: "Node", tokens: "Node", image: "Node", placed: "Node", attention: Attention
    ) -> "Node":
        """Attend from tokens to the image of each point.

        The bias of the keys changes all weights of a token alike, which softmax takes away.
        """
        q = self._by_head(self._scaled(self.linear(self.add(queries, tokens), attention.q)))
        # Image tokens come first in this product: it is faster with the large matrix in front.
        match = self.product(placed, self.product(q, attention.k.weight), "y")
        share = self.softmax(self.transpose(match, 0, 2, 1), -1)
        seen = self.product(self.product(share, image), attention.v.weight, "y")
        seen = self.reshape(seen, self.batch, self.heads, self.n_tokens, self.inner)
        head = self.ops.constant(np.array([1]))
        found = self.ops.reduce_sum(self.multiply(seen, self.own), head, False).output(0)
        change = self.linear(self.add(found, attention.v.bias), attention.out)
        return self.norm(self.add(queries, change), attention.norm)

    def _from_tokens(
        self, queries: "Node", tokens: "Node", image: "Node", placed: "Node", layer: Layer
    ) -> "Node":
        """Attend from the image of each point, or from its queries once projected, to tokens."""
        attention = layer.image_to_token
        is_projected = layer is self.weights.layers[0]
        k = self._by_head(self._scaled(self.linear(self.add(queries, tokens), attention.k)))
        v = self._by_head(self.linear(queries, attention.v))
        if is_projected:
            match = self.product(k, placed, "y")
        else:
            match = self.product(self.product(k, attention.q.weight), placed, "y")
            match = self.add(match, self.product(k, attention.q.bias[None, :, None]))
        # Softmax over tokens, with image tokens last, goes by whole vectors.
        match = self.reshape(match, self.batch, self.heads, self.n_tokens, self.n_image)
        share = self.reshape(self.softmax(match, 2), self.batch, -1, self.n_image)
        change = self.product(share, self.product(v, attention.out.weight, "y"), "x")
        return self.norm(self.add(image, self.add(change, attention.out.bias)), attention.norm)

    def _scaled(self, x: "Node") -> "Node":
        return self.multiply(x, np.float32((self.inner // self.heads) ** -0.5))

    def _by_head(self, x: "Node") -> "Node":
        """Return one row for each head and token, zero outside of its head: (B, heads * T, A)."""
        rows = self.reshape(x, self.batch, 1, self.n_tokens, self.inner)
        return self.reshape(self.multiply(rows, self.own), self.batch, -1, self.inner)


def masks_graph(weights: DecoderWeights, *, half: bool) -> "openvino.Model":
    """Return the graph from one point's image tokens to its four masks.

    Inputs are P rows of the third output of `scores_graph`, the filters (1, 4, D / 8) of the point,
    and the last two of `ImageArrays`. The output is logits of shape (4, S / 4, S / 4).
    """
    build = GraphOps()
    n_image, width = weights.image_pe.shape
    side = int(n_image**0.5)
    n_masks = len(weights.hypernetworks)
    inputs = build.inputs(
        {
            "rows": (n_image, width),
            "filters": (1, n_masks, width // 8),
            "feats_1": (1, 4 * n_image, width // 4),
            "feats_0": (1, 16 * n_image, width // 8),
        }
    )
    rows, filters, feats_1, feats_0 = inputs.values()
    rows = build.in_half(rows) if half else rows
    pixels = build.add(build.reshape(rows, 1, 4 * n_image, width // 4), feats_1)
    pixels = build.ops.gelu(build.norm(pixels, weights.upscale_norm), "erf").output(0)
    pixels = build.product(pixels, _as_product(weights.upscale_2))
    pixels = build.add(build.reshape(pixels, 1, 16 * n_image, width // 8), feats_0)
    masks = build.product(filters, build.ops.gelu(pixels, "erf").output(0), "y")
    masks = build.reshape(masks, n_masks, side, side, 2, 2, 2, 2)
    masks = build.transpose(masks, 0, 1, 3, 5, 2, 4, 6)
    masks = build.reshape(masks, n_masks, 4 * side, 4 * side)
    return build.graph([masks], list(inputs.values()), "masks")


def _as_product(deconvolution: Linear) -> Float:
    """Return a transposed convolution of stride 2 as a matrix: (in, 4 * out), row by row."""
    weight = deconvolution.weight.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(weight.reshape(len(weight), -1))

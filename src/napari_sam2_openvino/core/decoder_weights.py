"""The weights inside the graph ``mask_decoder``, found by the names that conversion gives them.

Biases and norms have no names of their own in the file: they are found from the weight before
them, and each step is checked, so that a graph of another structure is never misread.
"""

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino

Float = NDArray[np.float32]


class UnknownGraphError(Exception):
    """The graph is not built as conversion builds it."""


class Linear(NamedTuple):
    """``x @ weight.T + bias``; of transposed convolutions weight is (in, out, 2, 2)."""

    weight: Float
    bias: Float


class Norm(NamedTuple):
    """Layer normalisation over the last axis."""

    scale: Float
    shift: Float
    eps: float


class Attention(NamedTuple):
    """An attention block, and the normalisation of what it is added to."""

    q: Linear
    k: Linear
    v: Linear
    out: Linear
    norm: Norm


class Layer(NamedTuple):
    """One layer of the two-way transformer (``TwoWayAttentionBlock``)."""

    self_attention: Attention
    token_to_image: Attention
    mlp: tuple[Linear, Linear]
    mlp_norm: Norm
    image_to_token: Attention


@dataclass(frozen=True, eq=False)
class DecoderWeights:
    """All weights of SAM 2's mask decoder, for prompts without a mask.

    Parameters
    ----------
    layers : tuple of Layer
    final : Attention
        From tokens to the image, after the layers.
    upscale_1, upscale_2 : Linear
        Transposed convolutions of stride 2.
    upscale_norm : Norm
        Between them.
    hypernetworks : tuple of tuple of Linear
        One for each mask token.
    iou_head : tuple of Linear
    iou_sigmoid : bool
        Whether the IoU head ends in a sigmoid.
    image_pe : ndarray of float32, shape (P, D)
        Position encoding of the P image tokens.
    no_mask : ndarray of float32, shape (D,)
        What is added to each image token where there is no mask prompt.
    n_heads : int
    iou_token : int
        Index of the token that the IoU head reads; those of the masks follow.
    """

    layers: tuple[Layer, ...]
    final: Attention
    upscale_1: Linear
    upscale_norm: Norm
    upscale_2: Linear
    hypernetworks: tuple[tuple[Linear, ...], ...]
    iou_head: tuple[Linear, ...]
    iou_sigmoid: bool
    image_pe: Float
    no_mask: Float
    n_heads: int
    iou_token: int


class DecoderGraph:
    """A graph ``mask_decoder`` that was read and not compiled.

    Parameters
    ----------
    graph : openvino.Model
    """

    _TRANSFORMER = "decoder.transformer"

    def __init__(self, graph: "openvino.Model") -> None:
        self.graph = graph
        self._nodes: dict[str, openvino.Node] = {}
        for node in graph.get_ops():
            self._nodes.setdefault(node.get_friendly_name(), node)

    @property
    def tokens(self) -> "openvino.Output":
        """Where the graph has its tokens: its own, then those of the prompts."""
        product = self._product(f"{self._TRANSFORMER}.layers.0.self_attn.q_proj")
        return product.input_value(0)

    def weights(self) -> DecoderWeights:
        """Return the weights.

        Raises
        ------
        UnknownGraphError
            If something is not where conversion puts it.
        """
        if "FakeQuantize" in {node.get_type_name() for node in self.graph.get_ops()}:
            raise UnknownGraphError("the graph is quantized")
        layers = tuple(
            self._layer(f"{self._TRANSFORMER}.layers.{number}")
            for number in self._numbers(f"{self._TRANSFORMER}.layers.{{}}.mlp.layers.0")
        )
        heads = self._heads_of_attentions()
        if not layers or len(heads) != 3 * len(layers) + 1 or len(set(heads)) != 1:
            raise UnknownGraphError(f"{len(layers)} layers have {len(heads)} attentions")
        masks = "decoder.output_hypernetworks_mlps"
        hypernetworks = self._numbers(f"{masks}.{{}}.layers.0")
        if len(hypernetworks) != self.graph.output("low_res_masks").get_partial_shape()[1]:
            raise UnknownGraphError(f"there are {len(hypernetworks)} networks for masks")
        iou_head, iou_end = self._head("decoder.iou_prediction_head")
        return DecoderWeights(
            layers=layers,
            final=self._attention(f"{self._TRANSFORMER}.final_attn_token_to_image"),
            upscale_1=self._deconvolution("decoder.output_upscaling.0"),
            upscale_norm=self._norm_after(self._bias_node("decoder.output_upscaling.0")),
            upscale_2=self._deconvolution("decoder.output_upscaling.3"),
            hypernetworks=tuple(self._head(f"{masks}.{each}")[0] for each in hypernetworks),
            iou_head=iou_head,
            iou_sigmoid=iou_end == "Sigmoid",
            image_pe=self._image_pe(),
            no_mask=self._no_mask(),
            n_heads=heads[0],
            iou_token=1 if self._weight_name("decoder.pred_obj_score_head") else 0,
        )

    def _layer(self, name: str) -> Layer:
        hidden = self._bias_node(f"{name}.mlp.layers.0")
        self._user(hidden, "Relu")
        last = f"{name}.mlp.layers.1"
        return Layer(
            self_attention=self._attention(f"{name}.self_attn"),
            token_to_image=self._attention(f"{name}.cross_attn_token_to_image"),
            mlp=(self._linear(f"{name}.mlp.layers.0"), self._linear(last)),
            mlp_norm=self._norm_after(self._bias_node(last)),
            image_to_token=self._attention(f"{name}.cross_attn_image_to_token"),
        )

    def _attention(self, name: str) -> Attention:
        q, k, v, out = (self._linear(f"{name}.{part}_proj") for part in ("q", "k", "v", "out"))
        norm = self._norm_after(self._bias_node(f"{name}.out_proj"))
        return Attention(q, k, v, out, norm)

    def _head(self, name: str) -> tuple[tuple[Linear, ...], str]:
        """Return the layers of a perceptron, and the type of the node after the last."""
        names = [f"{name}.layers.{each}" for each in self._numbers(f"{name}.layers.{{}}")]
        if not names:
            raise UnknownGraphError(f"{name} has no layers")
        for each in names[:-1]:
            self._user(self._bias_node(each), "Relu")
        (end, *others) = (user.get_type_name() for user in _users(self._bias_node(names[-1])))
        if others or end == "Relu":
            raise UnknownGraphError(f"{name} goes on after its last layer")
        return tuple(self._linear(each) for each in names), end

    def _linear(self, name: str) -> Linear:
        weight = _constant(self._weight(name))
        return Linear(weight, _constant_input(self._bias_node(name)).reshape(-1))

    def _deconvolution(self, name: str) -> Linear:
        linear = self._linear(name)
        node = self._bias_node(name)
        # The features of the image are added, then comes the first or the second activation.
        while node.get_type_name() != "Gelu":
            users = _users(node)
            if len(users) != 1:
                raise UnknownGraphError(f"{name} is not followed by an activation")
            node = users[0]
        if node.get_attributes()["approximation_mode"].upper() != "ERF":
            raise UnknownGraphError(f"{name} is followed by another activation")
        if linear.weight.shape[2:] != (2, 2):
            raise UnknownGraphError(f"{name} has another kernel")
        return linear

    def _norm_after(self, node: "openvino.Node") -> Norm:
        while not (norms := _users(node, "MVN")):
            node = self._user(node, "Add")
        scale = self._user(norms[0], "Multiply")
        shift = self._user(scale, "Add")
        eps = float(norms[0].get_attributes()["eps"])
        return Norm(_constant_input(scale).reshape(-1), _constant_input(shift).reshape(-1), eps)

    def _image_pe(self) -> Float:
        name = f"{self._TRANSFORMER}.layers.0.cross_attn_token_to_image.k_proj"
        pe = _constant_input(self._product(name).input_value(0).get_node())
        return pe.reshape(pe.shape[-2:])

    def _no_mask(self) -> Float:
        chosen = [node for node in self.graph.get_ops() if _is_choice_of_mask(node)]
        if len(chosen) != 1:
            raise UnknownGraphError("mask prompts are not chosen by has_mask_input")
        return _constant(chosen[0].input_value(2).get_node()).reshape(-1)

    def _heads_of_attentions(self) -> list[int]:
        return [
            int(node.input_value(0).get_partial_shape()[1].get_length())
            for node in self.graph.get_ops()
            if node.get_type_name() == "ScaledDotProductAttention"
        ]

    def _numbers(self, pattern: str) -> list[int]:
        """Return 0, 1, ... as far as there are weights of that name."""
        found: list[int] = []
        for number in count():
            if self._weight_name(pattern.format(number)) is None:
                return found
            found.append(number)
        return found

    def _weight_name(self, name: str) -> str | None:
        names = (f"self.{name}.weight", f"self.{name}.layers.0.weight")
        return next((each for each in names if each in self._nodes), None)

    def _weight(self, name: str) -> "openvino.Node":
        try:
            return self._nodes[f"self.{name}.weight"]
        except KeyError:
            raise UnknownGraphError(f"there is no {name}") from None

    def _product(self, name: str) -> "openvino.Node":
        weight = self._weight(name)
        found = _users(weight, "MatMul") + _users(weight, "ConvolutionBackpropData")
        if len(found) != 1 or found[0].input_value(1).get_node() != weight:
            raise UnknownGraphError(f"{name} is not one product")
        return found[0]

    def _bias_node(self, name: str) -> "openvino.Node":
        return self._user(self._product(name), "Add")

    def _user(self, node: "openvino.Node", type_name: str) -> "openvino.Node":
        found = _users(node, type_name)
        if len(found) != 1:
            raise UnknownGraphError(f"{node.get_friendly_name()} is not followed by {type_name}")
        return found[0]


def _users(node: "openvino.Node", type_name: str | None = None) -> list["openvino.Node"]:
    users = [target.get_node() for target in node.output(0).get_target_inputs()]
    return [each for each in users if type_name in (None, each.get_type_name())]


def _is_choice_of_mask(node: "openvino.Node") -> bool:
    if node.get_input_size() == 0:
        return False
    types = node.get_type_name(), node.input_value(0).get_node().get_type_name()
    return types == ("Select", "Greater")


def _constant(node: "openvino.Node") -> Float:
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        raise UnknownGraphError(f"{node.get_friendly_name()} is no constant")
    return np.array(node.data, np.float32)


def _constant_input(node: "openvino.Node") -> Float:
    for index in (1, 0):
        try:
            return _constant(node.input_value(index).get_node())
        except UnknownGraphError:
            continue
    raise UnknownGraphError(f"{node.get_friendly_name()} has no constant")

"""The image encoder as a torch module whose graph OpenVINO runs fast.

It computes what SAM 2's ``ImageEncoder`` computes, up to rounding, in other steps:

- Tokens stay in an order in which windows and pools are views (`TokenOrder`); SAM 2 moves them into
  windows and back in every block.
- Query, key and value are projections of their own: OpenVINO splits a common one by a kernel that
  takes about as long as the projection.
- A key's bias changes no attention, since it adds the same to all scores of a query; it is left
  out. A value's bias passes through unchanged, since the weights of a query sum to 1; it is added
  afterwards. What SAM 2 fills windows up with at the edge of the image are zeros then, so queries,
  keys and values are filled up and not what they are computed from.
- Queries are scaled, and not the scores that they make: there are fewer of them.
- The position embedding is added before channels become the last axis: the first convolution
  writes them last anyway, and nothing is moved then.
- The neck's 1 x 1 convolutions are linear layers of tokens, which are moved into rows behind them:
  they are narrower there. Two with nothing between them, of the neck and of the high-resolution
  features, are one.

Imported only where torch is already needed.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from napari_sam2_openvino.conversion.token_order import TokenOrder, joined
from napari_sam2_openvino.core.image_graphs import ImageEncoder

# The engine's class owns the names.
IMAGE_ENCODER_OUTPUTS = ImageEncoder.OUTPUTS

# An input of the traced encoder that is replaced by its value before the graph is saved.
POS_EMBED_INPUT = "pos_embed"


class ImageEncoderGraph(nn.Module):
    """Image to embeddings; ``no_mem_embed`` is not added.

    The trunk's position embedding is an input, so that export can store it in its small form.

    Parameters
    ----------
    model : sam2.modeling.sam2_base.SAM2Base
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        trunk = model.image_encoder.trunk
        self.side = model.image_size // trunk.patch_embed.proj.stride[0]
        self.stage_ends = trunk.stage_ends
        self.patch_embed = trunk.patch_embed
        self.width = trunk.blocks[0].dim
        self.blocks = nn.ModuleList(_Block(block) for block in trunk.blocks)
        self.neck = _Neck(model)

    def forward(self, image: Tensor, pos_embed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode a normalised image (1, 3, S, S); ``pos_embed`` is (1, C, S / 4, S / 4)."""
        patches = (self.patch_embed.proj(image) + pos_embed).permute(0, 2, 3, 1)
        patches = patches.reshape(self.side * self.side, -1)
        tokens = _in_rows(patches, self.width, self.side, self.side)
        levels = []
        for number, block in enumerate(self.blocks):
            tokens = block(tokens)
            if number in self.stage_ends:
                levels.append(tokens)
        features: list[Tensor] = self.neck(levels)
        return features[2], features[0], features[1]


def position_embedding(model: Any) -> Tensor:
    """Return what is added to the patches of an image: shape (1, C, S / 4, S / 4).

    Parameters
    ----------
    model : sam2.modeling.sam2_base.SAM2Base
    """
    side = model.image_size // 4
    with torch.no_grad():
        embedding: Tensor = model.image_encoder.trunk._get_pos_embed((side, side))
    return embedding.permute(0, 3, 1, 2)


class _Block(nn.Module):
    """What ``MultiScaleBlock`` computes."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.width = block.dim_out
        self.side, self.pools = block.window_size, bool(block.q_stride)
        self.norm1, self.norm2, self.mlp = block.norm1, block.norm2, block.mlp
        self.attn = _Attention(block)
        self.proj = block.proj if block.dim != block.dim_out else None

    def forward(self, tokens: "_Tokens") -> "_Tokens":
        tokens = tokens.moved(self._order(tokens))
        normed = replace(tokens, values=self.norm1(tokens.values))
        shortcut = tokens
        if self.proj is not None:
            shortcut = normed.projected(self.proj, self.width)
            if self.pools:
                shortcut = shortcut.pooled()
        attended = self.attn(normed).moved(shortcut.order)
        values = shortcut.values + self.attn.proj(attended.values)
        return replace(shortcut, values=values + self.mlp(self.norm2(values)))

    def _order(self, tokens: "_Tokens") -> TokenOrder:
        """Return the order in which this block runs."""
        height, width, side = tokens.height, tokens.width, self.side
        if side and (height % side or width % side):
            return TokenOrder.rows(height, width)
        # Blocks that attend to the whole image do so in any order; SAM 2 pools in windows only.
        return TokenOrder.windows(height, width, side) if side else tokens.order


class _Attention(nn.Module):
    """What ``MultiScaleAttention`` computes but for its last projection, in windows."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        attention = block.attn
        self.heads, self.width = attention.num_heads, block.dim_out
        self.side, self.pools = block.window_size, bool(block.q_stride)
        self.scale = (self.width // self.heads) ** -0.5
        weights = attention.qkv.weight.split(self.width)
        bias, _, value_bias = attention.qkv.bias.split(self.width)
        self.query = _linear(weights[0], bias)
        self.key, self.value = _linear(weights[1], None), _linear(weights[2], None)
        last = attention.proj
        self.proj = _linear(last.weight, last.bias + last.weight @ value_bias)

    def forward(self, tokens: "_Tokens") -> "_Tokens":
        query = tokens.projected(self.query, self.width)
        query = replace(query, values=self.scale * query.values)
        key = tokens.projected(self.key, self.width)
        value = tokens.projected(self.value, self.width)
        windows = 1
        if self.side:
            query, key, value = (each.in_windows(self.side) for each in (query, key, value))
            windows = key.height * key.width // self.side**2
        if self.pools:
            query = query.pooled()
        q, k, v = (self._in_heads(each, windows) for each in (query, key, value))
        attended = functional.scaled_dot_product_attention(q, k, v, scale=1.0)
        if self.heads > 1:
            attended = attended.transpose(1, 2)
        result = replace(query, values=attended.reshape(-1, self.width))
        pool = 2 if self.pools else 1
        return result.cropped(tokens.height // pool, tokens.width // pool)

    def _in_heads(self, tokens: "_Tokens", windows: int) -> Tensor:
        """Return shape (windows, heads, tokens of a window, C / heads)."""
        width = self.width // self.heads
        if self.heads == 1:
            return tokens.values.reshape(windows, 1, -1, width)
        return tokens.values.reshape(windows, -1, self.heads, width).transpose(1, 2)


class _Neck(nn.Module):
    """What ``FpnNeck`` computes, with ``conv_s0`` and ``conv_s1`` behind it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        neck, decoder = model.image_encoder.neck, model.sam_mask_decoder
        self.levels = list(neck.fpn_top_down_levels)
        self.mode, self.averages = neck.fpn_interp_model, neck.fuse_type == "avg"
        self.convs = nn.ModuleList(_per_token(conv.conv) for conv in reversed(neck.convs))
        self.conv_s0, self.conv_s1 = decoder.conv_s0, decoder.conv_s1
        for index, name in enumerate(("conv_s0", "conv_s1")):
            if not set(range(index + 1)) & set(self.levels):
                self.convs[index] = _as_one(self.convs[index], _per_token(getattr(self, name)))
                setattr(self, name, nn.Identity())

    def forward(self, levels: list["_Tokens"]) -> list[Tensor]:
        last = len(levels) - 1
        features: list[Tensor] = []
        for index in range(last, -1, -1):
            layer: Any = self.convs[index]
            level = levels[index].projected(layer, layer.weight.shape[0]).as_map()
            if index < last and index in self.levels:
                level = self._merged(level, features[0])
            features.insert(0, level)
        return [self.conv_s0(features[0]), self.conv_s1(features[1]), *features[2:]]

    def _merged(self, level: Tensor, above: Tensor) -> Tensor:
        align_corners = None if self.mode == "nearest" else False
        merged = level + functional.interpolate(
            above, scale_factor=2.0, mode=self.mode, align_corners=align_corners
        )
        return merged / 2 if self.averages else merged


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """Return a linear layer of these weights, which are not copied."""
    layer = nn.Linear(1, 1, bias=bias is not None)
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return layer


def _per_token(conv: nn.Conv2d) -> nn.Linear:
    """Return what a 1 x 1 convolution does to each token."""
    return _linear(conv.weight.flatten(1), conv.bias)


def _as_one(first: Any, second: Any) -> nn.Linear:
    """Return one linear layer that computes two in succession."""
    weight = second.weight @ first.weight
    return _linear(weight, second.weight @ first.bias + second.bias)


@dataclass(frozen=True, eq=False)
class _Tokens:
    """The tokens of an image, and the order that they are in.

    Parameters
    ----------
    values : Tensor of shape (H * W, C)
    channels : int
        C. A shape that is asked of a tensor would be traced.
    height, width : int
        H and W.
    order : TokenOrder
    """

    values: Tensor
    channels: int
    height: int
    width: int
    order: TokenOrder

    def as_map(self) -> Tensor:
        """Return them as a map of shape (1, C, H, W)."""
        rows = self.moved(TokenOrder.rows(self.height, self.width))
        return rows.values.reshape(1, self.height, self.width, self.channels).permute(0, 3, 1, 2)

    def projected(self, layer: nn.Linear, channels: int) -> "_Tokens":
        """Apply a linear layer to each."""
        return replace(self, values=layer(self.values), channels=channels)

    def moved(self, order: TokenOrder) -> "_Tokens":
        """Return them in another order."""
        shape, axes = self.order.move(order)
        values = _transposed(self.values, (*shape, self.channels), (*axes, len(shape)))
        return replace(self, values=values.reshape(-1, self.channels), order=order)

    def pooled(self) -> "_Tokens":
        """Return the largest of each 2 x 2."""
        run = self.order.run
        if run is None:
            return self.moved(TokenOrder.windows(self.height, self.width, 2)).pooled()
        values = self.values.reshape(-1, 4, run * self.channels).amax(dim=1)
        return _Tokens(
            values.reshape(-1, self.channels),
            self.channels,
            self.height // 2,
            self.width // 2,
            self.order.pooled(),
        )

    def filled_up(self, side: int) -> "_Tokens":
        """Append rows and columns of zeros to a multiple of ``side``; they are in rows."""
        below, right = -self.height % side, -self.width % side
        if not below and not right:
            return self
        rows = self.values.reshape(self.height, self.width, self.channels)
        values = functional.pad(rows, (0, 0, 0, right, 0, below)).reshape(-1, self.channels)
        return _in_rows(values, self.channels, self.height + below, self.width + right)

    def in_windows(self, side: int) -> "_Tokens":
        """Return them in windows, which are filled up with zeros at the edge of the image."""
        filled = self.filled_up(side)
        return filled.moved(TokenOrder.windows(filled.height, filled.width, side))

    def cropped(self, height: int, width: int) -> "_Tokens":
        """Keep the first rows and columns."""
        if (height, width) == (self.height, self.width):
            return self
        rows = self.moved(TokenOrder.rows(self.height, self.width)).values
        rows = rows.reshape(self.height, self.width, self.channels)
        values = rows[:height, :width].reshape(-1, self.channels)
        return _in_rows(values, self.channels, height, width)


def _in_rows(values: Tensor, channels: int, height: int, width: int) -> _Tokens:
    return _Tokens(values, channels, height, width, TokenOrder.rows(height, width))


def _transposed(values: Tensor, shape: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    """Transpose what is seen in a shape."""
    few, order = joined(shape, axes)
    return values if order == sorted(order) else values.reshape(few).permute(order)

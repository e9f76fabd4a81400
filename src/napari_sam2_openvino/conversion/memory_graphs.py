"""The two memory graphs as torch modules, with exactly the inputs and outputs of the model folder.

Imported only where torch is already needed.
"""

from typing import Any

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253


class RotaryAttention(nn.Module):
    """``RoPEAttention`` in real numbers.

    SAM 2 turns neighbouring channels as complex numbers, which OpenVINO does not convert. Here the
    rows of the query and key projections are put in another order, first the real and then the
    imaginary parts of each head; the product of queries and keys stays what it was.

    Parameters
    ----------
    attention : sam2.modeling.sam.transformer.RoPEAttention
    grid : int
        Side of the image embedding; keys repeat after ``grid * grid`` tokens.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, attention: Any, grid: int) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.n_positions = grid * grid
        self.q_proj = self._real_parts_first(attention.q_proj)
        self.k_proj = self._real_parts_first(attention.k_proj)
        self.v_proj = attention.v_proj
        self.out_proj = attention.out_proj
        rotation = attention.compute_cis(end_x=grid, end_y=grid)
        self.register_buffer("cos", rotation.real.contiguous(), persistent=False)
        self.register_buffer("sin", rotation.imag.contiguous(), persistent=False)

    def _real_parts_first(self, projection: nn.Linear) -> nn.Linear:
        width = projection.out_features // self.num_heads
        channels = torch.arange(projection.out_features).reshape(self.num_heads, width)
        order = torch.cat([channels[:, 0::2], channels[:, 1::2]], dim=1).flatten()
        reordered = nn.Linear(projection.in_features, projection.out_features)
        with torch.no_grad():
            reordered.weight.copy_(projection.weight[order])
            reordered.bias.copy_(projection.bias[order])
        return reordered

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, other: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Attend to keys at positions of the image, and to others without a position.

        Parameters
        ----------
        query : Tensor, shape (B, g * g, D)
        key, value : Tensor, shape (B, n * g * g, M)
        other : tuple of Tensor, optional
            Keys and values that are not turned, shape (B, P, M).
        """
        queries = self._turn(self._heads(self.q_proj(query)))
        keys = self._turn(self._heads(self.k_proj(key)))
        if other is not None:
            keys = torch.cat([keys, self._heads(self.k_proj(other[0]))], dim=2)
            value = torch.cat([value, other[1]], dim=1)
        values = self._heads(self.v_proj(value))
        seen = functional.scaled_dot_product_attention(queries, keys, values)
        joined = seen.transpose(1, 2).flatten(2)
        result: Tensor = self.out_proj(joined)
        return result

    def _heads(self, tokens: Tensor) -> Tensor:
        width = tokens.shape[-1] // self.num_heads
        split = tokens.reshape(tokens.shape[0], -1, self.num_heads, width)
        return split.transpose(1, 2)

    def _turn(self, tokens: Tensor) -> Tensor:
        batch, heads, _, width = tokens.shape
        real, imaginary = tokens.reshape(batch, heads, -1, self.n_positions, width).chunk(2, dim=-1)
        turned = torch.cat(
            [real * self.cos - imaginary * self.sin, real * self.sin + imaginary * self.cos],
            dim=-1,
        )
        return turned.reshape(batch, heads, -1, width)


class MemoryAttentionGraph(nn.Module):
    """What a plane looks like, in the light of what is remembered of an object.

    Follows ``MemoryAttention.forward``. The image is given once for all objects, so the first
    layer attends to the image itself only once.
    """

    image_pos: Tensor
    memory_pos: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        attention = model.memory_attention
        grid = model.image_size // model.backbone_stride
        self.layers = attention.layers
        self.norm = attention.norm
        self.pos_enc_at_input = attention.pos_enc_at_input
        self.mem_dim = model.mem_dim
        self.self_attentions = nn.ModuleList(
            RotaryAttention(layer.self_attn, grid) for layer in self.layers
        )
        self.cross_attentions = nn.ModuleList(
            RotaryAttention(layer.cross_attn_image, grid) for layer in self.layers
        )
        image = torch.zeros(1, model.hidden_dim, grid, grid)
        memory = torch.zeros(1, model.mem_dim, grid, grid)
        image_pos = model.image_encoder.neck.position_encoding(image)
        memory_pos = model.memory_encoder.position_encoding(memory)
        self.register_buffer("image_pos", _tokens(image_pos), persistent=False)
        self.register_buffer("memory_pos", _tokens(memory_pos)[:, None], persistent=False)

    def forward(
        self,
        image_embed: Tensor,
        maskmem_features: Tensor,
        maskmem_tpos: Tensor,
        obj_ptrs: Tensor,
        obj_ptr_tpos: Tensor,
    ) -> Tensor:
        """Attend to F memories and P pointers of B objects; P may be 0."""
        memory = maskmem_features.flatten(3).transpose(2, 3)
        memory_pos = self.memory_pos + maskmem_tpos.unsqueeze(2)
        memory, memory_pos = memory.flatten(1, 2), memory_pos.flatten(1, 2)
        # A pointer is as many tokens as memories fit into its width, each at the same time.
        per_pointer = obj_ptrs.shape[-1] // self.mem_dim
        pointers = obj_ptrs.reshape(maskmem_features.shape[0], -1, self.mem_dim)
        pointer_pos = obj_ptr_tpos.unsqueeze(2).expand(-1, -1, per_pointer, -1).flatten(1, 2)

        seen = _tokens(image_embed)
        if self.pos_enc_at_input:
            seen = seen + 0.1 * self.image_pos
        for number, layer in enumerate(self.layers):
            seen = seen + self._attend_to_itself(number, layer, seen)
            if number == 0:
                seen = seen.expand(maskmem_features.shape[0], -1, -1)
            query = layer.norm2(seen)
            if layer.pos_enc_at_cross_attn_queries:
                query = query + self.image_pos
            keys, pointer_keys = memory, pointers
            if layer.pos_enc_at_cross_attn_keys:
                keys, pointer_keys = memory + memory_pos, pointers + pointer_pos
            seen = seen + self.cross_attentions[number](
                query, keys, memory, (pointer_keys, pointers)
            )
            hidden = layer.activation(layer.linear1(layer.norm3(seen)))
            seen = seen + layer.linear2(hidden)
        side = image_embed.shape[-1]
        result: Tensor = self.norm(seen).transpose(1, 2).unflatten(2, (side, side))
        return result

    def _attend_to_itself(self, number: int, layer: Any, seen: Tensor) -> Tensor:
        values = layer.norm1(seen)
        query = values + self.image_pos if layer.pos_enc_at_attn else values
        result: Tensor = self.self_attentions[number](query, query, values)
        return result


class MemoryEncoderGraph(nn.Module):
    """An image and masks of it to memories; ``no_obj_embed_spatial`` is not added.

    Follows ``SAM2Base._encode_new_memory`` from the low-resolution logits on. The image is given
    once for all objects.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.memory_encoder
        self.image_size = model.image_size
        self.scale = model.sigmoid_scale_for_mem_enc
        self.bias = model.sigmoid_bias_for_mem_enc

    def forward(self, image_embed: Tensor, low_res_masks: Tensor, binarize: Tensor) -> Tensor:
        """Remember B masks; where ``binarize`` is 1, without the doubt that is in the logits."""
        size = (self.image_size, self.image_size)
        logits = functional.interpolate(
            low_res_masks, size=size, mode="bilinear", align_corners=False
        )
        is_binary = binarize.reshape(-1, 1, 1, 1) > 0.5
        masks = torch.where(is_binary, (logits > 0).to(logits.dtype), torch.sigmoid(logits))
        masks = self.encoder.mask_downsampler(masks * self.scale + self.bias)
        # Repeated before the projection: OpenVINO 2026.4.1 fuses a sum of two convolutions, and
        # fails then if one of them has batch 1.
        image = self.encoder.pix_feat_proj(image_embed.expand(masks.shape[0], -1, -1, -1))
        fused = self.encoder.fuser(image + masks)
        result: Tensor = self.encoder.out_proj(fused)
        return result


def _tokens(feats: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C)."""
    return feats.flatten(2).transpose(1, 2)

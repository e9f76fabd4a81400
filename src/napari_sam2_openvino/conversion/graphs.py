"""The mask decoder as a torch module, with exactly the inputs and outputs of the model folder.

Imported only where torch is already needed.
"""

from typing import Any

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from napari_sam2_openvino.core.image_graphs import DecoderOutput

# The engine's class owns the names; the inputs are the parameters of ``forward`` below.
MASK_DECODER_OUTPUTS = DecoderOutput._fields


class MaskDecoderGraph(nn.Module):
    """Prompts to all four masks, their scores and pointers.

    Follows ``PromptEncoder.forward`` and ``MaskDecoder.predict_masks``, with three differences that
    leave every number as it is: no token is appended, embeddings of batch 1 are broadcast instead
    of copied, and the dense position encoding is a constant.
    """

    image_pe: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.prompt_encoder = model.sam_prompt_encoder
        self.decoder = model.sam_mask_decoder
        self.obj_ptr_proj = model.obj_ptr_proj
        self.image_size = model.image_size
        self.register_buffer("image_pe", self.prompt_encoder.get_dense_pe(), persistent=False)

    def forward(
        self,
        image_embed: Tensor,
        high_res_feats_0: Tensor,
        high_res_feats_1: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decode B prompts of N tokens each; N may be 0."""
        decoder = self.decoder
        prompt_tokens = self._embed_points(point_coords, point_labels)
        dense = self._embed_mask(mask_input, has_mask_input)
        own = [decoder.iou_token.weight, decoder.mask_tokens.weight]
        if decoder.pred_obj_scores:
            own.insert(0, decoder.obj_score_token.weight)
        own_tokens = torch.cat(own).unsqueeze(0).expand(point_coords.shape[0], -1, -1)
        tokens = torch.cat((own_tokens, prompt_tokens), dim=1)

        hs, src = decoder.transformer(image_embed + dense, self.image_pe, tokens)
        first = 1 if decoder.pred_obj_scores else 0
        mask_tokens = hs[:, first + 1 : first + 1 + decoder.num_mask_tokens, :]
        iou_predictions = decoder.iou_prediction_head(hs[:, first, :])
        masks = self._upscale(src, mask_tokens, high_res_feats_0, high_res_feats_1)
        if decoder.pred_obj_scores:
            object_score_logits = decoder.pred_obj_score_head(hs[:, 0, :])
        else:
            object_score_logits = 0 * iou_predictions[:, :1] + 10.0
        return masks, iou_predictions, object_score_logits, self.obj_ptr_proj(mask_tokens)

    def _embed_points(self, coords: Tensor, labels: Tensor) -> Tensor:
        encoder = self.prompt_encoder
        embedding = encoder.pe_layer._pe_encoding((coords + 0.5) / self.image_size)
        labels = labels.unsqueeze(-1)
        embedding = torch.where(labels == -1, encoder.not_a_point_embed.weight, embedding)
        for value, point_embedding in enumerate(encoder.point_embeddings):
            embedding = torch.where(labels == value, embedding + point_embedding.weight, embedding)
        return embedding

    def _embed_mask(self, mask_input: Tensor, has_mask_input: Tensor) -> Tensor:
        no_mask = self.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        with_mask = self.prompt_encoder.mask_downscaling(mask_input)
        # A choice, not a weighted sum: the mask input must not leak in where it is switched off.
        return torch.where(has_mask_input.reshape(-1, 1, 1, 1) > 0.5, with_mask, no_mask)

    def _upscale(
        self, src: Tensor, mask_tokens: Tensor, feats_0: Tensor, feats_1: Tensor
    ) -> Tensor:
        decoder = self.decoder
        height, width = self.image_pe.shape[-2:]
        src = src.transpose(1, 2).reshape(-1, decoder.transformer_dim, height, width)
        deconv_1, norm, act_1, deconv_2, act_2 = decoder.output_upscaling
        upscaled = act_1(norm(deconv_1(src) + feats_1))
        upscaled = act_2(deconv_2(upscaled) + feats_0)
        hyper_in = torch.stack(
            [
                mlp(mask_tokens[:, index, :])
                for index, mlp in enumerate(decoder.output_hypernetworks_mlps)
            ],
            dim=1,
        )
        masks: Tensor = hyper_in @ upscaled.flatten(2)
        return masks.reshape(-1, decoder.num_mask_tokens, 4 * height, 4 * width)

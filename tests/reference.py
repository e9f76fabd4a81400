"""The PyTorch reference that results are judged by: seeded SAM 2 models and SAM 2's own predictor.

Freshly built models test little: position embeddings are zero, layer scale is 1e-6, predicted IoUs
are all alike and masks hardly depend on the prompt. `perturbed_model` moves every parameter and
spreads scores and logits.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

STARTER_FOLDER = Path(__file__).parents[1] / "scripts" / "starter"
# What SAM 2's builder adds to every YAML (``apply_postprocessing``).
BUILDER_FLAGS = {
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}
# A spread at which stability and predicted IoU fall on both sides of SAM 2's thresholds.
MASK_LOGIT_STD = 30.0
COMMON_SHARE = 0.9
IOU_LOGIT_MEAN, IOU_LOGIT_STD = 0.9, 1.0
# More than this would amplify rounding instead of the prompt's effect.
MAX_IOU_GAIN = 40.0
PROBE_PROMPTS = 16
# Objects that are there three times out of four.
OBJECT_LOGIT_MEAN, OBJECT_LOGIT_STD = 2.0, 3.0
MAX_OBJECT_GAIN = 1000.0
# How much sharper attention to memories is, and when pointers are from counts.
ATTENTION_GAIN, POINTER_TIME_GAIN = 4.0, 5.0


def perturbed_model(
    config_file_or_yaml: str | Path, seed: int, image_size: int | None = None
) -> Any:
    """Build a SAM 2 with seeded weights, every one of them perturbed, and scores that spread.

    Parameters
    ----------
    config_file_or_yaml : str or Path
        A config of the sam2 package (``configs/sam2.1/sam2.1_hiera_t.yaml``) or a YAML file.
    seed : int
        Equal seeds give equal weights.
    image_size : int, optional
        Replaces the YAML's.

    Returns
    -------
    sam2.modeling.sam2_base.SAM2Base
        In evaluation mode, in float32.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config_file_or_yaml, image_size)
        with torch.no_grad():
            for parameter in model.parameters():
                spread = max(0.3 * float(parameter.std(correction=0)), 0.03)
                parameter.add_(spread * torch.randn_like(parameter))
            _spread_scores(model)
    return model


@torch.no_grad()
def inject_outliers(model: Any, seed: int, share: float = 0.03) -> Any:
    """Let a few channels behind each layer norm stand out, as in trained transformers.

    Scale and shift of a channel grow by 10 to 60, and the weights that multiply it shrink by as
    much, so that the model computes the same.

    Returns
    -------
    sam2.modeling.sam2_base.SAM2Base
        The same model.
    """
    generator = torch.Generator().manual_seed(seed)
    for block in model.image_encoder.trunk.blocks:
        first = [block.attn.qkv] + ([block.proj] if block.dim != block.dim_out else [])
        for norm, layers in ((block.norm1, first), (block.norm2, [block.mlp.layers[0]])):
            width = len(norm.weight)
            chosen = torch.randperm(width, generator=generator)[: max(1, round(share * width))]
            factors = 10 + 50 * torch.rand(len(chosen), generator=generator)
            norm.weight[chosen] *= factors
            norm.bias[chosen] *= factors
            for layer in layers:
                layer.weight[:, chosen] /= factors
    return model


@torch.no_grad()
def let_memory_count(model: Any, seed: int) -> Any:
    """Make a video of a `perturbed_model` depend on all that SAM 2 remembers.

    Otherwise all object scores are alike and, where they are negative, all masks are empty;
    attention to memories is nearly uniform; and when a memory is from changes too little to see.

    Returns
    -------
    sam2.modeling.sam2_base.SAM2Base
        The same model.
    """
    for tensor in (model.maskmem_tpos_enc, model.no_obj_ptr, model.no_obj_embed_spatial):
        if tensor is not None:
            tensor.div_(tensor.std())
    if model.proj_tpos_enc_in_obj_ptrs:
        model.obj_ptr_tpos_proj.weight.mul_(POINTER_TIME_GAIN)
    for layer in model.memory_attention.layers:
        layer.cross_attn_image.q_proj.weight.mul_(ATTENTION_GAIN)
    _spread_object_scores(model, seed)
    return model


def _spread_object_scores(model: Any, seed: int) -> None:
    """Let objects be there on most planes and gone on some."""
    head = model.sam_mask_decoder.pred_obj_score_head
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        probe = _Probe(model)
        seen: list[torch.Tensor] = []
        hook = head.register_forward_hook(lambda _, __, out: seen.append(out))
        probe()
        hook.remove()
    scores = torch.cat(seen)
    last = head.layers[-1]
    gain = (OBJECT_LOGIT_STD / scores.std()).clamp(max=MAX_OBJECT_GAIN)
    last.weight.mul_(gain)
    last.bias.copy_(gain * (last.bias - scores.mean()) + OBJECT_LOGIT_MEAN)


def build_model(config_file_or_yaml: str | Path, image_size: int | None = None) -> Any:
    """Build a SAM 2 as ``sam2.build_sam.build_sam2`` does, without weights."""
    import sam2
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    path = Path(config_file_or_yaml)
    if not path.is_file():
        path = Path(sam2.__path__[0]) / config_file_or_yaml
    config = OmegaConf.load(path)
    OmegaConf.resolve(config)
    for name, value in BUILDER_FLAGS.items():
        OmegaConf.update(config, f"model.sam_mask_decoder_extra_args.{name}", value, force_add=True)
    if image_size is not None:
        config.model.image_size = image_size
        layer = config.model.memory_attention.layer
        for attention in (layer.self_attention, layer.cross_attention):
            attention.feat_sizes = [image_size // 16, image_size // 16]
    return instantiate(config.model, _recursive_=True).eval()


def starter_model() -> Any:
    """Build the starter from the checkpoint that it was converted from."""
    model = build_model(STARTER_FOLDER / "starter.yaml")
    weights = torch.load(STARTER_FOLDER / "checkpoint.pt", weights_only=True)["model"]
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return model


def reference_predictor(model: Any, **options: Any) -> Any:
    """Return SAM 2's own ``SAM2ImagePredictor`` for a model of any image size."""
    declare_torchvision_operators()
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(model, **options)
    # Hard-coded for 1024 in SAM 2; the sizes follow from the strides 4, 8 and 16.
    size = model.image_size
    predictor._bb_feat_sizes = [(size // stride, size // stride) for stride in (4, 8, 16)]
    return predictor


def reference_generator(model: Any, **options: Any) -> Any:
    """Return SAM 2's own ``SAM2AutomaticMaskGenerator`` for a model of any image size."""
    declare_torchvision_operators()
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator

    generator = SAM2AutomaticMaskGenerator(model, **options)
    area = generator.min_mask_region_area
    generator.predictor = reference_predictor(model, max_hole_area=area, max_sprinkle_area=area)
    return generator


_libraries: list[torch.library.Library] = []


def declare_torchvision_operators() -> None:
    """Let torchvision be imported beside a PyTorch that lacks its compiled operators."""
    if _libraries:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    _libraries.append(library)
    try:
        _load_torchvision_operators()
        torch.ops.torchvision.nms  # noqa: B018
    except (AttributeError, OSError, RuntimeError):
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl("nms", greedy_nms, "CompositeExplicitAutograd")
        import torchvision

        # It looks for its compiled library before each call.
        torchvision.extension._has_ops = lambda: True


def _load_torchvision_operators() -> None:
    """Load the compiled operators before torchvision does: declared twice, they end the process."""
    for folder in find_spec("torchvision").submodule_search_locations:
        for file in Path(folder).glob("_C.*"):
            torch.ops.load_library(file)


def greedy_nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression; equal scores keep their order, as in torchvision."""
    boxes = boxes.float()
    order = torch.argsort(scores, descending=True, stable=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        low = torch.maximum(boxes[best, :2], boxes[order, :2])
        high = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        overlap = (high - low).clamp(min=0).prod(dim=1)
        # In float32, but for the threshold; 0 / 0 removes nothing.
        iou = overlap / (area[best] + area[order] - overlap)
        order = order[~(iou.double() > iou_threshold)]
    return torch.tensor(kept, dtype=torch.int64)


@torch.no_grad()
def _spread_scores(model: Any) -> None:
    """Scale the mask and IoU heads so that logits and scores spread over probe prompts."""
    decoder = model.sam_mask_decoder
    probe = _Probe(model)
    hyper_in: dict[Any, torch.Tensor] = {}
    hooks = [
        mlp.register_forward_hook(lambda mlp, _, out: hyper_in.update({mlp: out}))
        for mlp in decoder.output_hypernetworks_mlps
    ]
    _, logits = probe()
    for hook in hooks:
        hook.remove()
    # What all prompts have in common drowns what each of them changes: take most of it away.
    for mlp, out in hyper_in.items():
        mlp.layers[-1].bias.sub_(COMMON_SHARE * out.mean(dim=0))
    masks, _ = probe()
    for index, mlp in enumerate(decoder.output_hypernetworks_mlps):
        gain = MASK_LOGIT_STD / masks[:, index].std()
        mlp.layers[-1].weight.mul_(gain)
        mlp.layers[-1].bias.mul_(gain)
    last = decoder.iou_prediction_head.layers[-1]
    gain = (IOU_LOGIT_STD / logits.std(dim=0)).clamp(max=MAX_IOU_GAIN)
    last.weight.mul_(gain[:, None])
    last.bias.copy_(gain * (last.bias - logits.mean(dim=0)) + IOU_LOGIT_MEAN)


class _Probe:
    """Decodes the same random prompts: mask logits, and IoU predictions before the sigmoid."""

    def __init__(self, model: Any) -> None:
        size = model.image_size
        image = nn.functional.interpolate(
            torch.randn(1, 3, 12, 12), size=(size, size), mode="bicubic"
        )
        feats = model.forward_image(image)["backbone_fpn"]
        self.model = model
        self.embed = feats[2] + model.no_mem_embed.reshape(1, -1, 1, 1)
        self.high_res = feats[:2]
        coords = size * torch.rand(PROBE_PROMPTS, 2, 2)
        labels = torch.randint(0, 2, (PROBE_PROMPTS, 2))
        self.points = coords, labels

    def __call__(self) -> tuple[torch.Tensor, torch.Tensor]:
        prompt_encoder, decoder = self.model.sam_prompt_encoder, self.model.sam_mask_decoder
        head = decoder.iou_prediction_head
        had_sigmoid, head.sigmoid_output = head.sigmoid_output, False
        sparse, dense = prompt_encoder(points=self.points, boxes=None, masks=None)
        masks, scores, _, _ = decoder.predict_masks(
            image_embeddings=self.embed,
            image_pe=prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            repeat_image=True,
            high_res_features=self.high_res,
        )
        head.sigmoid_output = had_sigmoid
        return masks, scores

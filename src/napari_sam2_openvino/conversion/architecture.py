"""From weights or a config to a SAM 2 module; nothing is instantiated that is not listed here."""

import importlib
import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2_openvino.core.catalogue import CATALOGUE, CatalogueEntry
from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.model_folder import ModelConfig

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

    from napari_sam2_openvino.conversion.checkpoints import StateDict

BACKBONE_STRIDE = 16
COARSEST_STRIDE = 32

# The only classes that a config may name.
_CLASSES = {
    f"sam2.modeling.{name}"
    for name in (
        "sam2_base.SAM2Base",
        "backbones.image_encoder.ImageEncoder",
        "backbones.image_encoder.FpnNeck",
        "backbones.hieradet.Hiera",
        "position_encoding.PositionEmbeddingSine",
        "memory_attention.MemoryAttention",
        "memory_attention.MemoryAttentionLayer",
        "sam.transformer.RoPEAttention",
        "memory_encoder.MemoryEncoder",
        "memory_encoder.MaskDownSampler",
        "memory_encoder.Fuser",
        "memory_encoder.CXBlock",
    )
}
# Arguments that would read another file or start a compiler.
_REFUSED_ARGUMENTS = {"weights_path"}

# Width of the first stage and number of blocks of Meta's trunks.
_TRUNKS = {(96, 12): "tiny", (96, 16): "small", (112, 24): "base_plus", (144, 48): "large"}

# What sam2.build_sam adds to the YAML: build_sam2 the first, build_sam2_video_predictor both.
_DECODER_FLAGS = {
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}
_VIDEO_FLAGS = {"fill_hole_area": 8, "binarize_mask_from_pts_for_mem_enc": True}


def recognise(weights: "StateDict") -> CatalogueEntry | None:
    """Return Meta's model that weights have the shapes of, or None.

    2.1 is told from 2.0 by the tensors that only 2.1 has; sizes by the trunk's width and depth.
    """
    patch_embed = weights.get("image_encoder.trunk.patch_embed.proj.weight")
    if patch_embed is None:
        return None
    prefix = "image_encoder.trunk.blocks."
    blocks = {name.split(".")[3] for name in weights if name.startswith(prefix)}
    size = _TRUNKS.get((patch_embed.shape[0], len(blocks)))
    version = "sam2.1" if "no_obj_embed_spatial" in weights else "sam2"
    name = f"{version}_hiera_{size}"
    return next((entry for entry in CATALOGUE if entry.name == name), None)


def read_config(config: str) -> dict[str, Any]:
    """Read the ``model`` section of a config and check that it builds nothing but SAM 2.

    Parameters
    ----------
    config : str
        Path of a YAML file in SAM 2's form, or the name of a config of the sam2 package.

    Raises
    ------
    ConversionError
        If there is no such file, it is not such a config, or it names a class that is not SAM 2's.
    """
    from omegaconf import OmegaConf

    path = _config_path(config)
    try:
        # OmegaConf's loader is YAML's safe one, and reads 1e-6 as a number.
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:
        raise ConversionError(f"{config} is not a YAML file: check the config.") from error
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or model.get("_target_") != "sam2.modeling.sam2_base.SAM2Base":
        raise ConversionError(
            f"{config} is not a SAM 2 config: expected a section 'model' with _target_: "
            "sam2.modeling.sam2_base.SAM2Base."
        )
    _check(model, config)
    return model


def build(config: dict[str, Any], image_size: int, name: str) -> "SAM2Base":
    """Build a SAM 2 in evaluation mode, with the flags that ``build_sam2`` adds.

    Parameters
    ----------
    config : dict
        From `read_config`.
    image_size : int
        Side of the square image in pixels; replaces the config's.
    name : str
        Of the config, for the error's text.

    Raises
    ------
    ConversionError
        If SAM 2 cannot be built like that, or cannot run at that image size.
    """
    config = dict(config, image_size=image_size, compile_image_encoder=False)
    extra = config.get("sam_mask_decoder_extra_args") or {}
    config["sam_mask_decoder_extra_args"] = {**extra, **_DECODER_FLAGS}
    try:
        model = _instantiate(_with_feat_sizes(config, image_size // BACKBONE_STRIDE)).eval()
    except Exception as error:
        raise ConversionError(
            f"SAM 2 cannot be built from {name} ({type(error).__name__}: {_first_line(error)})."
        ) from error
    _check_contract(model, name)
    _check_image_size(model, image_size)
    return model


def describe(model: "SAM2Base", architecture: str) -> ModelConfig:
    """Write down every flag that the engine needs."""
    values: dict[str, Any] = {"architecture": architecture, **_VIDEO_FLAGS}
    values["no_obj_embed_spatial"] = model.no_obj_embed_spatial is not None
    for field in fields(ModelConfig):
        if field.name not in values:
            owner = model.sam_mask_decoder if field.name in _DECODER_FLAGS else model
            values[field.name] = getattr(owner, field.name)
    return ModelConfig(**values)


def has_memory(model: "SAM2Base") -> bool:
    """Whether a model remembers objects from plane to plane in the way of Meta's models."""
    return bool(model.num_maskmem > 0 and model.directly_add_no_mem_embed)


def _config_path(config: str) -> Path:
    import sam2

    path = Path(config).expanduser()
    if path.is_file():
        return path
    package = Path(sam2.__path__[0]).resolve()
    inside = (package / config).resolve()
    if inside.is_relative_to(package) and inside.suffix == ".yaml" and inside.is_file():
        return inside
    raise ConversionError(
        f"There is no config {config}: give a YAML file, or a config of the sam2 package such as "
        "configs/sam2.1/sam2.1_hiera_t.yaml."
    )


def _check(node: Any, config: str) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            is_private = str(key).startswith("_") and key != "_target_"
            if is_private or key in _REFUSED_ARGUMENTS:
                raise ConversionError(f"{config} sets {key}, which is not read: remove it.")
            _check(value, config)
        target = node.get("_target_")
        if "_target_" in node and not (isinstance(target, str) and target in _CLASSES):
            raise ConversionError(
                f"{config} names the class {target}, but only SAM 2's own classes are "
                "built from a config."
            )
    elif isinstance(node, list):
        for value in node:
            _check(value, config)
    elif isinstance(node, str) and "${" in node:
        raise ConversionError(f"{config} contains {node}: write the value itself.")


def _instantiate(node: Any) -> Any:
    """Build the classes of a checked config from the inside out, as ``hydra`` does."""
    if isinstance(node, list):
        return [_instantiate(value) for value in node]
    if not isinstance(node, dict):
        return node
    values = {key: _instantiate(value) for key, value in node.items()}
    target = values.pop("_target_", None)
    if target is None:
        return values
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)(**values)


def _with_feat_sizes(node: Any, feat_size: int) -> Any:
    """Adapt the sizes that rotary position encodings are prepared for."""
    if not isinstance(node, dict):
        return node
    adapted = {key: _with_feat_sizes(value, feat_size) for key, value in node.items()}
    if "feat_sizes" in adapted:
        adapted["feat_sizes"] = [feat_size, feat_size]
    return adapted


def _check_contract(model: "SAM2Base", name: str) -> None:
    if not model.use_high_res_features_in_sam or model.backbone_stride != BACKBONE_STRIDE:
        raise ConversionError(
            f"{name} must set use_high_res_features_in_sam: true and leave backbone_stride at "
            f"{BACKBONE_STRIDE}, as all of SAM 2's configs do."
        )


def _check_image_size(model: "SAM2Base", image_size: int) -> None:
    # The window embedding is tiled over the patches (stride 4), and the coarsest level (stride 32)
    # is doubled.
    window = int(model.image_encoder.trunk.window_spec[0])
    step = math.lcm(4 * window, COARSEST_STRIDE)
    # OpenVINO 2026.4.1 crashes on a single token at the coarsest level.
    least = max(step, 2 * COARSEST_STRIDE)
    if image_size < least or image_size % step:
        raise ConversionError(
            f"image_size must be a multiple of {step} for this model and at least {least}, but is "
            f"{image_size}: give the size that it was trained with."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]

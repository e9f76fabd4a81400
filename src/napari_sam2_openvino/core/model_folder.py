"""A converted model on disk: which files it has, and what its ``model.json`` says."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from napari_sam2_openvino.core.errors import ModelFormatError
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters

FORMAT_VERSION = 1
INFO_FILE = "model.json"
IMAGE_ENCODER_FILE = "image_encoder.xml"
MASK_DECODER_FILE = "mask_decoder.xml"
PARAMETERS_FILE = "parameters.npz"
# Only in folders of models that remember objects from plane to plane.
MEMORY_ATTENTION_FILE = "memory_attention.xml"
MEMORY_ENCODER_FILE = "memory_encoder.xml"
# Not in every folder: what the model must answer, and how it compares with its original.
SELF_TEST_FILE = "self_test.npz"
REPORT_FOLDER = "report"


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of a model, with the flags of the YAML and of SAM 2's builder.

    ``image_size`` is the side S of the square that the network sees, in pixels, ``hidden_dim`` the
    width D of its embeddings. The names are those of ``sam2.modeling.sam2_base.SAM2Base`` and
    ``sam2.build_sam``.
    """

    architecture: str
    image_size: int
    hidden_dim: int
    mem_dim: int = 64
    directly_add_no_mem_embed: bool = True
    # Set by build_sam2 (apply_postprocessing), not by the YAML.
    dynamic_multimask_via_stability: bool = True
    dynamic_multimask_stability_delta: float = 0.05
    dynamic_multimask_stability_thresh: float = 0.98
    # The rest matters to volumes only.
    multimask_output_in_sam: bool = True
    multimask_output_for_tracking: bool = True
    multimask_min_pt_num: int = 0
    multimask_max_pt_num: int = 1
    use_multimask_token_for_obj_ptr: bool = True
    num_maskmem: int = 7
    max_obj_ptrs_in_encoder: int = 16
    max_cond_frames_in_attn: int = -1
    memory_temporal_stride_for_eval: int = 1
    sigmoid_scale_for_mem_enc: float = 20.0
    sigmoid_bias_for_mem_enc: float = -10.0
    binarize_mask_from_pts_for_mem_enc: bool = True
    fill_hole_area: int = 8
    non_overlap_masks_for_mem_enc: bool = False
    use_mask_input_as_output_without_sam: bool = True
    use_obj_ptrs_in_encoder: bool = True
    add_tpos_enc_to_obj_ptrs: bool = True
    proj_tpos_enc_in_obj_ptrs: bool = True
    use_signed_tpos_enc_to_obj_ptrs: bool = True
    only_obj_ptrs_in_the_past_for_eval: bool = True
    pred_obj_scores: bool = True
    fixed_no_obj_ptr: bool = True
    soft_no_obj_ptr: bool = False
    no_obj_embed_spatial: bool = True


@dataclass(frozen=True)
class ModelSource:
    """Where the weights come from."""

    checkpoint: str
    sha256: str
    licence: str = ""


@dataclass(frozen=True)
class Differences:
    """Largest differences between two computations of the same prompt sets.

    Parameters
    ----------
    embedding : float
        Of the image embedding and the high-resolution features, in standard deviations of each.
    mask_logits : float
        Of the low-resolution masks, in standard deviations of each prompt set's.
    iou_predictions : float
        Of the predicted IoUs, absolute.
    mask_pixels : float
        Smallest share of equal pixels of a mask, 1 when all are equal.
    """

    embedding: float
    mask_logits: float
    iou_predictions: float
    mask_pixels: float


@dataclass(frozen=True)
class MemoryDifferences:
    """Largest differences between two computations of the same memories.

    Parameters
    ----------
    conditioned_embed : float
        Of the image embedding after memory attention, in its standard deviations.
    maskmem_features : float
        Of encoded memories, in their standard deviations.
    """

    conditioned_embed: float
    maskmem_features: float


@dataclass(frozen=True)
class SelfCheck:
    """The saved graphs on the CPU in f32, compared with PyTorch on the same inputs.

    Those of a quantized model are compared with the model that it was made from, in f32.

    Parameters
    ----------
    prompt_sets : int
        How many prompt sets were compared.
    differences : Differences
        Between the two.
    random_weights : bool
        Whether the model was never trained, so that equal figures say little about it.
    memory : MemoryDifferences, optional
        Of the memory graphs; None for a folder without them.
    """

    prompt_sets: int
    differences: Differences
    random_weights: bool = False
    memory: MemoryDifferences | None = None


@dataclass(frozen=True)
class Quantization:
    """How a model was made smaller, and what its report says; the report has all figures.

    Parameters
    ----------
    preset : str
        "safe", "balanced" or "fast".
    original, original_content : str
        Name and content hash of the model that it was made from.
    calibration_images : int
    precision : str
        What both were run in when they were compared, such as "bf16".
    mean_mask_iou, lowest_mask_iou : float
        Of its masks with those of the original in f32, for the same prompts.
    is_advised : bool
        Whether the report advises to use it.
    advice : str
        The same as a sentence.
    """

    preset: str
    original: str
    original_content: str
    calibration_images: int
    precision: str
    mean_mask_iou: float
    lowest_mask_iou: float
    is_advised: bool
    advice: str


@dataclass(frozen=True)
class ModelInfo:
    """The content of ``model.json``.

    Parameters
    ----------
    name : str
    config : ModelConfig
    source : ModelSource
    self_check : SelfCheck
    weights : str, optional
        How they are stored.
    versions : dict of str to str, optional
        Of the packages that made it.
    all_objects : AllObjectsParameters, optional
        How every object of an image is best found with these weights, whose scores have a scale of
        their own; None where nobody tried, and SAM 2's defaults serve.
    format_version : int, optional
    """

    name: str
    config: ModelConfig
    source: ModelSource
    self_check: SelfCheck
    weights: str = "f16"
    versions: dict[str, str] = field(default_factory=dict)
    all_objects: AllObjectsParameters | None = None
    quantization: Quantization | None = None
    format_version: int = FORMAT_VERSION

    @property
    def has_memory(self) -> bool:
        """Whether the folder holds the graphs that remember objects from plane to plane."""
        return self.self_check.memory is not None


def read_model_info(folder: Path) -> ModelInfo:
    """Read and validate ``model.json``.

    Raises
    ------
    ModelFormatError
        If the folder is not a whole model of a format that this version reads.
    """
    graphs = *_parts(IMAGE_ENCODER_FILE), *_parts(MASK_DECODER_FILE)
    _require(folder, (INFO_FILE, *graphs, PARAMETERS_FILE))
    try:
        info = TypeAdapter(ModelInfo).validate_json((folder / INFO_FILE).read_bytes())
    except OSError as error:
        raise ModelFormatError(
            f"{folder / INFO_FILE} cannot be read ({error.strerror}): check its permissions."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelFormatError(
            f"{folder / INFO_FILE} is not valid ({place}: {first['msg']}): "
            "convert the checkpoint again."
        ) from error
    if info.format_version != FORMAT_VERSION:
        raise ModelFormatError(
            f"{folder} has model format {info.format_version}, but this version reads "
            f"{FORMAT_VERSION}: convert the checkpoint again."
        )
    if info.has_memory:
        _require(folder, (*_parts(MEMORY_ATTENTION_FILE), *_parts(MEMORY_ENCODER_FILE)))
    return info


def write_model_info(folder: Path, info: ModelInfo) -> None:
    """Write ``model.json`` under a temporary name and rename it."""
    temporary = folder / f"{INFO_FILE}.tmp"
    temporary.write_text(json.dumps(asdict(info), indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / INFO_FILE)


def _parts(graph: str) -> tuple[str, str]:
    """Return the names of a graph's file and of the one with its weights."""
    return graph, str(Path(graph).with_suffix(".bin"))


def _require(folder: Path, wanted: tuple[str, ...]) -> None:
    try:
        missing = [name for name in wanted if not (folder / name).is_file()]
    # As where the folder is another user's.
    except OSError as error:
        raise ModelFormatError(
            f"The model folder {folder} cannot be read ({error.strerror or error}): ask its owner."
        ) from error
    if missing:
        raise ModelFormatError(
            f"The model folder must hold {', '.join(wanted)}, but {folder} lacks "
            f"{', '.join(missing)}: convert the checkpoint again."
        )

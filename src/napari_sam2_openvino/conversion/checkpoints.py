"""Checkpoints: read without running anything they contain."""

import hashlib
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2_openvino.core.errors import ConversionError

if TYPE_CHECKING:
    import torch

StateDict = dict[str, "torch.Tensor"]

_WRAPPER_PREFIX = "module."
_NAMED_IN_ERRORS = 3
# torch.save packs nothing, so that a checkpoint is about as large as what it holds.
_MOST_UNPACKED = 2
_UNPACKED_SLACK = 1 << 20


def read_checkpoint(path: Path) -> StateDict:
    """Read the weights of a SAM 2 checkpoint.

    Parameters
    ----------
    path : Path
        A file of ``torch.save``: ``{"model": weights, ...}`` or the weights alone; names may start
        with ``module.``. It is read with ``weights_only=True``: code inside it never runs.

    Returns
    -------
    dict of str to torch.Tensor
        In float32, without the prefix.

    Raises
    ------
    ConversionError
        If the file is damaged, holds code, or holds something else.
    """
    import torch

    try:
        _check_unpacked_size(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConversionError(_unpickling_sentence(path)) from error
    except ConversionError:
        raise
    except Exception as error:
        # Damaged files raise nearly anything: RuntimeError, EOFError, KeyError, ValueError, ...
        raise ConversionError(
            f"{path} is damaged or not a PyTorch checkpoint: download or copy it again."
        ) from error
    return {
        name.removeprefix(_WRAPPER_PREFIX): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in _weights(content, path).items()
    }


def _check_unpacked_size(path: Path) -> None:
    """Refuse an archive made to fill the memory: little on disk, much more when it is read."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _MOST_UNPACKED * path.stat().st_size + _UNPACKED_SLACK:
        raise ConversionError(
            f"{path.name} would unpack to {unpacked / 1e6:,.0f} MB, far more than its size: it is "
            "no checkpoint that PyTorch wrote."
        )


def load_weights(model: "torch.nn.Module", weights: StateDict, path: Path, fits: str) -> None:
    """Copy all weights into a model.

    Parameters
    ----------
    fits : str
        Where the model's architecture comes from, for the error's text.

    Raises
    ------
    ConversionError
        If a tensor is missing, unexpected or of another shape.
    """
    wanted = model.state_dict()
    problems = [
        _names("lacks", [name for name in wanted if name not in weights]),
        _names("has the unknown", [name for name in weights if name not in wanted]),
        _names(
            "has another shape of",
            [
                name
                for name, tensor in weights.items()
                if name in wanted and tensor.shape != wanted[name].shape
            ],
        ),
    ]
    if any(problems):
        raise ConversionError(
            f"{path.name} does not fit {fits}: it {', '.join(filter(None, problems))}; give the "
            "config that it was trained with."
        )
    bad = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if bad:
        raise ConversionError(
            f"{path.name} cannot be used: it {_names('has numbers that are not finite in', bad)}."
        )
    model.load_state_dict(weights)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises
    ------
    ConversionError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise ConversionError(f"There is no checkpoint {path}: check the path.") from error
    except OSError as error:
        raise ConversionError(f"{path} cannot be read ({error.strerror}).") from error


def _weights(content: Any, path: Path) -> StateDict:
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    import torch

    if not isinstance(content, dict) or not content:
        raise _foreign(path)
    if not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise _foreign(path)
    if not all(_is_stored(tensor) for tensor in content.values()):
        raise ConversionError(
            f"{path.name} is damaged: it holds tensors that are larger than what is stored of them."
        )
    return content


def _is_stored(tensor: "torch.Tensor") -> bool:
    """Whether a tensor is no larger than its storage, as one that repeats a number would be."""
    import torch

    if tensor.layout is not torch.strided:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _foreign(path: Path) -> ConversionError:
    return ConversionError(
        f"{path.name} holds no SAM 2 weights: expected a dict of tensors, or one under the key "
        "'model'."
    )


def _unpickling_sentence(path: Path) -> str:
    """Tell code in a pickle from a file that is no pickle at all."""
    start = path.open("rb").read(4)
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return (
            f"{path} holds more than weights and could run code, or is damaged, so it was not "
            "loaded: ask its author for a file with the state dict alone."
        )
    return f"{path} is damaged or not a PyTorch checkpoint: download or copy it again."


def _names(verb: str, names: list[str]) -> str:
    if not names:
        return ""
    some = ", ".join(names[:_NAMED_IN_ERRORS])
    rest = len(names) - _NAMED_IN_ERRORS
    return f"{verb} {some}" + (f" and {rest} more" if rest > 0 else "")

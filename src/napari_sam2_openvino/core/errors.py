"""Errors whose text is meant for the user.

Everything raised on purpose derives from `Sam2Error`; its message is one sentence that says what
was expected, what came, and what to do. Any other exception is a bug and is left to surface as one.
"""

import zipfile
import zlib
from collections.abc import Iterable

DAMAGED_ARCHIVE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a .npz raises that is cut off, changed, or was never one."""


def times(shape: Iterable[int]) -> str:
    """Return a shape as sentences for the user name it, such as "512 x 512"."""
    return " x ".join(map(str, shape))


class Sam2Error(Exception):
    """Base of the errors that are shown to the user as one sentence."""


class InputError(Sam2Error, ValueError):
    """An image, prompt or parameter that cannot be used."""


class ModelNotFoundError(Sam2Error, LookupError):
    """No model of that name or folder; the message is the remedy."""


class ModelFormatError(Sam2Error, ValueError):
    """A model folder that is damaged, incomplete or of another format version."""


class DeviceError(Sam2Error, RuntimeError):
    """OpenVINO could not compile or run a model on the chosen device."""


class MissingExtraError(Sam2Error, ImportError):
    """An action needs packages of an extra that is not installed."""


class ConversionError(Sam2Error, RuntimeError):
    """A checkpoint could not be converted; no model was left behind."""


class JobCancelledError(Sam2Error):
    """A job ended because it was asked to."""

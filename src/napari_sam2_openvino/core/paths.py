"""Where files live: models in the user's data folder, caches in the user's cache folder."""

import os
import uuid
from contextlib import suppress
from pathlib import Path

import platformdirs

APP_NAME = "napari-sam2-openvino"
HOME_VARIABLE = "NAPARI_SAM2_HOME"


def _home() -> Path | None:
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).expanduser() if home else None


def models_dir() -> Path:
    """Return the folder of converted models; it may not exist yet."""
    home = _home()
    return (home or platformdirs.user_data_path(APP_NAME, appauthor=False)) / "models"


def checkpoints_dir() -> Path:
    """Return the folder of downloaded checkpoints; it may not exist yet."""
    return models_dir().parent / "checkpoints"


def sessions_dir() -> Path:
    """Return the folder of sessions that are saved by themselves; it may not exist yet."""
    return models_dir().parent / "sessions"


def reports_dir() -> Path:
    """Return the folder of comparisons of two models; it may not exist yet."""
    return models_dir().parent / "reports"


def cache_dir() -> Path:
    """Return the folder of everything that can be made again; it may not exist yet."""
    home = _home()
    return home / "cache" if home else platformdirs.user_cache_path(APP_NAME, appauthor=False)


def temporary_beside(path: Path) -> Path:
    """Return a hidden name of its own in the folder of a file, with the file's suffix.

    It says nothing of the file's name: longer than that, it could be longer than file systems
    allow.
    """
    return path.with_name(f".{uuid.uuid4().hex}{path.suffix}")


def remove(path: Path) -> None:
    """Remove a file; what is in use by another process is left to that one."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def starter_dir() -> Path:
    """Return the folder of the model that ships inside the package."""
    return Path(__file__).parent.parent / "starter"

"""Sessions that are saved by themselves: where, and how many are kept."""

import re
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from napari_sam2_openvino.core.paths import remove, sessions_dir
from napari_sam2_openvino.core.session_file import SessionFile, write_session

# The oldest go first.
MOST_AUTOSAVED = 50
_AUTOSAVED = re.compile(r"\d{4}-\d\d-\d\d \d\d-\d\d-\d\d .* [0-9a-f]{4}\.json")


def autosave_path(name: str) -> Path:
    """Return a new file for the session of an image of that name."""
    moment = datetime.now().strftime("%Y-%m-%d %H-%M-%S")
    readable = re.sub(r"[^\w .-]+", "_", name)[:80]
    # File systems count bytes, of which a letter may have four.
    readable = readable.encode()[:200].decode(errors="ignore").strip(" .") or "image"
    # Two windows may begin in the same second.
    return sessions_dir() / f"{moment} {readable} {uuid.uuid4().hex[:4]}.json"


def write_autosaved(path: Path, session: SessionFile) -> None:
    """Write a session, and delete the oldest others that were saved by themselves."""
    # Else writing fails, and tells of it.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_session(path, session)
    ours = (each for each in path.parent.glob("*.json") if _AUTOSAVED.match(each.name))
    # Where the clock was set back, this one is the oldest by name.
    others = sorted(each for each in ours if each != path)
    for old in others[: 1 - MOST_AUTOSAVED]:
        remove(old)

"""The folder of compiled graphs: what is damaged there is compiled again.

OpenVINO notices a blob that is cut off or no blob at all, but computes with weights that were
damaged (2026.4.1). So a checksum lies beside each blob.
"""

import logging
import zlib
from pathlib import Path

from napari_sam2_openvino.core.paths import remove, temporary_beside

_LOGGER = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 22


def remove_damaged(folder: Path) -> None:
    """Remove the blobs whose checksum is another than when they were written."""
    for blob in folder.glob("*.blob"):
        noted = _note(blob)
        try:
            is_damaged = noted.is_file() and noted.read_text(encoding="ascii") != _checksum(blob)
        except (OSError, UnicodeDecodeError):
            is_damaged = True
        if is_damaged:
            _LOGGER.warning("%s is damaged and is compiled again", blob)
            remove(noted)
            remove(blob)


def note_checksums(folder: Path) -> None:
    """Write down the checksums of new blobs.

    If another process is just writing one, what is noted is wrong and the blob is written again
    some time: that costs time, not correctness.
    """
    for blob in folder.glob("*.blob"):
        noted = _note(blob)
        if noted.exists():
            continue
        temporary = temporary_beside(noted)
        try:
            temporary.write_text(_checksum(blob), encoding="ascii")
            temporary.replace(noted)
        except OSError:
            remove(temporary)


def _note(blob: Path) -> Path:
    return blob.with_suffix(".crc")


def _checksum(blob: Path) -> str:
    value = 0
    with blob.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            value = zlib.crc32(chunk, value)
    return f"{value:08x}"

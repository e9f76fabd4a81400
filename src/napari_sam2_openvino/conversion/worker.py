"""The child process of a job: a request on stdin, reports as JSON lines on stdout.

Runs as ``python -m napari_sam2_openvino.conversion.worker``. It ends when stdin is closed, so it
never outlives the process that started it. Whatever libraries print goes to stderr.
"""

import json
import os
import shutil
import sys
import threading
import traceback
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from napari_sam2_openvino.conversion import (
    compare_task,
    pipeline,
    quantize_pipeline,
    staging,
    tune_task,
)
from napari_sam2_openvino.core.errors import Sam2Error

_STDIN, _STDOUT, _STDERR = 0, 1, 2
# Each module has a Request and fills a folder by it.
_TASKS: dict[str, ModuleType] = {
    "convert": pipeline,
    "quantize": quantize_pipeline,
    "compare": compare_task,
    "tune": tune_task,
}


def main() -> None:
    """Serve one request."""
    # Without its telemetry package openvino's converter reports to nobody; with it, it does so
    # unless the user has opted out. None makes the import fail.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    channel = _take_stdout()
    message = json.loads(_read_line(_STDIN))
    folder = Path(message["folder"])
    task = _TASKS[message["task"]]
    request = task.Request(**message["request"])
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    try:
        for progress in task.fill_folder(request, folder):
            _send(channel, {"progress": asdict(progress)})
        _send(channel, {"finished": True})
    except Exception as error:
        traceback.print_exc()
        known = error if isinstance(error, Sam2Error) else staging.disk_error(error, folder.parent)
        reported = known or error
        _send(channel, {"error": {"kind": type(reported).__name__, "message": str(reported)}})
    sys.stderr.flush()
    # Not the interpreter's own end: libraries may crash while they unload.
    os._exit(0)


def _take_stdout() -> TextIO:
    """Keep stdout for the reports, and let everything else that writes to it write to stderr."""
    channel = os.fdopen(os.dup(_STDOUT), "w", encoding="ascii")
    os.dup2(_STDERR, _STDOUT)
    return channel


def _read_line(descriptor: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            sys.exit(1)
        line += byte
    return line


def _end_with_parent(folder: Path) -> None:
    while os.read(_STDIN, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _send(channel: TextIO, message: dict[str, Any]) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


if __name__ == "__main__":
    main()

"""How much memory a model needs: measured in a process of its own.

Runs as ``python -m napari_sam2_openvino.comparison.memory FOLDER DEVICE PRECISION`` and prints the
peak in bytes.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np


def measure_peak_memory(folder: Path, device: str, precision: str) -> int | None:
    """Return the peak memory of a process that loads a model, encodes an image and decodes a click.

    Returns
    -------
    int or None
        Bytes, libraries included; None if the process failed.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", __spec__.name, str(folder), device, precision],
        # Where this process waits for its own input, one that shared it would wait too on Windows.
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    return int(done.stdout) if done.returncode == 0 else None


def main() -> None:
    """Serve one measurement."""
    from napari_sam2_openvino.core.image_predictor import SAM2ImagePredictor
    from napari_sam2_openvino.core.model import Sam2Model

    folder, device, precision = sys.argv[1:]
    predictor = SAM2ImagePredictor(Sam2Model(Path(folder), device, precision, cache_dir=None))
    size = predictor.model.image_size
    predictor.set_image(np.zeros((size, size, 3), np.uint8))
    predictor.predict([[size / 2, size / 2]], [1])
    sys.stdout.write(str(peak_of_this_process()))


def peak_of_this_process() -> int:
    """Return the most memory that this process has held, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":
        # `getrusage` would answer with the peak of the process that started this one, if it was
        # higher.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()

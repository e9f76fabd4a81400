"""Convert the starter's checkpoint, as any other, into the folder that ships in the package.

    python scripts/convert_starter.py

Runs in the environment that ``scripts/test.py`` makes. Run it after each training.
"""

import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from napari_sam2_openvino import convert
from napari_sam2_openvino.core.model_folder import read_model_info, write_model_info
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.paths import HOME_VARIABLE, starter_dir

SOURCE = Path(__file__).resolve().parent / "starter"
LICENCE = "BSD-3-Clause"


def main() -> int:
    """Convert, name the model, and put its files in place."""
    with tempfile.TemporaryDirectory() as home:
        os.environ[HOME_VARIABLE] = home
        folder = convert(
            SOURCE / "checkpoint.pt", f"new {STARTER}", config=str(SOURCE / "starter.yaml")
        )
        info = read_model_info(folder)
        source = replace(info.source, licence=LICENCE)
        write_model_info(folder, replace(info, name=STARTER, source=source))
        starter_dir().mkdir(exist_ok=True)
        for file in folder.iterdir():
            shutil.copyfile(file, starter_dir() / file.name)
    check = info.self_check
    print(f"{starter_dir()}, {check.prompt_sets} prompt sets compared: {check.differences}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

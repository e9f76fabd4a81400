"""Convert the starter's checkpoint, as any other, into the folder that ships in the package.

    python scripts/convert_starter.py

Writes what it answers to a few prompts as well: a test holds every platform against that. Runs in
the environment that ``scripts/test.py`` makes. Run it after each training.
"""

import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from skimage import data

from napari_sam2_openvino import SAM2ImagePredictor, convert, load_model
from napari_sam2_openvino.core.model_folder import read_model_info, write_model_info
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.paths import HOME_VARIABLE, starter_dir

SOURCE = Path(__file__).resolve().parent / "starter"
GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "core" / "starter_golden.npz"
LICENCE = "BSD-3-Clause"


def main() -> int:
    """Convert, name the model, and put its files in place."""
    with tempfile.TemporaryDirectory() as home:
        os.environ[HOME_VARIABLE] = home
        # Trained on single images: its memory knows nothing.
        folder = convert(
            SOURCE / "checkpoint.pt",
            f"new {STARTER}",
            config=str(SOURCE / "starter.yaml"),
            memory=False,
        )
        info = read_model_info(folder)
        source = replace(info.source, licence=LICENCE)
        # How every object is found stays as it is until tune_generator.py has run again.
        tuned = read_model_info(starter_dir()).all_objects
        write_model_info(folder, replace(info, name=STARTER, source=source, all_objects=tuned))
        starter_dir().mkdir(exist_ok=True)
        for file in folder.iterdir():
            shutil.copyfile(file, starter_dir() / file.name)
    write_golden_answers()
    check = info.self_check
    print(f"{starter_dir()}, {check.prompt_sets} prompt sets compared: {check.differences}")
    return 0


def write_golden_answers() -> None:
    """Write an image, prompts, and the masks and scores that the model in place answers in f32."""
    image = data.coins()[:150, :200]
    predictor = SAM2ImagePredictor(load_model(STARTER, precision="f32"))
    predictor.set_image(image)
    point_coords = np.array([[[44, 53]], [[155, 51]], [[45, 124]], [[20, 90]]], np.float32)
    boxes = np.array([[22, 32, 67, 76], [131, 28, 180, 75], [23, 103, 68, 145]], np.float32)
    clicked = [predictor.predict(point_coords=coords, point_labels=[1]) for coords in point_coords]
    boxed = [predictor.predict(box=box, multimask_output=False) for box in boxes]
    np.savez_compressed(
        GOLDEN,
        image=image,
        point_coords=point_coords,
        boxes=boxes,
        clicked_masks=np.packbits([masks for masks, _, _ in clicked]),
        clicked_scores=np.stack([scores for _, scores, _ in clicked]),
        boxed_masks=np.packbits([masks for masks, _, _ in boxed]),
        boxed_scores=np.stack([scores for _, scores, _ in boxed]),
    )


if __name__ == "__main__":
    sys.exit(main())

"""The files that the pages name in their commands, small, drawn and in the working folder."""

import json
from pathlib import Path

import numpy as np
import tifffile

from napari_sam2_openvino.synthetic import make_scene

HW = (64, 64)
# The pages speak of planes 12 and 20.
PLANES = 21
TABLE = "x0,y0,x1,y1\n10,10,30,30\n36,34,58,56\n"


def write_files(folder: Path, recipe: str, volume_prompts: str) -> None:
    """Write what commands and scripts of the pages open.

    Parameters
    ----------
    folder : Path
    recipe, volume_prompts : str
        What the pages show as ``session.json`` and ``prompts.json``.
    """
    image = make_scene("fluorescence", seed=1, shape=(512, 512)).image
    stack, labels = _draw_stack()
    tifffile.imwrite(folder / "image.tif", image)
    tifffile.imwrite(folder / "stack.tif", stack, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "plane.tif", labels[12])
    folder.joinpath("folder").mkdir()
    for number in (1, 2):
        tifffile.imwrite(folder / "folder" / f"image{number}.tif", stack[number + 8])
    folder.joinpath("boxes.csv").write_text(TABLE, encoding="utf-8")
    folder.joinpath("session.json").write_text(recipe, encoding="utf-8")
    # As the page has it, in an image that is smaller.
    prompts = json.loads(volume_prompts)
    for prompt in prompts["prompts"]:
        for name in {"box", "points"} & prompt.keys():
            prompt[name] = (np.asarray(prompt[name]) * 0.5).tolist()
    folder.joinpath("prompts.json").write_text(json.dumps(prompts), encoding="utf-8")


def write_labels(folder: Path) -> None:
    """Write labels and what belongs to them; the image becomes that of the labels."""
    import zarr

    stack, labels = _draw_stack()
    tifffile.imwrite(folder / "image.tif", stack, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "labels.tif", labels, metadata={"axes": "ZYX"})
    zarr.save_array(folder / "labels.zarr", labels)
    folder.joinpath("labels").mkdir()
    tifffile.imwrite(folder / "labels" / "image.tif", labels[-1])


def write_features(folder: Path) -> None:
    """Write a table of the objects of the labels."""
    table = "label,class_name\n1,cell\n2,debris\n"
    folder.joinpath("objects.csv").write_text(table, encoding="utf-8")


def _draw_stack() -> tuple[np.ndarray, np.ndarray]:
    stack = np.random.default_rng(1).integers(0, 60, (PLANES, *HW), np.uint8)
    labels = np.zeros(stack.shape, np.uint16)
    labels[4:, 12:28, 12:28], labels[2:, 36:54, 34:56] = 1, 2
    stack[labels > 0] += 150
    return stack, labels

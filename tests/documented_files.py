"""The files that the pages name in their commands, small, drawn and in the working folder."""

import json
from pathlib import Path

import numpy as np
import tifffile

from napari_sam2_openvino.synthetic import make_scene

HW = (64, 64)
# The pages speak of plane 12.
PLANES = 13
TABLE = "x0,y0,x1,y1\n10,10,30,30\n36,34,58,56\n"


def write_files(folder: Path, recipe: str, volume_prompts: str) -> None:
    """Write what commands and scripts of the pages open.

    Parameters
    ----------
    folder : Path
    recipe, volume_prompts : str
        What the pages show as ``session.json`` and ``prompts.json``.
    """
    stack = np.random.default_rng(1).integers(0, 60, (PLANES, *HW), np.uint8)
    labels = np.zeros(stack.shape, np.uint16)
    labels[4:, 12:28, 12:28], labels[2:, 36:54, 34:56] = 1, 2
    stack[labels > 0] += 150
    tifffile.imwrite(
        folder / "image.tif", make_scene("fluorescence", seed=1, shape=(512,) * 2).image
    )
    tifffile.imwrite(folder / "stack.tif", stack, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "plane.tif", labels[12], compression="zlib")
    tifffile.imwrite(folder / "labels.tif", labels, metadata={"axes": "ZYX"})
    for name in ("folder", "labels"):
        folder.joinpath(name).mkdir()
    for number in (1, 2):
        tifffile.imwrite(folder / "folder" / f"image{number}.tif", stack[number + 8])
    tifffile.imwrite(folder / "labels" / "image.tif", labels[12])
    folder.joinpath("boxes.csv").write_text(TABLE, encoding="utf-8")
    folder.joinpath("objects.csv").write_text(
        "label,class_name\n1,cell\n2,debris\n", encoding="utf-8"
    )
    folder.joinpath("session.json").write_text(recipe, encoding="utf-8")
    # As the page has it, in an image that is smaller.
    prompts = json.loads(volume_prompts)
    for prompt in prompts["prompts"]:
        prompt["plane"] = min(prompt["plane"], PLANES - 1)
        prompt.update({name: _inside(prompt[name]) for name in ("box", "points") if name in prompt})
    folder.joinpath("prompts.json").write_text(json.dumps(prompts), encoding="utf-8")


def write_for(command: str, folder: Path) -> None:
    """Write what one command needs otherwise: labels as zarr, an image of their shape."""
    import zarr

    labels = tifffile.imread(folder / "labels.tif")
    if "labels.zarr" in command and " export " in command:
        zarr.save_array(folder / "labels.zarr", labels)
    if " export " in command and "--image" in command:
        tifffile.imwrite(folder / "image.tif", tifffile.imread(folder / "stack.tif"))


def _inside(values: list) -> list:
    return (np.asarray(values) * 0.5).tolist()

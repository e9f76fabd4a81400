"""Which operations to leave alone when a model is quantized: measured on the starter.

    python scripts/quantization_study.py --out runs/quantization
    python scripts/quantization_study.py --out runs/quantization --write
    python scripts/quantization_study.py --out runs/quantization --write --only presets

The second also puts the tables into the documentation; the third only the shorter one, within
minutes. Each recipe is calibrated on images that the
starter was trained with and judged on held-out ones, by the same comparison that every quantization
ends with. Recipes that were judged before with the same weights are not judged again, so it can be
stopped and run again. Run it after each training of the starter. Needs the environment that
``scripts/test.py`` makes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from napari_sam2_openvino.comparison.compare import compare_folders
from napari_sam2_openvino.conversion.quantize_graphs import write_quantized_graphs
from napari_sam2_openvino.conversion.recipes import PRESETS, Recipe
from napari_sam2_openvino.core.model_content import content_hash
from napari_sam2_openvino.core.model_folder import (
    PARAMETERS_FILE,
    read_model_info,
    write_model_info,
)
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.paths import starter_dir
from napari_sam2_openvino.synthetic import KINDS, Scene, make_scene
from starter.examples import FIRST_TRAINING_SEED
from starter.held_out import DIFFICULTIES, SIDE, held_out_scenes

PAGE = Path(__file__).resolve().parent.parent / "docs" / "quantization.md"
STUDY_IMAGES_PER_KIND = 2
PRESET_IMAGES_PER_KIND = 2
EVERYTHING = Recipe()
STUDY: dict[str, Recipe] = {
    "weights of both graphs": PRESETS["safe"],
    "weights of the encoder": replace(PRESETS["safe"], decoder_weights=False),
    "full INT8, nothing left alone": EVERYTHING,
    **{
        f"left alone: {', '.join(kept)}": replace(EVERYTHING, kept=kept)
        for kept in (
            ("attention",),
            ("patch embedding",),
            ("stage transitions",),
            ("neck",),
            ("high-resolution features",),
            ("MLP outputs",),
            ("neck", "high-resolution features"),
            ("attention", "neck", "high-resolution features"),
        )
    },
    "SmoothQuant 0.5": replace(EVERYTHING, smooth_quant=0.5),
    "SmoothQuant 0.95": replace(EVERYTHING, smooth_quant=0.95),
    "decoder's weights too": replace(EVERYTHING, decoder_weights=True),
    "4 calibration images": replace(EVERYTHING, most_images=4),
}
COLUMNS = (
    "recipe",
    "mask IoU with f32",
    "clicks",
    "boxes",
    "lowest twentieth",
    "masks lost",
    "IoU lost against ground truth",
    "cosine of embedding, features 0, 1",
    "encode",
    "files",
)


def main() -> None:
    """Judge what was not judged yet, and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--model", type=Path, default=starter_dir(), help="folder of a model")
    parser.add_argument("--study-images", type=int, default=STUDY_IMAGES_PER_KIND)
    parser.add_argument("--preset-images", type=int, default=PRESET_IMAGES_PER_KIND)
    parser.add_argument("--only", choices=("study", "presets"), help="one of the two tables")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    options = parser.parse_args()
    for title, recipes, count in (
        ("study", STUDY, options.study_images),
        ("presets", PRESETS, options.preset_images),
    ):
        if options.only not in (None, title):
            continue
        results = {
            name: judged(options.model, recipe, count, options.out)
            for name, recipe in recipes.items()
        }
        table = as_table(results, count)
        print(table)
        if options.write:
            write_into_page(title, table)


def judged(model: Path, recipe: Recipe, images_per_kind: int, out: Path) -> dict[str, Any]:
    """Return the report of a recipe, from an earlier run if there is one."""
    key = {
        "model": content_hash(model),
        "recipe": asdict(recipe),
        "images_per_kind": images_per_kind,
    }
    for path in out.glob("*.json"):
        found = json.loads(path.read_text())
        if found["key"] == json.loads(json.dumps(key)):
            report: dict[str, Any] = found["report"]
            return report
    out.mkdir(parents=True, exist_ok=True)
    folder = out / "model"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    make(model, recipe, folder)
    count = images_per_kind * len(DIFFICULTIES) * len(KINDS)
    report = compare(model, folder, count, images_per_kind)
    number = sum(1 for _ in out.glob("*.json"))
    (out / f"{number:03}.json").write_text(json.dumps({"key": key, "report": report}, indent=2))
    shutil.rmtree(folder)
    return report


def make(model: Path, recipe: Recipe, folder: Path) -> None:
    """Quantize by a recipe."""
    info = read_model_info(model)
    images = [partial(lambda scene: to_rgb(scene.image), scene) for scene in training_scenes()]
    for progress in write_quantized_graphs(model, folder, recipe, images, info.config.image_size):
        print(f"{progress.stage} {progress.detail}", flush=True)
    shutil.copyfile(model / PARAMETERS_FILE, folder / PARAMETERS_FILE)
    write_model_info(folder, replace(info, weights="int8"))


def training_scenes() -> Iterator[Scene]:
    """Return a scene of every kind and difficulty."""
    for difficulty in DIFFICULTIES.values():
        for number, kind in enumerate(KINDS):
            seed = FIRST_TRAINING_SEED + number
            yield make_scene(kind, seed, shape=(SIDE, SIDE), difficulty=difficulty)


def compare(model: Path, folder: Path, count: int, images_per_kind: int) -> dict[str, Any]:
    """Compare a quantized model with its original on held-out images."""

    def scenes() -> Iterator[Scene]:
        for difficulty in DIFFICULTIES:
            yield from held_out_scenes(difficulty, images_per_kind)

    pairs = _Pairs(scenes())
    steps = compare_folders(
        (model, folder), pairs.images(), pairs.labels(), most_images=count, measures_memory=False
    )
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            report: dict[str, Any] = end.value.as_dict()
            return report
        print(f"{progress.stage} {progress.detail} of {count}", flush=True)


class _Pairs:
    """Images and labels of scenes that are made once; asked for in turns."""

    def __init__(self, scenes: Iterator[Scene]) -> None:
        self._scenes = scenes
        self._scene: Scene | None = None

    def images(self) -> Iterator[Any]:
        """Give the image of the next scene."""
        for scene in self._scenes:
            self._scene = scene
            yield scene.image

    def labels(self) -> Iterator[Any]:
        """Give the labels of the scene whose image was given last, until there is none."""
        while True:
            scene, self._scene = self._scene, None
            if scene is None:
                return
            yield scene.labels


def as_table(results: dict[str, dict[str, Any]], images_per_kind: int) -> str:
    """Write results as a Markdown table; the first row is the original as it is used."""
    any_result = next(iter(results.values()))
    rows = [_row(f"original, {any_result['a']['precision']}", any_result, "a")]
    rows += [_row(name, report, "b") for name, report in results.items()]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    truth = any_result["reference_truth"]
    return "\n".join(
        [
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            f"{any_result['images']} held-out images ({images_per_kind} of each kind and "
            f"difficulty), {any_result['prompts']} prompts; the IoU of f32 with the ground truth "
            f"is {truth:.4f}. {', '.join(' '.join(v) for v in any_result['versions'].items())}.",
        ]
    )


def _row(name: str, report: dict[str, Any], side: str) -> tuple[str, ...]:
    figures, masks = report[side], report[side]["masks"]
    speed_up = report["a"]["encode_seconds"] / figures["encode_seconds"]
    return (
        name,
        f"{masks['mean']:.4f}",
        f"{masks['mean_of_points']:.4f}",
        f"{masks['mean_of_boxes']:.4f}",
        f"{masks['twentieth']:.3f}",
        f"{100 * masks['lost']:.1f} %",
        f"{report['reference_truth'] - masks['truth']:+.4f}",
        ", ".join(f"{cosine:.4f}" for cosine in figures["cosines"]),
        f"{1e3 * figures['encode_seconds']:.0f} ms, {speed_up:.2f} x",
        f"{figures['size'] / 1e6:.1f} MB",
    )


def write_into_page(title: str, table: str) -> None:
    """Replace what stands between the marks of a table in the documentation."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {title} -->\n", f"<!-- end of {title} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n{table}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Whether our masks are those of PyTorch."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.parity import IMAGE_SIZES, Comparison, compare
from tests.reference import reference_predictor

from benchmarks.models import SEED, model_folder, reference_model
from napari_sam2_openvino import load_model
from napari_sam2_openvino.core.model import Sam2Model


def parity(name: str, sets_per_image: int, home: Path) -> bool:
    """Compare a model with PyTorch and print each set that differs; return whether all passed.

    Images that were compared in an earlier run with the same folder are not compared again.
    """
    reference = reference_model(name)
    engine = load_model(model_folder(name, reference, memory=False), precision="f32")
    results = list(_results(name, reference, engine, sets_per_image, home))
    for result in results:
        if not result.passed:
            print(_line(result))
    failed = [result for result in results if not (result.passed or result.tie)]
    ties = [result for result in results if result.tie and not result.passed]
    print(
        f"{name} ({engine.precision}): {len(results)} prompt sets, "
        f"{len(results) - len(failed) - len(ties)} agree, {len(ties)} differ by a tie, "
        f"{len(failed)} fail; smallest pixel agreement "
        f"{min(r.pixel_agreement for r in results if not r.tie):.5f}, largest score difference "
        f"{max(r.score_difference for r in results if not r.tie):.1e}, largest difference of "
        f"low-resolution logits {max(r.low_res_difference for r in results if not r.tie):.1e}"
    )
    return not failed


def _results(
    name: str, reference: Any, engine: Sam2Model, sets_per_image: int, home: Path
) -> Iterator[Comparison]:
    """Give every comparison; what is complete of an image is kept in a file."""
    path = home / f"parity {name}, {sets_per_image} sets.json"
    kept: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    yield from (Comparison(**each) for each in kept)
    n_images = len(kept) // sets_per_image
    predictor = reference_predictor(reference)
    for result in compare(predictor, engine, SEED, IMAGE_SIZES, sets_per_image, n_images):
        yield result
        kept.append(asdict(result))
        if len(kept) % sets_per_image == 0:
            path.write_text(json.dumps(kept))
            print(f"{name}: {result.image} compared", flush=True)


def _line(result: Comparison) -> str:
    why = "tie" if result.tie else "FAIL"
    return (
        f"  {why}: {result.image}, {result.kind}: pixels {result.pixel_agreement:.5f}, "
        f"score {result.score_difference:.1e}"
    )

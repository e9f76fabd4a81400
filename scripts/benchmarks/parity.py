"""Whether our masks are those of PyTorch."""

from tests.parity import IMAGE_SIZES, Comparison, compare
from tests.reference import reference_predictor

from benchmarks.models import SEED, model_folder, reference_model
from napari_sam2_openvino import load_model


def parity(name: str, sets_per_image: int) -> bool:
    """Compare a model with PyTorch and print each set that differs; return whether all passed."""
    reference = reference_model(name)
    engine = load_model(model_folder(name, reference), precision="f32")
    results = []
    for result in compare(
        reference_predictor(reference), engine, SEED, IMAGE_SIZES, sets_per_image
    ):
        results.append(result)
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


def _line(result: Comparison) -> str:
    why = "tie" if result.tie else "FAIL"
    return (
        f"  {why}: {result.image}, {result.kind}: pixels {result.pixel_agreement:.5f}, "
        f"score {result.score_difference:.1e}"
    )

"""A comparison as a page that people read."""

import math

from napari_sam2_openvino.comparison.figures import ComparisonReport, SideFigures, WorstCase

_MEGABYTE = 1e6


def table_rows(report: ComparisonReport) -> list[tuple[str, ...]]:
    """Return the table of a report: what, of the original, of the other model; a header first."""
    a, b = report.a, report.b
    rows: list[tuple[str, ...]] = [
        ("", a.name, b.name),
        ("weights, precision", *(f"{side.weights}, {side.precision}" for side in (a, b))),
        ("device", a.device, b.device),
        ("files", *(f"{side.size / _MEGABYTE:.1f} MB" for side in (a, b))),
        ("peak memory", *(_memory(side) for side in (a, b))),
        ("encode, median", *(f"{side.encode_seconds:.3f} s" for side in (a, b))),
        ("click, median", *(f"{1e3 * side.decode_seconds:.0f} ms" for side in (a, b))),
        ("cosine of embedding, features 0, features 1", *(_cosines(side) for side in (a, b))),
        ("mask IoU, mean", *(_number(side.masks.mean) for side in (a, b))),
        ("mask IoU, clicks", *(_number(side.masks.mean_of_points) for side in (a, b))),
        ("mask IoU, boxes", *(_number(side.masks.mean_of_boxes) for side in (a, b))),
        ("mask IoU, lowest twentieth", *(_number(side.masks.twentieth) for side in (a, b))),
        ("masks lost (IoU below 0.5)", *(f"{100 * side.masks.lost:.1f} %" for side in (a, b))),
        ("change of predicted IoU, mean", *(_number(s.iou_prediction_change) for s in (a, b))),
    ]
    if not math.isnan(report.reference_truth):
        rows.append(("IoU with ground truth", *(_number(side.masks.truth) for side in (a, b))))
    return rows


def as_markdown(report: ComparisonReport) -> str:
    """Write a report as Markdown: the advice, one table, the worst masks."""
    header, *rows = table_rows(report)
    lines = [f"# {report.b.name} compared with {report.a.name}", "", report.advice.sentence, ""]
    lines += [f"| {' | '.join(row)} |" for row in (header, ("---",) * 3, *rows)]
    lines += ["", measured_on(report), ""]
    if report.worst:
        lines += [
            "## Worst masks",
            "",
            "Left the image, then the reference's mask, then the new.",
            "",
        ]
    for case in report.worst:
        lines += [caption(case), ""]
        lines += [f"![]({case.picture})", ""]
    return "\n".join(lines)


def caption(case: WorstCase) -> str:
    """Say what a picture shows."""
    return f"Image {case.image + 1}, {case.kind}, IoU {case.iou:.3f}"


def measured_on(report: ComparisonReport) -> str:
    """Say what was compared, and with what."""
    truth = report.reference_truth
    of_reference = "" if math.isnan(truth) else f" Its IoU with the ground truth is {truth:.3f}."
    versions = ", ".join(f"{name} {value}" for name, value in report.versions.items())
    return (
        f"{report.images} images, {report.prompts} prompts from "
        f"{'labels' if report.prompts_from == 'labels' else 'a grid'}. Masks, cosines and scores "
        f"are compared with {report.a.name} in f32.{of_reference} {versions}."
    )


def _memory(side: SideFigures) -> str:
    return "-" if side.peak_memory is None else f"{side.peak_memory / _MEGABYTE:.0f} MB"


def _cosines(side: SideFigures) -> str:
    return "-" if side.cosines is None else ", ".join(f"{each:.4f}" for each in side.cosines)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"

"""A slider moves and the labels follow: what that takes with thousands of candidates."""

import statistics
import time

import numpy as np

from benchmarks.gaps import GapMeter
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.rle import MaskRuns

SIDE = 2048
EXISTING = 200
# Where a slider goes: small steps, and from one end to the other.
MOVES = (0.5, 0.52, 0.54, 0.9, 0.1, 0.6, 0.0, 0.3, 0.95, 0.05, 0.5, 0.48, 0.46, 0.0)


def draw_candidates(count: int, seed: int = 0) -> Candidates:
    """Return ellipses of 12 to 60 pixels in radius on a plane of `SIDE`, of all scores."""
    rng = np.random.default_rng(seed)
    masks, points = [], []
    for _ in range(count):
        (a, b), turn, (y, x) = (
            rng.uniform(12, 60, 2),
            rng.uniform(0, np.pi),
            rng.uniform(0, SIDE, 2),
        )
        reach = int(max(a, b)) + 1
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        rows, columns = np.ogrid[top : min(SIDE, int(y) + reach), left : min(SIDE, int(x) + reach)]
        along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
        across = (rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)
        masks.append(MaskRuns.from_mask((along / a) ** 2 + (across / b) ** 2 <= 1, (top, left)))
        points.append((x, y))
    return Candidates(
        image_hw=(SIDE, SIDE),
        masks=tuple(masks),
        boxes=np.array([mask.box for mask in masks], np.float32),
        iou_predictions=rng.random(count).astype(np.float32),
        stability_scores=rng.uniform(0.5, 1, count).astype(np.float32),
        point_coords=np.array(points, np.float32),
        crop_boxes=np.tile(np.float32([0, 0, SIDE, SIDE]), (count, 1)),
        areas=np.array([mask.area for mask in masks], np.int64),
    )


def sliders(count: int) -> None:
    """Print how long labels take to follow sliders, in a real window, and what a commit takes."""
    import napari

    from napari_sam2_openvino._session.object_search import Found
    from napari_sam2_openvino._session.places import View
    from napari_sam2_openvino.core.object_parameters import CandidateFilter

    viewer = napari.Viewer()
    rng = np.random.default_rng(1)
    viewer.add_image(rng.integers(0, 255, (SIDE, SIDE)).astype(np.uint8), name="image")
    existing = np.zeros((SIDE, SIDE), np.uint16)
    for number, (row, column) in enumerate(rng.integers(0, SIDE - 20, (EXISTING, 2)), start=1):
        existing[row : row + 20, column : column + 20] = number
    target = viewer.add_labels(existing, name="target")
    meter = GapMeter()
    meter.watch_for(3)
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam2-openvino", "SAM 2 Segment")
    finder, tab, session = widget.finder, widget.all_objects_tab, widget.annotator.session
    widget.choices.target_combo.value = target
    meter.watch(lambda: not session.is_busy and session.engine is not None and session.source)
    tab.reset_button.click()
    tab.filter_form.value = CandidateFilter(0, 0.5)
    tab._on_changed(None)
    view = View(session.engine.key, session.source.key)
    found = Found(view, draw_candidates(count), CandidateFilter(0, 0))
    started = time.perf_counter()
    finder.search.memory.put(found)
    finder.search.found.emit(found)
    meter.watch(lambda: finder.sifted is not None)
    print(
        f"{count} candidates are shown first after {1e3 * (time.perf_counter() - started):.0f} ms"
    )
    for name in ("pred_iou_thresh", "stability_score_thresh", "box_nms_thresh", "max_overlap"):
        tab.filter_form.value = CandidateFilter(0, 0.5)
        _follow(finder, tab, name, MOVES, meter)
    tab.filter_form.value = CandidateFilter(0, 0.5, remove_background=True)
    _follow(finder, tab, "pred_iou_thresh", MOVES, meter)
    tab.filter_form.value = CandidateFilter(0.85, 0.5)
    tab._on_changed(None)
    meter.watch(lambda: finder.is_settled)
    meter.watch_for(0.3)
    before, n_objects = target.data.copy(), finder.n_objects
    started = time.perf_counter()
    widget.verbs["commit_found"]()
    gap = meter.watch(lambda: finder.is_settled and (target.data != before).any())
    print(
        f"commit of {n_objects} objects {time.perf_counter() - started:.2f} s with their measures, "
        f"longest gap of the main thread {1e3 * gap:.0f} ms"
    )
    viewer.close()


def _follow(finder, tab, name, moves, meter) -> None:  # type: ignore[no-untyped-def]
    """Move one slider from place to place; print how long the labels took."""
    seconds, gaps, shown = [], [], []
    # What is looked up once, such as which masks overlap, is looked up at the first move.
    for number, value in enumerate((*moves[:1], *moves)):
        before = finder.sifted
        started = time.perf_counter()
        tab.filter_form.entries[name].value = value
        # A value that it has already is told to nobody.
        end = started + 2
        gap = meter.watch(
            lambda before=before, end=end: finder.sifted is not before or time.perf_counter() > end
        )
        if number and finder.sifted is not before:
            seconds.append(time.perf_counter() - started)
            gaps.append(gap)
            shown.append(finder.n_objects)
        meter.watch_for(0.1)
    print(
        f"{name}: labels follow within {1e3 * statistics.median(seconds):.0f} ms (median of "
        f"{len(seconds)} moves, at most {1e3 * max(seconds):.0f}), {min(shown)} to {max(shown)} "
        f"objects, longest gap of the main thread {1e3 * max(gaps):.0f} ms",
        flush=True,
    )

"""A stack larger than the cache: encoded in the background while the widget is used."""

import resource
import time
from pathlib import Path

import numpy as np

from benchmarks.gaps import GapMeter
from napari_sam2_openvino.synthetic import make_scene

SHAPE = (2048, 2048)
TILE = 512
EVERY = 25
MEMORY_BYTES = 60 * 10**6


def ahead(n_planes: int, folder: Path) -> None:
    """Print memory and the main thread's gaps while a zarr stack is encoded ahead."""
    import napari
    import zarr

    image = _make(zarr, folder / "stack.zarr", n_planes)
    viewer = napari.Viewer()
    viewer.add_image(image, name="stack", contrast_limits=(0, 20000))
    meter = GapMeter()
    meter.watch_for(3)
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam2-openvino", "SAM 2 Segment")
    session, rng = widget.annotator.session, np.random.default_rng(0)
    # Exceeded before the first hundred planes, so that memory is seen to stay flat after that.
    widget._embeddings.max_bytes = MEMORY_BYTES
    widget.verbs["draw_points"]()
    meter.watch(lambda: not session.is_busy and session.source is not None)
    started, waits, gaps, told = time.perf_counter(), [], [], 0
    while len(session.ready) < n_planes:
        gaps.append(meter.watch_for(1))
        if len(session.ready) >= told:
            told += EVERY
            waits.append(_click(widget, meter, rng, viewer.dims.point[0]))
            print(
                f"{len(session.ready)} of {n_planes} planes ready after "
                f"{time.perf_counter() - started:.0f} s, resident {_resident():.0f} MB, click to "
                f"preview {1e3 * waits[-1]:.0f} ms, longest gap {1e3 * max(gaps):.0f} ms",
                flush=True,
            )
            gaps = []
    viewer.close()


def _make(zarr: object, path: Path, n_planes: int) -> object:
    tile = make_scene("fluorescence", seed=1, shape=(TILE, TILE)).image
    plane = np.tile(tile, (SHAPE[0] // TILE, SHAPE[1] // TILE)).astype(np.uint16)
    array = zarr.create_array(  # type: ignore[attr-defined]
        path, shape=(n_planes, *SHAPE), chunks=(1, 512, 512), dtype="uint16"
    )
    for index in range(n_planes):
        # Each plane has its own content, or one embedding would do for all.
        array[index] = np.roll(plane, 7 * index, axis=1)
    return array


def _click(widget: object, meter: GapMeter, rng: np.random.Generator, plane: float) -> float:
    annotator = widget.annotator  # type: ignore[attr-defined]
    widget.verbs["clear"]()  # type: ignore[attr-defined]
    meter.watch_for(0.1)
    y, x = rng.integers(100, SHAPE[0] - 100, 2)
    started = time.perf_counter()
    annotator.drafting.layers.points.add([plane, y, x])
    meter.watch(lambda: any(annotator.session.answer(key) for key in annotator.drawn))
    return time.perf_counter() - started


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6

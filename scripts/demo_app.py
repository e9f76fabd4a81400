"""What ``demo.py`` runs inside its environment: the window, a picture of it, or no window at all.

Its own imports are the standard library's, so that ``demo.py`` can read the arguments too.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2_openvino.core.types import Prompts

PLUGIN = "napari-sam2-openvino"
WIDGET = "SAM 2 Segment"
SAMPLE = "nuclei"
ANSWER_SECONDS = 60
OUTPUT = Path(__file__).resolve().parent.parent / "build" / "demo"


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the demo."""
    parser = argparse.ArgumentParser(
        prog="demo.py", description="Show the plugin at work on a bundled sample image."
    )
    parser.add_argument(
        "--headless", action="store_true", help="segment the sample without a window"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        metavar="DIR",
        help="where --headless writes the labels and a picture (default: %(default)s)",
    )
    parser.add_argument(
        "--screenshot",
        type=Path,
        metavar="FILE",
        help="open the window, segment an object, save a picture of the window and close it",
    )
    return parser.parse_args(arguments)


@dataclass(frozen=True, eq=False)
class Result:
    """What the model made of one example prompt."""

    obj_id: int
    mask: "NDArray[np.bool_]"
    iou: float
    seconds: float


def segment_sample(output: Path) -> None:
    """Segment the sample from its example prompts; write the outcome and print how good it is.

    Parameters
    ----------
    output : Path
        Folder for ``labels.tif`` and ``overlay.png``.
    """
    from napari_sam2_openvino import SAM2ImagePredictor, load_model
    from napari_sam2_openvino._sample_data import example_prompts, nuclei

    (image, _, _), (ground_truth, _, _) = nuclei()
    prompts = example_prompts(ground_truth, count=int(ground_truth.max()))
    start = perf_counter()
    model = load_model("starter")
    loaded = perf_counter()
    predictor = SAM2ImagePredictor(model)
    predictor.set_image(image)
    encoded = perf_counter()
    results = [
        segment_object(predictor, obj_id, prompts[obj_id], ground_truth) for obj_id in prompts
    ]
    labels_file, picture_file = write_results(output, image, results, prompts)
    ious = [result.iou for result in results]
    height, width = image.shape[:2]
    print(f"image        {SAMPLE}, {width} x {height} pixels, {image.dtype}")
    print(f"model        {model.name}, {model.device}, {model.precision}")
    print(f"prompts      one click on each of {len(results)} objects")
    print(f"IoU          mean {mean(ious):.3f}, median {median(ious):.3f}, lowest {min(ious):.3f}")
    print(f"load         {loaded - start:.2f} s")
    print(f"encode       {encoded - loaded:.2f} s")
    print(f"decode       {1000 * median(result.seconds for result in results):.0f} ms per object")
    print(f"labels       {labels_file}")
    print(f"picture      {picture_file}")


def segment_object(
    predictor: Any, obj_id: int, prompts: "Prompts", ground_truth: "NDArray[Any]"
) -> Result:
    """Predict one object and compare it with the ground truth."""
    start = perf_counter()
    prediction = predictor.predict_prompts(prompts)
    seconds = perf_counter() - start
    mask = prediction.masks[prediction.best]
    truth = ground_truth == obj_id
    iou = (mask & truth).sum() / (mask | truth).sum()
    return Result(obj_id, mask, float(iou), seconds)


def write_results(
    output: Path, image: "NDArray[Any]", results: list[Result], prompts: "dict[int, Prompts]"
) -> tuple[Path, Path]:
    """Write the labels as TIFF, and a picture of masks and clicks over the image as PNG."""
    import numpy as np
    import tifffile
    from PIL import Image, ImageDraw
    from skimage.color import label2rgb
    from skimage.segmentation import find_boundaries

    from napari_sam2_openvino.core.normalize import to_rgb

    labels = np.zeros(image.shape[:2], np.uint16)
    for result in results:
        labels[result.mask & (labels == 0)] = result.obj_id
    output.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(output / "labels.tif", labels, compression="zlib")

    colours = label2rgb(labels, to_rgb(image), alpha=0.3, bg_label=0)
    colours[find_boundaries(labels, mode="inner")] = (1.0, 0.9, 0.2)
    picture = Image.fromarray((colours * 255).astype(np.uint8))
    picture = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    for result in results:
        x, y = prompts[result.obj_id].point_coords[0]
        # Twice as large, and a pixel's centre is half a pixel from its corner.
        draw.circle((2 * x + 1, 2 * y + 1), 4, fill="white", outline="black")
    picture.save(output / "overlay.png")
    return output / "labels.tif", output / "overlay.png"


def open_window(screenshot: Path | None) -> None:
    """Open napari on the sample with the plugin docked.

    Parameters
    ----------
    screenshot : Path or None
        Where to save a picture of the window with one object segmented; the window closes then.
        None leaves the window to the user.
    """
    import napari

    viewer = napari.Viewer(title=f"napari - {PLUGIN}")
    viewer.window.resize(1240, 900)
    viewer.open_sample(PLUGIN, SAMPLE)
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    if screenshot is None:
        napari.run()
        return
    segment_in_window(viewer, widget)
    # The canvas has been narrowed by the dock, and the panel has yet to be laid out anew.
    viewer.reset_view()
    wait_for(lambda: False, seconds=0.5)
    screenshot.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(screenshot), canvas_only=False, flash=False)
    viewer.close()
    print(screenshot)


def segment_in_window(viewer: Any, widget: Any) -> None:
    """Click on some objects as a user would, commit all but the last and leave that one on show.

    Parameters
    ----------
    viewer : napari.Viewer
        With the sample open.
    widget : SegmentWidget
        As docked.
    """
    from napari_sam2_openvino._sample_data import example_prompts

    ground_truth = viewer.layers[1].data
    annotator = widget.annotator
    widget.verbs["draw_points"]()
    *earlier, last = example_prompts(ground_truth, count=6).values()
    for prompts in (*earlier, last):
        annotator.drafting.layers.points.add(prompts.point_coords[0, ::-1])
        if not wait_for(lambda: has_mask(annotator), ANSWER_SECONDS):
            sys.exit(f"There was no mask after {ANSWER_SECONDS} s.")
        if prompts is not last:
            widget.verbs["commit"]()


def has_mask(annotator: Any) -> bool:
    """Return whether what is drawn has its mask."""
    drawn = annotator.drawn
    return bool(drawn) and all(annotator.session.answer(key) is not None for key in drawn)


def wait_for(is_there: Callable[[], bool], seconds: float) -> bool:
    """Keep the window alive until something is there or the time is up; return whether it is."""
    from qtpy.QtWidgets import QApplication

    end = perf_counter() + seconds
    while not is_there() and perf_counter() < end:
        QApplication.processEvents()
        sleep(0.01)
    return is_there()


def main(arguments: list[str]) -> None:
    """Run the demo."""
    options = parse_arguments(arguments)
    if options.headless:
        segment_sample(options.output)
    else:
        open_window(options.screenshot)


if __name__ == "__main__":
    main(sys.argv[1:])

"""The widget with the model that ships, in its real worker thread."""

import time
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QTimer

from napari_sam2_openvino import _sample_data
from napari_sam2_openvino._qt.segment_widget import SegmentWidget
from napari_sam2_openvino._session.engines import Sam2Engine
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino.core.errors import JobCancelledError


@pytest.fixture
def sample(make_napari_viewer: Any, sam2_home: Any) -> Any:
    # Embeddings on disk are this test's own.
    assert not sam2_home.exists()
    viewer = make_napari_viewer()
    viewer.open_sample("napari-sam2-openvino", "nuclei")
    return viewer


def dock(viewer: Any, **options: Any) -> Any:
    widget = SegmentWidget(viewer, **options)
    viewer.window.add_dock_widget(widget, name="SAM 2 Segment")
    return widget


def test_clicks_on_the_sample_become_its_objects(sample: Any, qtbot: Any) -> None:
    widget = dock(sample)
    annotator = widget.annotator
    truth = sample.layers["nuclei ground truth"].data
    widget.verbs["draw_points"]()
    ious = []
    for obj_id, prompts in _sample_data.example_prompts(truth, count=4).items():
        annotator.drafting.layers.points.add(prompts.point_coords[0, ::-1])
        qtbot.waitUntil(
            lambda: bool(annotator.drawn) and annotator.session.is_settled, timeout=30_000
        )
        widget.verbs["commit"]()
        found = sample.layers["nuclei objects"].data == len(ious) + 1
        ious.append((found & (truth == obj_id)).sum() / (found | (truth == obj_id)).sum())
        qtbot.wait(20)
    # That the model is good is tested elsewhere; that x and y are right shows here.
    assert np.median(ious) > 0.5
    annotator.close()


def test_the_window_goes_on_while_an_image_is_encoded_and_cancel_ends_it(
    sample: Any, qtbot: Any
) -> None:
    began: list[float] = []
    ended: list[float] = []

    class SlowEngine(Sam2Engine):
        """Encodes the image again and again, as a model does that is a hundred times as large."""

        def encode(self, rgb: Any, *, cancelled: Any) -> Any:
            began.append(time.perf_counter())
            end = began[-1] + 60
            try:
                while time.perf_counter() < end:
                    embedding = super().encode(rgb, cancelled=cancelled)
            except JobCancelledError:
                ended.append(time.perf_counter())
                raise
            return embedding

    widget = dock(sample, load_engine=SlowEngine)
    session = widget.annotator.session
    qtbot.waitUntil(lambda: bool(began), timeout=30_000)
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(10)
    qtbot.waitUntil(lambda: len(ticks) > 20, timeout=30_000)
    timer.stop()
    # The window answered all that while, since the encode has not ended.
    assert session.state is State.ENCODING
    asked = time.perf_counter()
    widget.cancel_button.click()
    qtbot.waitUntil(lambda: bool(ended), timeout=30_000)
    # By itself it would go on for a minute.
    assert ended[0] - asked < 10
    assert session.state is State.CANCELLED
    widget.annotator.close()

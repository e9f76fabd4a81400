"""Threads, and the dialog that waits for one."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from qtpy.QtWidgets import QWidget

from napari_sam2_openvino._qt.convert_dialog import ConvertDialog
from napari_sam2_openvino._qt.jobs import ComputeWorker, LongJob
from napari_sam2_openvino.core.errors import ConversionError, JobCancelledError
from napari_sam2_openvino.core.progress import Progress


def said(dialog: ConvertDialog) -> str:
    """Return the sentence that a dialog shows."""
    return str(dialog.progress.message_label.text())


class FakeConversion:
    """Reports until it is cancelled, fails or ends."""

    def __init__(self, *, error: Exception | None = None, endless: bool = False) -> None:
        self.error = error
        self.endless = endless
        self.ended = threading.Event()
        self._cancelled = threading.Event()

    def run(self) -> Iterator[Progress]:
        try:
            yield Progress("Reading the checkpoint", 0.25, "1 of 4 MB")
            while self.endless:
                if self._cancelled.wait(0.005):
                    raise JobCancelledError("The conversion was cancelled.")
                yield Progress("Converting")
            if self.error is not None:
                raise self.error
        finally:
            self.ended.set()

    def cancel(self) -> None:
        self._cancelled.set()
        self.ended.wait(30)


@pytest.fixture
def worker(qapp: Any) -> Iterator[ComputeWorker]:  # noqa: ARG001
    worker = ComputeWorker()
    yield worker
    worker.close()


def test_jobs_run_elsewhere_one_by_one_and_outcomes_arrive_here(
    worker: ComputeWorker, qtbot: Any
) -> None:
    running: list[int] = []
    seen: list[Any] = []

    def job(number: int) -> Any:
        running.append(number)
        assert len(running) == 1
        time.sleep(0.01)
        running.remove(number)
        if number == 2:
            # What OpenVINO raises, and what other workers lose.
            raise RuntimeError("number 2")
        return number, threading.current_thread()

    for number in range(4):
        worker(
            lambda number=number: job(number),
            lambda value: seen.append((value, threading.current_thread())),
            lambda error: seen.append((error, threading.current_thread())),
        )
    qtbot.waitUntil(lambda: len(seen) == 4, timeout=30_000)
    assert {thread for _, thread in seen} == {threading.main_thread()}
    outcomes = [outcome for outcome, _ in seen]
    assert str(outcomes[2]) == "number 2"
    assert [outcomes[i][0] for i in (0, 1, 3)] == [0, 1, 3]
    assert {outcomes[i][1] for i in (0, 1, 3)}.isdisjoint({threading.main_thread()})


def test_nothing_arrives_after_close(worker: ComputeWorker, qtbot: Any) -> None:
    seen: list[Any] = []
    go_on = threading.Event()
    worker(lambda: go_on.wait(60), seen.append, seen.append)
    worker(lambda: seen.append("second job ran"), seen.append, seen.append)
    worker.close()
    go_on.set()
    qtbot.wait(50)
    assert seen == []


def test_a_long_job_tells_how_it_ends(qtbot: Any) -> None:
    for error, expected in ((None, "succeeded"), (RuntimeError("boom"), "failed")):
        job = LongJob(FakeConversion(error=error))
        with qtbot.waitSignals([job.progressed, getattr(job, expected)], timeout=30_000):
            job.start()


def open_dialog(qtbot: Any, conversion: FakeConversion) -> tuple[ConvertDialog, list[Any]]:
    asked: list[Any] = []

    def make_job(*arguments: Any) -> FakeConversion:
        asked.append(arguments)
        return conversion

    parent = QWidget()
    qtbot.addWidget(parent)
    dialog = ConvertDialog(parent, make_job=make_job)
    dialog.show()
    # Who holds the dialog holds its parent.
    dialog.owner = parent
    return dialog, asked


def test_the_dialog_converts_a_file_and_tells_the_new_models_name(qtbot: Any) -> None:
    dialog, asked = open_dialog(qtbot, FakeConversion())
    dialog.checkpoint_combo.setCurrentText("/data/my cells/tiny é.pt")
    assert dialog.name_edit.text() == "tiny é"
    dialog.size_spin.setValue(512)
    with qtbot.waitSignal(dialog.converted, timeout=30_000) as signal:
        dialog.convert_button.click()
        assert not dialog.convert_button.isEnabled()
    assert signal.args == ["tiny é"]
    assert asked == [("/data/my cells/tiny é.pt", "tiny é", None, 512)]
    assert "tiny é is ready" in said(dialog)
    assert dialog.convert_button.isEnabled()


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("sam2.1_hiera_tiny", "sam2.1_hiera_tiny"),
        ("/data/my cells/tiny é.v2.pt", "tiny é.v2"),
        (r"C:\Users\me\tiny é.pt", "tiny é"),
        ("C:/Users/me/tiny.pt", "tiny"),
    ],
)
def test_a_name_is_suggested_until_the_user_types_one(qtbot: Any, typed: str, name: str) -> None:
    dialog, _ = open_dialog(qtbot, FakeConversion())
    dialog.checkpoint_combo.setCurrentText(typed)
    assert dialog.name_edit.text() == name
    dialog.name_edit.clear()
    qtbot.keyClicks(dialog.name_edit, "mine")
    dialog.checkpoint_combo.setCurrentText("/other.pt")
    assert dialog.name_edit.text() == "mine"


def test_the_dialog_tells_the_share_and_an_estimate(qtbot: Any, monkeypatch: Any) -> None:
    now = [100.0]
    monkeypatch.setattr("napari_sam2_openvino._qt.job_progress.monotonic", lambda: now[0])
    conversion = FakeConversion(endless=True)
    dialog, _ = open_dialog(qtbot, conversion)
    dialog.checkpoint_combo.setCurrentText("a.pt")
    dialog.convert_button.click()
    qtbot.waitUntil(lambda: said(dialog) == "Converting …", timeout=30_000)
    assert not dialog.progress.progress_bar.isTextVisible()
    conversion.cancel()
    qtbot.waitUntil(lambda: not dialog.is_running, timeout=30_000)
    now[0] = 120
    dialog.progress._on_progress(Progress("Converting", 0.25))
    assert said(dialog) == "Converting … about 60 s left"
    assert dialog.progress.progress_bar.isTextVisible()
    assert dialog.progress.progress_bar.text() == "25%"
    now[0] = 1100
    dialog.progress._on_progress(Progress("Converting", 0.5))
    assert said(dialog) == "Converting … about 17 min left"
    # The second of two jobs begins at nothing.
    dialog.progress._on_progress(Progress("Reading", 0.1))
    assert said(dialog) == "Reading …"


def test_a_job_ends_with_the_application_and_does_not_keep_python_alive() -> None:
    program = textwrap.dedent(
        """
        import sys, threading
        from qtpy.QtCore import QCoreApplication, QTimer
        from napari_sam2_openvino._qt.jobs import LongJob

        class Endless:
            def run(self):
                yield from ()
                threading.Event().wait()
            def cancel(self):
                print("cancelled", flush=True)

        app = QCoreApplication([])
        job = LongJob(Endless())
        job.start()
        QTimer.singleShot(100, app.quit)
        app.exec_() if hasattr(app, "exec_") else app.exec()
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["cancelled"]


def test_an_error_is_a_sentence_in_the_dialog(qtbot: Any) -> None:
    dialog, _ = open_dialog(qtbot, FakeConversion(error=ConversionError("Not a checkpoint.")))
    dialog.checkpoint_combo.setCurrentText("a.pt")
    dialog.convert_button.click()
    qtbot.waitUntil(lambda: said(dialog) == "Not a checkpoint.", timeout=30_000)
    assert not dialog.is_running


@pytest.mark.parametrize("how", ["cancel", "close", "destroy"])
def test_a_conversion_ends_when_the_dialog_says_so(qtbot: Any, how: str) -> None:
    conversion = FakeConversion(endless=True)
    dialog, _ = open_dialog(qtbot, conversion)
    dialog.checkpoint_combo.setCurrentText("a.pt")
    dialog.convert_button.click()

    def shows(word: str) -> None:
        qtbot.waitUntil(lambda: said(dialog).startswith(word), timeout=30_000)

    shows("Converting")
    if how == "cancel":
        dialog.cancel_button.click()
        shows("Cancelled")
    elif how == "close":
        dialog.close()
    else:
        dialog.deleteLater()
    # It would never end by itself.
    qtbot.waitUntil(conversion.ended.is_set, timeout=30_000)


def test_without_a_checkpoint_or_a_name_nothing_starts(qtbot: Any) -> None:
    dialog, asked = open_dialog(qtbot, FakeConversion())
    dialog.convert_button.click()
    assert asked == []
    assert "Choose a checkpoint" in said(dialog)

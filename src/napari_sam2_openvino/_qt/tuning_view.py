"""What a model was tried with on this computer, as a table."""

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.text_table import TextTable
from napari_sam2_openvino.core.tunings import Trial, Tuning

_HEADER = ("Device", "Precision", "Threads", "Masks", "Image", "Click")


class TuningView(QWidget):
    """Shows the trials of one model, the quickest first."""

    def __init__(self) -> None:
        super().__init__()
        self.title_label = QLabel()
        self.title_label.setWordWrap(True)
        self.table = TextTable("What was tried")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title_label)
        layout.addWidget(self.table)

    def show_tuning(self, name: str, tuning: Tuning) -> None:
        """Show what was tried; the best is what the model is loaded with from now on."""
        best = tuning.best()
        self.title_label.setText(
            f"{name} gives wrong masks with all of these on this computer: it is not used."
            if best is None
            else f"{name} is quickest with {best.choice}, and is loaded with it from now on."
        )
        trials = sorted(tuning.trials, key=lambda trial: (trial != best, trial.seconds))
        self.table.show_rows(_HEADER, [_row(each) for each in trials])


def _row(trial: Trial) -> tuple[str, ...]:
    choice = trial.choice
    threads = "all" if choice.threads is None else str(choice.threads)
    masks = f"{'right' if trial.passed else 'WRONG'} ({trial.mask_iou:.3f})"
    if trial.encode_seconds is None or trial.decode_seconds is None:
        times = ("", "")
    else:
        times = (f"{trial.encode_seconds:.3f} s", f"{1e3 * trial.decode_seconds:.0f} ms")
    return (choice.device, choice.precision, threads, trial.problem or masks, *times)

"""What the dock for models shows below its buttons: one of its forms or results, or nothing."""

from typing import Any

from qtpy.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.compare_form import CompareForm
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.quantize_form import QuantizeForm
from napari_sam2_openvino._qt.report_view import ReportView
from napari_sam2_openvino._qt.tab import Tab
from napari_sam2_openvino._qt.tuning_view import TuningView


class ModelPages(QStackedWidget):
    """The forms and the results, one at a time.

    Parameters
    ----------
    viewer : Viewer
        Whose images the forms offer.
    worker : ComputeWorker
        Finds out what a quantization needs.
    """

    def __init__(self, viewer: Any, worker: ComputeWorker) -> None:
        super().__init__()
        self.quantize_form = QuantizeForm(viewer, worker)
        self.compare_form = CompareForm(viewer)
        self.tuning_view = TuningView()
        self.report_view = ReportView()
        self._pages = (self.quantize_form, self.compare_form, self.tuning_view, self.report_view)
        for page in self._pages:
            scrolled = Tab()
            scrolled.setWidget(_on_top(page))
            self.addWidget(scrolled)
        self.show_page(None)

    def show_page(self, page: QWidget | None) -> None:
        """Show one of the pages, or none."""
        self.setVisible(page is not None)
        if page is not None:
            self.setCurrentIndex(self._pages.index(page))

    def set_asking(self, is_asking: bool) -> None:
        """Let the forms be filled in, or not while something runs."""
        self.quantize_form.setEnabled(is_asking)
        self.compare_form.setEnabled(is_asking)

    def reset_choices(self) -> None:
        """Read the viewer's layers anew."""
        self.quantize_form.images.reset_choices()
        self.compare_form.images.reset_choices()


def _on_top(page: QWidget) -> QWidget:
    """Return a page with the room that it does not need below it."""
    whole = QWidget()
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(page)
    layout.addStretch(1)
    return whole

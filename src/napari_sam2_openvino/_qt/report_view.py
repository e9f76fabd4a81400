"""What a model costs and gains against another, and the worst of its masks, side by side."""

from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.text_table import TextTable
from napari_sam2_openvino.comparison import ComparisonReport
from napari_sam2_openvino.comparison.markdown import caption, measured_on, table_rows


class ReportView(QWidget):
    """Shows one report."""

    def __init__(self) -> None:
        super().__init__()
        self.report: ComparisonReport | None = None
        self.advice_label = _wrapping()
        font = self.advice_label.font()
        font.setBold(True)
        self.advice_label.setFont(font)
        self.table = TextTable("Report")
        self.measured_label = _wrapping()
        self._heading = _wrapping()
        self.pictures: list[ScaledPicture] = []
        self._worst = QVBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._heading)
        layout.addLayout(self._worst)
        layout.addWidget(self.table)
        layout.addWidget(self.measured_label)
        layout.addWidget(self.advice_label)

    def show_report(self, report: ComparisonReport) -> None:
        """Show a report; the advice is its last word."""
        self.report = report
        self._heading.setText(
            "The masks that differ most: the image with its prompt, the mask of "
            f"{report.a.name} in f32, the mask of {report.b.name}."
        )
        while (item := self._worst.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self.pictures = [ScaledPicture(each) for each in report.pictures]
        for case, picture in zip(report.worst, self.pictures, strict=True):
            self._worst.addWidget(picture)
            self._worst.addWidget(_wrapping(caption(case)))
        header, *rows = table_rows(report)
        self.table.show_rows(header, rows)
        self.measured_label.setText(measured_on(report))
        self.advice_label.setText(report.advice.sentence)


class ScaledPicture(QLabel):
    """A picture that is as wide as there is room, and no wider than it is.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
    """

    def __init__(self, pixels: Any) -> None:
        super().__init__()
        height, width = pixels.shape[:2]
        data = pixels.tobytes()
        image = QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self._whole = QPixmap.fromImage(image)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumWidth(1)

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        """Say that the height follows from the width."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        """Return the height that keeps the picture's shape."""
        shown = min(width, self._whole.width())
        return round(shown * self._whole.height() / self._whole.width())

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of the picture."""
        return self._whole.size()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Scale the picture."""
        width = min(self.width(), self._whole.width())
        self.setPixmap(self._whole.scaledToWidth(width, Qt.TransformationMode.SmoothTransformation))
        super().resizeEvent(event)


def _wrapping(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    return label

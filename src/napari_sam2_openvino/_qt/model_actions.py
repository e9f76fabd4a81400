"""The buttons of the dock for models, and which of them make sense for a model."""

from dataclasses import dataclass

from qtpy.QtWidgets import QGridLayout, QPushButton, QWidget

from napari_sam2_openvino.core.catalogue import find_entry
from napari_sam2_openvino.core.models import STARTER, ModelListing

_IN_A_ROW = 3


@dataclass(frozen=True)
class _Button:
    name: str
    title: str
    tip: str


_BUTTONS = (
    _Button(
        "download",
        "Download",
        "Downloads the checkpoint and checks it by its SHA-256. Where a connection broke it goes "
        "on.",
    ),
    _Button("convert", "Convert …", "Turns a checkpoint, downloaded or your own, into a model."),
    _Button("quantize", "Quantize …", "Makes a smaller, faster model in 8 bits, on your images."),
    _Button("compare", "Compare …", "Compares its masks, speed and size with another model's."),
    _Button(
        "tune",
        "Tune",
        "Tries every device, precision and number of threads, and remembers the best.",
    ),
    _Button("report", "Report", "Shows the report that was made when it was quantized."),
    _Button(
        "default",
        "Begin with it",
        "Windows begin with this model from now on, if it gives the right masks here.",
    ),
    _Button("folder", "Open folder", "Shows its files."),
    _Button("remove", "Remove …", "Removes it from the disk, after asking."),
)


class ModelActions(QWidget):
    """A button for each thing that can be done with a model."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: dict[str, QPushButton] = {}
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for number, each in enumerate(_BUTTONS):
            button = self.by_name[each.name] = QPushButton(each.title)
            layout.addWidget(button, number // _IN_A_ROW, number % _IN_A_ROW)

    def show_for(
        self, listing: ModelListing | None, default: str, *, is_free: bool, has_folder: bool
    ) -> None:
        """Enable what can be done with a model; tips say why the rest cannot."""
        for each in _BUTTONS:
            why = (
                "Choose a model first."
                if listing is None
                else _why_not(each.name, listing, default)
            )
            if not is_free and each.name != "folder":
                why = why or "Something else is going on."
            if each.name == "folder" and not has_folder:
                why = "There are no files yet."
            self.by_name[each.name].setEnabled(not why)
            self.by_name[each.name].setToolTip(f"{each.tip}\n{why}" if why else each.tip)


def _why_not(action: str, listing: ModelListing, default: str) -> str:
    """Return why something cannot be done with a model; "" if it can."""
    not_ready = "" if listing.is_ready else listing.problem or "It is not converted yet."
    is_quantized = listing.state == "quantized"
    has_files = listing.state != "in catalogue" and listing.name != STARTER
    is_default = "Windows begin with it already." if listing.name == default else ""
    reasons = {
        "download": _why_no_download(listing),
        "quantize": not_ready or ("It is quantized already." if is_quantized else ""),
        "compare": not_ready,
        "tune": not_ready,
        "report": not_ready or ("" if is_quantized else "It was not quantized."),
        "default": not_ready or is_default or listing.warning,
        "remove": "" if has_files else "There is nothing that can be removed.",
    }
    return reasons.get(action, "")


def _why_no_download(listing: ModelListing) -> str:
    entry = find_entry(listing.name)
    if listing.state != "in catalogue" or entry is None:
        return "There is nothing to download."
    return "" if entry.can_be_downloaded else f"Get the file from {entry.page}, then convert it."

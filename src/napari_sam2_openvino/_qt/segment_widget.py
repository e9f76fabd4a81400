"""The dock widget "SAM 2 Segment"."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from magicgui.widgets import ComboBox
from napari.layers import Image, Labels
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_sam2_openvino._layers import preview
from napari_sam2_openvino._qt.actions import tooltip
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.convert_dialog import ConvertDialog
from napari_sam2_openvino._qt.files_panel import FilesPanel
from napari_sam2_openvino._qt.help_panel import HelpPanel
from napari_sam2_openvino._qt.image_section import ImageSection
from napari_sam2_openvino._qt.keys import Keys, bindings, rebind
from napari_sam2_openvino._qt.object_list import ObjectList
from napari_sam2_openvino._qt.objects_section import ObjectsSection
from napari_sam2_openvino._qt.parameter_form import ParameterForm, fit_to_dock
from napari_sam2_openvino._qt.plane_overview import PlaneOverview
from napari_sam2_openvino._qt.plane_strip import PlaneStates, PlaneStrip
from napari_sam2_openvino._qt.prompts_panel import PromptsPanel
from napari_sam2_openvino._qt.session_files import SessionFiles
from napari_sam2_openvino._qt.verbs import Verbs
from napari_sam2_openvino._session.engines import Engine, Sam2Engine
from napari_sam2_openvino._settings import (
    Preferences,
    on_preferences_changed,
    read_preferences,
)
from napari_sam2_openvino.core.embedding_store import EmbeddingStore
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.session_file import SessionFile

_NEW_LAYER = "new layer"
_GB = 10**9


class SegmentWidget(QWidget):
    """Draw on objects of an image, see their masks, commit them to a Labels layer.

    Parameters
    ----------
    napari_viewer : Viewer
    load_engine : callable, optional
        Makes an engine from a model's name.
    """

    def __init__(
        self, napari_viewer: Viewer, *, load_engine: Callable[[str], Engine] = Sam2Engine
    ) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._models: list[str] = [STARTER]
        self._was_docked = self._closed = False
        self._store_problem: str | None = None
        self.convert_dialog: ConvertDialog | None = None
        self._preferences = read_preferences()
        self._actions, self._key_problems = rebind(self._preferences.keys)
        self.verbs: dict[str, Callable[..., None]] = {}
        calls = {each.verb: partial(self._do, each.verb) for each in self._actions}
        self._embeddings = _embeddings(self._preferences)
        self.annotator = Annotator(
            napari_viewer, load_engine, self._embeddings, Keys(bindings(calls, self._actions))
        )
        self.objects = ObjectList(self.annotator)
        self.overview = PlaneOverview(self.annotator, self.objects)
        self.files = SessionFiles(self.annotator, self.objects)
        self._verbs = Verbs(self.annotator)
        self.verbs.update(self._verbs.table())
        self.verbs["edit_object"] = self.objects.edit_at_pointer
        self._build()
        self.verbs.update(self._verbs_of_panels())
        self._lay_out()
        self._connect()
        self._choose_first_image()
        self.annotator.session.set_model(STARTER)
        self.refresh_models()
        self._apply(self._preferences, is_first=True)
        forget = on_preferences_changed(self._on_preferences)
        self._release = partial(_release, self.files, self.objects, self.annotator, forget)
        # Not a slot of this widget: that would be gone before the widget is.
        self.destroyed.connect(self._release)
        for problem in self._key_problems:
            self._show_status(problem)

    def _verbs_of_panels(self) -> dict[str, Callable[..., None]]:
        return {
            "set_class": self.objects_panel.choose_class,
            "next_plane": partial(self.overview.go_to_next, 1),
            "previous_plane": partial(self.overview.go_to_next, -1),
            "show_input": self.image_panel.show_input,
            "save_session": self.files_panel.ask_and_save,
            "open_session": self.files_panel.ask_and_open,
            "clear_disk_cache": self._on_clear_disk_cache,
            "show_help": self._on_show_help,
        }

    def _do(self, verb: str, *arguments: int) -> None:
        if not self._closed:
            self.verbs[verb](*arguments)

    def _build(self) -> None:
        self.image_combo = _combo("Image", self._image_choices)
        self.model_combo = _combo("Model", self._model_choices)
        self.target_combo = _combo("Write to", self._target_choices)
        self.prompts_panel = PromptsPanel(self.annotator, self._verbs, self.verbs)
        self.strip = PlaneStrip()
        self.objects_panel = ObjectsSection(self.annotator, self.objects, self._verbs)
        self.options_form = ParameterForm(MaskOptions)
        self.image_panel = ImageSection(self.annotator)
        self.files_panel = FilesPanel(self.annotator, self.files)
        self.help_panel = HelpPanel(self._actions)
        self.convert_button = QPushButton("Convert a checkpoint …")
        self.clear_cache_button = QPushButton("Delete stored embeddings")
        self.cancel_button = QPushButton("Cancel")
        self.progress_bar = QProgressBar()
        self.progress_bar.setRange(0, 0)
        self.status_label = QLabel()
        self.status_label.setWordWrap(True)
        self._add_tooltips()
        self._show_busy(False)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for combo in (self.image_combo, self.model_combo, self.target_combo):
            form.addRow(combo.label, combo.native)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.addLayout(form)
        layout.addWidget(self.prompts_panel)
        layout.addWidget(self.status_label)
        layout.addLayout(_row(self.progress_bar, self.cancel_button))
        layout.addWidget(self.strip)
        self.objects_section = _section("Objects of this plane", self.objects_panel, is_open=True)
        self.help_section = _section("Keys", self.help_panel)
        for section in (
            self.objects_section,
            _section("Masks", self.options_form),
            _section("What the network sees", self.image_panel),
            _section("Sessions and tables", self.files_panel),
            self.help_section,
        ):
            layout.addWidget(section)
        layout.addWidget(self.convert_button)
        layout.addWidget(self.clear_cache_button)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def _add_tooltips(self) -> None:
        tips = {
            self.image_combo.native: "The image to segment; of a stack, the plane in view.",
            self.model_combo.native: "The SAM 2 model. Larger ones see more and take longer.",
            self.target_combo.native: "The Labels layer that Commit writes to.",
            self.convert_button: "Turn a SAM 2 checkpoint into a model for this list.",
            self.clear_cache_button: tooltip("clear_disk_cache"),
            self.cancel_button: "Stop encoding at once. A model that loads cannot be "
            "interrupted: it is dropped when it is there.",
        }
        for widget, tip in tips.items():
            widget.setToolTip(tip)

    def _connect(self) -> None:
        annotator = self.annotator
        self.image_combo.changed.connect(annotator.set_image)
        self.target_combo.changed.connect(annotator.set_target)
        self.model_combo.changed.connect(annotator.session.set_model)
        self.cancel_button.clicked.connect(annotator.cancel)
        self.convert_button.clicked.connect(self._on_convert)
        self.clear_cache_button.clicked.connect(self._on_clear_disk_cache)
        annotator.session.ready_changed.connect(self._on_ready)
        self.strip.plane_clicked.connect(self.overview.go_to)
        self.options_form.changed.connect(annotator.set_options)
        self.files.opened.connect(self._on_session_opened)
        annotator.feedback.status_changed.connect(self._show_status)
        annotator.feedback.busy_changed.connect(self._show_busy)
        annotator.target_changed.connect(self._show_target)
        annotator.image_changed.connect(self._show_image)
        annotator.options_changed.connect(self._show_options)
        self.overview.changed.connect(self._show_planes)

    def reset_choices(self, _event: Any = None) -> None:
        """Read the viewer's layers anew; napari calls this when they change."""
        if not self._closed:
            self.image_combo.reset_choices()
            self.target_combo.reset_choices()
            self.image_panel.reset_choices()

    def refresh_models(self, chosen: str | None = None) -> None:
        """Read the folder of models anew, in the worker, and choose one of them."""
        from napari_sam2_openvino.core.models import list_models

        def on_done(listings: Any) -> None:
            self._models = [each.name for each in listings if each.is_ready] or [STARTER]
            self.model_combo.reset_choices()
            if chosen in self._models:
                self.model_combo.value = chosen

        self.annotator.worker(list_models, on_done, _raise)

    def event(self, event: Any) -> bool:
        """Let go of everything when the dock is closed: napari then takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._was_docked = True
            elif self._was_docked:
                self._close_down()
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Let go of everything when the widget is a window of its own."""
        self._close_down()
        super().closeEvent(event)

    def _close_down(self) -> None:
        self._closed = True
        self._release()
        if self.convert_dialog is not None:
            # The viewer may have destroyed it already, which ends what it does as well.
            with suppress(RuntimeError):
                self.convert_dialog.reject()

    def _choose_first_image(self) -> None:
        self.reset_choices()
        active = self._viewer.layers.selection.active
        if isinstance(active, Image):
            self.image_combo.value = active
        self.annotator.set_image(self.image_combo.value)

    def _image_choices(self, _combo: Any) -> list[tuple[str, Any]]:
        return [(each.name, each) for each in self._viewer.layers if isinstance(each, Image)]

    def _target_choices(self, _combo: Any) -> list[tuple[str, Any]]:
        layers = [each for each in self._viewer.layers if isinstance(each, Labels)]
        wanted = [(each.name, each) for each in layers if not preview.is_preview(each)]
        return [(_NEW_LAYER, None), *wanted]

    def _model_choices(self, _combo: Any) -> list[str]:
        return self._models

    def _apply(self, preferences: Preferences, *, is_first: bool = False) -> None:
        # What was switched in the window since stays as it is, but for what is changed now.
        before, self._preferences = self._preferences, preferences
        if is_first or before.live_preview != preferences.live_preview:
            self.annotator.set_live(preferences.live_preview)
        if is_first or before.hover_preview != preferences.hover_preview:
            self.annotator.set_hover(preferences.hover_preview)
        self.overview.set_ahead(preferences.encode_ahead)
        self.objects_panel.set_class_names(preferences.class_names)
        self.files.class_names = preferences.class_names
        self.files.is_autosaving = preferences.autosave
        self._embeddings.max_bytes = int(preferences.memory_cache_gb * _GB)
        if self._embeddings.store is not None:
            self._embeddings.store.max_bytes = int(preferences.disk_cache_gb * _GB)

    def _on_preferences(self) -> None:
        if not self._closed:
            self._apply(read_preferences())

    def _show_status(self, text: str) -> None:
        self.status_label.setText(text)

    def _show_busy(self, is_busy: bool) -> None:
        self.progress_bar.setVisible(is_busy)
        self.cancel_button.setVisible(is_busy)

    def _show_target(self, target: Labels | None) -> None:
        self.target_combo.reset_choices()
        self.target_combo.value = target

    def _show_image(self, image: Image | None) -> None:
        self.reset_choices()
        if image is not None:
            self.image_combo.value = image

    def _show_options(self, options: MaskOptions) -> None:
        self.options_form.value = options

    def _show_planes(self, states: PlaneStates) -> None:
        self.strip.setVisible(states.n_planes > 1)
        self.strip.set_states(states)
        self.image_panel.set_is_stack(states.n_planes > 1)

    def _on_session_opened(self, session: SessionFile) -> None:
        if session.model.name in self._models:
            self.model_combo.value = session.model.name
        else:
            self._show_status(
                f"Model {session.model.name} is not there: {self.model_combo.value} is used."
            )
        self.prompts_panel.overlap_combo.setCurrentText(session.commit_mode)
        names = tuple(dict.fromkeys((*self.objects_panel.class_names, *session.class_names)))
        self.objects_panel.set_class_names(names)
        self.files.class_names = names
        self.image_panel.show_view()

    def _on_ready(self, _ready: Any) -> None:
        store = self._embeddings.store
        problem = None if store is None else store.problem
        if problem != self._store_problem:
            self._store_problem = problem
            if problem:
                self.annotator.feedback.announce(problem)

    def _on_clear_disk_cache(self) -> None:
        self.annotator.session.clear_embeddings(
            partial(self._show_status, "Stored embeddings are deleted.")
        )

    def _on_show_help(self) -> None:
        is_open = self.help_section.isExpanded()
        (self.help_section.collapse if is_open else self.help_section.expand)(animate=False)

    def _on_convert(self) -> None:
        if self.convert_dialog is None:
            self.convert_dialog = ConvertDialog(self)
            self.convert_dialog.converted.connect(self.refresh_models)
        self.convert_dialog.show()
        self.convert_dialog.raise_()


def _release(
    files: SessionFiles, objects: ObjectList, annotator: Annotator, forget: Callable[[], None]
) -> None:
    """Let go of everything but widgets, which may be gone."""
    if not annotator.is_closed:
        forget()
        files.close()
        objects.close()
        annotator.close()


def _embeddings(preferences: Preferences) -> EmbeddingCache:
    store = None
    if preferences.disk_cache_gb > 0:
        store = EmbeddingStore(max_bytes=int(preferences.disk_cache_gb * _GB))
    return EmbeddingCache(int(preferences.memory_cache_gb * _GB), store)


def _combo(label: str, choices: Callable[[Any], Any]) -> ComboBox:
    return fit_to_dock(ComboBox(label=label, choices=choices))


def _section(title: str, content: QWidget, *, is_open: bool = False) -> QCollapsible:
    section = QCollapsible(title)
    section.setDuration(0)
    section.addWidget(content)
    if is_open:
        section.expand(animate=False)
    return section


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row


def _raise(error: Exception) -> None:
    raise error

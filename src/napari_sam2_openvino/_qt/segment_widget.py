"""The dock widget "SAM 2 Segment"."""

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.viewer import Viewer
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
)

from napari_sam2_openvino._qt.all_objects_tab import AllObjectsTab
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.carrier import Carrier
from napari_sam2_openvino._qt.choices import Choices
from napari_sam2_openvino._qt.commands import open_models
from napari_sam2_openvino._qt.dock import DockWidget
from napari_sam2_openvino._qt.finder import Finder
from napari_sam2_openvino._qt.keys import Keys, bindings, rebind
from napari_sam2_openvino._qt.model_listings import ModelListings
from napari_sam2_openvino._qt.object_list import ObjectList
from napari_sam2_openvino._qt.plane_overview import PlaneOverview
from napari_sam2_openvino._qt.prompts_tab import PromptsTab
from napari_sam2_openvino._qt.session_files import SessionFiles
from napari_sam2_openvino._qt.verbs import Verbs
from napari_sam2_openvino._qt.volume_tab import VolumeTab
from napari_sam2_openvino._session.engines import Engine, Sam2Engine
from napari_sam2_openvino._settings import (
    Preferences,
    on_preferences_changed,
    read_preferences,
)
from napari_sam2_openvino.core.embedding_store import EmbeddingStore
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.session_file import SessionFile

_GB = 10**9
# Lines of the status that there is always room for, so that what is below stays where it is.
_STATUS_LINES = 3
_BAR_HEIGHT = 6


class SegmentWidget(DockWidget):
    """Draw on objects of an image, see their masks, commit them to a Labels layer.

    Image, model and target on top count for every tab, and so does the line that says what is
    going on.

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
        self._store_problem: str | None = None
        self._preferences = read_preferences()
        actions, key_problems = rebind(self._preferences.keys)
        self.verbs: dict[str, Callable[..., None]] = {}
        calls = {each.verb: partial(self._do, each.verb) for each in actions}
        self._embeddings = _embeddings(self._preferences)
        self.annotator = Annotator(
            napari_viewer, load_engine, self._embeddings, Keys(bindings(calls, actions))
        )
        self.annotator.feedback.actions = actions
        self.objects = ObjectList(self.annotator)
        self.overview = PlaneOverview(self.annotator, self.objects)
        self.files = SessionFiles(self.annotator, self.objects)
        verbs = Verbs(self.annotator)
        self.verbs.update(verbs.table())
        self.verbs["edit_object"] = self.objects.edit_at_pointer
        self.choices = Choices(self.annotator, self._preferences.default_model)
        self.prompts_tab = PromptsTab(
            self.annotator, self.objects, self.overview, self.files, verbs, self.verbs, actions
        )
        self.finder = Finder(self.annotator, self._embeddings)
        self.all_objects_tab = AllObjectsTab(self.finder, self.verbs, actions)
        self.carrier = Carrier(
            self.annotator, self.objects, self.overview, self.finder, self._embeddings
        )
        self.volume_tab = VolumeTab(self.carrier, self.overview, self.verbs, actions)
        self.verbs.update(self._verbs_of_panels())
        self._lay_out()
        self._connect()
        self.choices.choose_first_image()
        self.choices.begin()
        self._apply(self._preferences, is_first=True)
        forget = on_preferences_changed(self._on_preferences)
        listings = self.choices.listings
        self._release = partial(
            _release,
            self.files,
            self.finder,
            self.carrier,
            self.objects,
            listings,
            self.annotator,
            forget,
        )
        # Not a slot of this widget: that would be gone before the widget is.
        self.destroyed.connect(self._release)
        for problem in key_problems:
            self._show_status(problem)

    def _verbs_of_panels(self) -> dict[str, Callable[..., None]]:
        tab = self.prompts_tab
        return {
            "set_class": tab.objects_panel.choose_class,
            "next_plane": partial(self.overview.go_to_next, 1),
            "previous_plane": partial(self.overview.go_to_next, -1),
            "show_input": tab.image_panel.show_input,
            "save_session": tab.files_panel.ask_and_save,
            "open_session": tab.files_panel.ask_and_open,
            "clear_disk_cache": self._on_clear_disk_cache,
            "show_help": self._on_show_help,
            "find_objects": self._on_find_objects,
            "commit_found": self.finder.commit,
            "propagate": self._on_propagate,
            "take_back_propagation": self.carrier.take_back,
        }

    def _do(self, verb: str, *arguments: int) -> None:
        if not self._closed:
            self.verbs[verb](*arguments)

    def _lay_out(self) -> None:
        self.status_label = QLabel()
        self.status_label.setWordWrap(True)
        self.status_label.setMinimumHeight(
            _STATUS_LINES * self.status_label.fontMetrics().lineSpacing()
        )
        self.progress_bar = QProgressBar()
        self.progress_bar.setRange(0, 0)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip(
            "Stop encoding at once. A model that loads cannot be interrupted: it is dropped when "
            "it is there."
        )
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setFixedHeight(_BAR_HEIGHT)
        policy = self.progress_bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress_bar.setSizePolicy(policy)
        self._show_busy(False)
        status = QHBoxLayout()
        status.addWidget(self.status_label, 1)
        status.addWidget(self.cancel_button)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("Ways to segment")
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.prompts_tab, "Prompts")
        self.tabs.addTab(self.all_objects_tab, "All objects")
        self.tabs.addTab(self.volume_tab, "Volume")
        layout = QVBoxLayout(self)
        layout.addWidget(self.choices)
        layout.addLayout(status)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.tabs, 1)

    def _connect(self) -> None:
        annotator, tab = self.annotator, self.prompts_tab
        self.cancel_button.clicked.connect(annotator.cancel)
        tab.models_button.clicked.connect(partial(open_models, annotator.viewer))
        tab.clear_cache_button.clicked.connect(self._on_clear_disk_cache)
        annotator.session.ready_changed.connect(self._on_ready)
        annotator.feedback.status_changed.connect(self._show_status)
        annotator.feedback.busy_changed.connect(self._show_busy)
        self.files.opened.connect(self._show_session)
        self.finder.running_changed.connect(self._on_running)
        self.carrier.running_changed.connect(self._on_running)

    def _read_layers(self) -> None:
        self.choices.reset_choices()
        self.prompts_tab.image_panel.reset_choices()

    def _let_go(self) -> None:
        self._release()

    def _apply(self, preferences: Preferences, *, is_first: bool = False) -> None:
        # What was switched in the window since stays as it is, but for what is changed now.
        before, self._preferences = self._preferences, preferences
        if is_first or before.live_preview != preferences.live_preview:
            self.annotator.set_live(preferences.live_preview)
        if is_first or before.hover_preview != preferences.hover_preview:
            self.annotator.set_hover(preferences.hover_preview)
        self.overview.set_ahead(preferences.encode_ahead)
        if is_first or before.class_names != preferences.class_names:
            self.prompts_tab.objects_panel.set_class_names(preferences.class_names)
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

    def _show_session(self, session: SessionFile) -> None:
        if session.model.name in self.choices.models:
            self.choices.model_combo.value = session.model.name

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
        self.tabs.setCurrentWidget(self.prompts_tab)
        self.prompts_tab.toggle_help()

    def _on_find_objects(self) -> None:
        self.tabs.setCurrentWidget(self.all_objects_tab)
        self.finder.toggle()

    def _on_propagate(self) -> None:
        self.tabs.setCurrentWidget(self.volume_tab)
        self.carrier.toggle()

    def _on_running(self, _is_running: bool) -> None:
        # Nothing is encoded ahead while something else needs the machine.
        self.overview.set_paused(self.finder.search.is_running or self.carrier.is_running)


def _release(
    files: SessionFiles,
    finder: Finder,
    carrier: Carrier,
    objects: ObjectList,
    listings: ModelListings,
    annotator: Annotator,
    forget: Callable[[], None],
) -> None:
    """Let go of everything but widgets, which may be gone."""
    # Also where the annotator is closed already: settings outlive every window.
    forget()
    if not annotator.is_closed:
        files.close()
        finder.close()
        carrier.close()
        objects.close()
        listings.close()
        annotator.close()


def _embeddings(preferences: Preferences) -> EmbeddingCache:
    store = None
    if preferences.disk_cache_gb > 0:
        store = EmbeddingStore(max_bytes=int(preferences.disk_cache_gb * _GB))
    return EmbeddingCache(int(preferences.memory_cache_gb * _GB), store)

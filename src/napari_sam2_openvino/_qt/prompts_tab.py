"""The tab for annotating by hand: prompts, objects, masks, what the network sees, sessions."""

from collections.abc import Callable, Iterable, Mapping

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.actions import Action, tooltip
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.files_panel import FilesPanel
from napari_sam2_openvino._qt.folding import folded
from napari_sam2_openvino._qt.help_panel import HelpPanel
from napari_sam2_openvino._qt.image_section import ImageSection
from napari_sam2_openvino._qt.object_list import ObjectList
from napari_sam2_openvino._qt.objects_section import ObjectsSection
from napari_sam2_openvino._qt.parameter_form import ParameterForm
from napari_sam2_openvino._qt.plane_overview import PlaneOverview
from napari_sam2_openvino._qt.plane_strip import PlaneStates, PlaneStrip
from napari_sam2_openvino._qt.prompts_panel import PromptsPanel
from napari_sam2_openvino._qt.session_files import SessionFiles
from napari_sam2_openvino._qt.tab import Tab
from napari_sam2_openvino._qt.verbs import Verbs
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.session_file import SessionFile


class PromptsTab(Tab):
    """Everything about objects that are drawn by hand.

    Parameters
    ----------
    annotator : Annotator
    objects : ObjectList
    overview : PlaneOverview
    files : SessionFiles
    verbs : Verbs
    table : mapping of str to callable
        What to call, by verb.
    actions : iterable of Action
        As returned by `rebind`.
    """

    def __init__(
        self,
        annotator: Annotator,
        objects: ObjectList,
        overview: PlaneOverview,
        files: SessionFiles,
        verbs: Verbs,
        table: Mapping[str, Callable[[], None]],
        actions: Iterable[Action],
    ) -> None:
        super().__init__()
        self._files = files
        self.prompts_panel = PromptsPanel(annotator, verbs, table, actions)
        self.strip = PlaneStrip()
        self.objects_panel = ObjectsSection(annotator, objects, verbs, actions)
        self.options_form = ParameterForm(MaskOptions)
        self.image_panel = ImageSection(annotator)
        self.files_panel = FilesPanel(annotator, files)
        self.help_panel = HelpPanel(actions)
        self.models_button = QPushButton("Models …")
        self.models_button.setToolTip(
            "Download, convert, quantize and compare models, in a dock of their own."
        )
        self.clear_cache_button = QPushButton("Delete stored embeddings")
        self.clear_cache_button.setToolTip(tooltip("clear_disk_cache"))
        self._lay_out()
        self.strip.plane_clicked.connect(overview.go_to)
        overview.changed.connect(self._show_planes)
        self.options_form.changed.connect(annotator.set_options)
        annotator.options_changed.connect(self._show_options)
        files.opened.connect(self._show_session)

    def _lay_out(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.prompts_panel)
        layout.addWidget(self.strip)
        self.objects_section = folded("Objects of this plane", self.objects_panel, is_open=True)
        self.help_section = folded("Keys", self.help_panel)
        for section in (
            self.objects_section,
            folded("Masks", self.options_form),
            folded("What the network sees", self.image_panel),
            folded("Sessions and tables", self.files_panel),
            self.help_section,
        ):
            layout.addWidget(section)
        layout.addWidget(self.models_button)
        layout.addWidget(self.clear_cache_button)
        layout.addStretch(1)
        self.setWidget(content)

    def toggle_help(self) -> None:
        """Open the list of keys, or close it."""
        is_open = self.help_section.isExpanded()
        (self.help_section.collapse if is_open else self.help_section.expand)(animate=False)
        if not is_open:
            self.ensureWidgetVisible(self.help_section)

    def _show_options(self, options: MaskOptions) -> None:
        self.options_form.value = options

    def _show_planes(self, states: PlaneStates) -> None:
        self.strip.setVisible(states.n_planes > 1)
        self.strip.set_states(states)
        self.image_panel.set_is_stack(states.n_planes > 1)

    def _show_session(self, session: SessionFile) -> None:
        self.prompts_panel.overlap_combo.setCurrentText(session.commit_mode)
        names = tuple(dict.fromkeys((*self.objects_panel.class_names, *session.class_names)))
        self.objects_panel.set_class_names(names)
        self._files.class_names = names
        self.image_panel.show_view()

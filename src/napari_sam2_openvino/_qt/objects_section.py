"""The part of the window that lists objects."""

from collections.abc import Iterable

from napari_sam2_openvino._qt.actions import Action
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.object_list import ObjectList
from napari_sam2_openvino._qt.objects_panel import ObjectsPanel
from napari_sam2_openvino._qt.soon import Soon
from napari_sam2_openvino._qt.verbs import Verbs
from napari_sam2_openvino._settings import save_preferences


class ObjectsSection(ObjectsPanel):
    """An objects panel that works on an annotator.

    Parameters
    ----------
    annotator : Annotator
    objects : ObjectList
    verbs : Verbs
    actions : iterable of Action
        As returned by `rebind`.
    """

    def __init__(
        self,
        annotator: Annotator,
        objects: ObjectList,
        verbs: Verbs,
        actions: Iterable[Action],
    ) -> None:
        super().__init__(actions)
        self._annotator = annotator
        self._objects = objects
        self.object_chosen.connect(objects.choose)
        self.class_chosen.connect(objects.set_class)
        self.class_names_changed.connect(self._on_class_names)
        self.next_clicked.connect(verbs.next_object)
        self.previous_clicked.connect(verbs.previous_object)
        self._soon = Soon(self.show_objects)
        annotator.objects_changed.connect(self._soon.ask)
        annotator.drafting_changed.connect(self._soon.ask)

    def show_objects(self) -> None:
        """List the objects of the plane in view."""
        if not self._annotator.is_closed:
            self.set_rows(self._objects.rows())
            self.set_current(self._annotator.focus)

    def _on_class_names(self, names: tuple[str, ...]) -> None:
        save_preferences(class_names=names)

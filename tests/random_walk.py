"""Random edits in a window, which a test checks one by one and a soak repeats for an hour."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from tests.committed_model import CommittedModel

from napari_sam2_openvino._layers.marks_io import read_marks
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino.core.marks import MaskCut, ObjectPrompts
from napari_sam2_openvino.core.object_masks import make_mask
from napari_sam2_openvino.core.prompt_building import build_stages
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.session_file import read_session

SHAPE = (3, 60, 80)
# How often a step is done; 2 for others.
WEIGHTS: dict[str, float] = {
    **{"do_verb": 9, "do_click": 8, "do_commit": 9, "do_undo": 7, "do_redo": 4, "do_edit": 4},
    **{"do_clear": 1, "do_commit_all": 4, "do_next_object": 3, "do_remove_prompt": 3},
    # These end what is going on.
    **{"do_cancel": 1, "do_remove_layer": 0.5, "do_replace_image": 1, "do_switch_model": 1},
    **{"do_open_again": 0.5, "do_open_session": 0.5},
}
# What someone does in one breath, which steps at random seldom come to.
PHRASES: tuple[tuple[str, ...], ...] = (
    ("do_box", "do_clear", "do_box", "do_commit", *["do_undo"] * 4, "do_commit_all"),
    ("do_click", "do_clear", "do_choose_target", "do_click", "do_commit", "do_undo", "do_undo"),
    ("do_edit", "do_click", "do_commit", *["do_undo"] * 3, "do_undo_labels", "do_commit"),
    ("do_edit", "do_clear", "do_click", "do_commit", *["do_undo"] * 4, "do_commit_all"),
    ("do_click", "do_commit", "do_undo", "do_choose_target", "do_commit", "do_undo", "do_commit"),
    ("do_scribble", "do_change_plane", "do_box", "do_commit_all", *["do_undo"] * 3, "do_commit"),
    ("do_box", "do_transpose", "do_click", "do_commit", *["do_undo"] * 3, "do_commit_all"),
    ("do_click", "do_open_session", "do_click", "do_commit", *["do_undo"] * 5, "do_commit_all"),
    ("do_click", "do_undo", "do_open_again", "do_click", "do_commit", "do_undo", "do_commit"),
)
# How often a step begins one.
PHRASES_SHARE = 0.04


class Walk:
    """Does something at random, again and again, and remembers what it did.

    Parameters
    ----------
    window : Window
    seed : int
    models : sequence of str, optional
        Names between which the walk switches.
    is_exact : bool, optional
        Whether the models are discs, which tell what each mask has to be.
    open_again : callable, optional
        Closes the widget and puts another one in its place in the window.
    folder : Path, optional
        For sessions that are saved and opened.
    """

    def __init__(
        self,
        window: Any,
        seed: int,
        models: Sequence[str] = ("starter", "other"),
        *,
        is_exact: bool = True,
        open_again: Callable[[], None] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.models = models
        self.is_exact = is_exact
        self.window = window
        self.rng = np.random.default_rng(seed)
        self.n_checked = 0
        self.done: list[str] = []
        self._to_do: list[str] = []
        self.model = CommittedModel(window)
        self._open_again = open_again
        self._folder = folder

    @property
    def layers(self) -> Any:
        drafting = self.window.annotator.drafting
        return None if drafting is None else drafting.layers

    @property
    def plane(self) -> int:
        return int(self.window.viewer.dims.current_step[0])

    def step(self) -> None:
        if not self._to_do:
            self._to_do = self._next_steps()
        name = self._to_do.pop(0)
        self.done.append(name)
        getattr(self, name)()
        self.model.check()
        if self.rng.random() < 0.3:
            self.window.qtbot.wait(int(self.rng.integers(1, 60)))

    def _next_steps(self) -> list[str]:
        if self.rng.random() < PHRASES_SHARE:
            return [*PHRASES[self.rng.integers(len(PHRASES))]]
        names = [name for name in dir(self) if name.startswith("do_")]
        weights = np.array([WEIGHTS.get(name, 2) for name in names])
        return [str(self.rng.choice(names, p=weights / weights.sum()))]

    def settle(self) -> None:
        """Wait for the answers, unless they were cancelled and nothing has changed since."""
        self.window.annotator.sync()
        if self.window.session.state is not State.CANCELLED:
            self.window.settle()
            self.window.wait(lambda: not self.window.annotator.committer.is_scanning)
            self.model.n_asked = self.model.n_committed

    def place(self, count: int = 1) -> Any:
        """Return places of the plane, of which no two are the same."""
        corner = self.rng.uniform((3, 3), (SHAPE[1] - 3, SHAPE[2] - 3), (count, 2))
        return np.column_stack([np.full(count, self.plane), corner.round(2)])

    # What is drawn

    def do_click(self) -> None:
        self.window.do("draw_points")
        if self.layers is not None:
            self.layers.points.add(self.place(int(self.rng.integers(1, 4))))

    def do_move_point(self) -> None:
        if self.layers is not None and self.layers.points is not None:
            data = self.layers.points.data.copy()
            if len(data):
                index = self.rng.integers(len(data))
                data[index, 1:] = self.place()[0, 1:]
                self.model.moved(self.layers.points.data[index], data[index])
                self.layers.points.data = data

    def do_remove_prompt(self) -> None:
        if self.layers is not None:
            name = str(self.rng.choice(["points", "shapes"]))
            layer = getattr(self.layers, name)
            if layer is not None and len(layer.data):
                layer.selected_data = {int(self.rng.integers(len(layer.data)))}
                layer.remove_selected()
                # Nobody draws on before the window has seen that.
                self.window.annotator.sync()

    def do_box(self) -> None:
        self.window.do("draw_box")
        self._add_shape([(0, 0), (0, 12), (9, 12), (9, 0)], "rectangle")

    def do_lasso(self) -> None:
        self.window.do("draw_lasso")
        self._add_shape([(0, 0), (4, 15), (12, 8), (14, 2)], "polygon")

    def do_scribble(self) -> None:
        self.window.do("draw_scribble")
        self._add_shape([(0, 0), (6, 9), (3, 14)], "path")

    def _add_shape(self, offsets: list[tuple[int, int]], kind: str) -> None:
        if self.layers is not None:
            corner = self.rng.uniform((2, 2), (SHAPE[1] - 18, SHAPE[2] - 18)).round(2)
            vertices = [(self.plane, *np.add(corner, each)) for each in offsets]
            self.layers.shapes.add(np.array(vertices, float), shape_type=kind)

    def do_select_a_prompt(self) -> None:
        if self.layers is not None and self.layers.points is not None:
            count = len(self.layers.points.data)
            if count:
                self.layers.points.selected_data = {int(self.rng.integers(count))}

    # Verbs

    def do_verb(self) -> None:
        verbs = (
            *("toggle_polarity", "toggle_for_all", "previous_object", "toggle_many"),
            *("next_mask", "grow_mask", "shrink_mask", "toggle_hover", "toggle_live"),
            *("next_plane", "previous_plane", "show_help", "edit_object"),
        )
        self.window.do(str(self.rng.choice(verbs)))

    def do_clear(self) -> None:
        self.window.do("clear")

    def do_next_object(self) -> None:
        """What is drawn next is of the next object of the plane, or of none that there is."""
        self.window.do("next_object")
        if self.layers is not None:
            current = self.window.annotator.drafting.objects.current
            is_drawn = current in self.window.annotator.drawn
            assert is_drawn or not self.model.is_in_hand(current)

    def do_undo(self) -> None:
        self.window.do("undo")

    def do_redo(self) -> None:
        self.window.do("redo")

    def do_undo_and_redo(self) -> None:
        drafting = self.window.annotator.drafting
        if drafting is not None:
            self.window.annotator.sync()
            drafting.record()
            before = drafting.layers.snapshot(), drafting.objects.drafts
            if drafting.undo():
                assert drafting.redo()
                assert (drafting.layers.snapshot(), drafting.objects.drafts) == before

    def do_commit(self) -> None:
        self.settle()
        self._commit("commit")

    def do_commit_all(self) -> None:
        if self.rng.random() < 0.5:
            self.settle()
        self._commit("commit_all")

    def do_commit_at_once(self) -> None:
        self._commit("commit")

    def _commit(self, verb: str) -> None:
        self.model.n_asked += 1
        self.window.do(verb)

    def do_change_mode(self) -> None:
        combo = self.window.widget.prompts_tab.prompts_panel.overlap_combo
        combo.setCurrentIndex(int(self.rng.integers(3)))

    def do_set_class(self) -> None:
        ids = list(self.window.table())
        if ids:
            self.window.widget.objects.set_class([int(self.rng.choice(ids))], "cell")

    def do_edit(self) -> None:
        target = self.window.annotator.target
        if target is not None:
            obj_id = int(self.rng.choice(np.unique(target.data[self.plane])))
            if obj_id:
                self.window.widget.objects.edit(target, obj_id)

    def do_settle(self) -> None:
        self.settle()
        for answer in self.window.session.answers.values():
            is_newest = self.window.session.answer(answer.obj_id) is answer
            if answer.obj_id > 0 and self.window.annotator.is_live and is_newest:
                self.check(answer.obj_id, answer.mask)

    def do_cancel(self) -> None:
        self.window.annotator.cancel()

    # The viewer

    def do_change_plane(self) -> None:
        self.window.show_plane(int(self.rng.integers(SHAPE[0])))

    def do_move_pointer(self) -> None:
        position = tuple(map(float, self.place()[0]))
        self.window.viewer.cursor.position = position
        for call in self.window.viewer.mouse_move_callbacks:
            call(self.window.viewer, SimpleNamespace(position=position))

    def do_transpose(self) -> None:
        dims = self.window.viewer.dims
        if dims.ndim == 3:
            dims.order = (0, 2, 1) if dims.order == (0, 1, 2) else (0, 1, 2)

    def do_rename(self) -> None:
        layers = self.window.viewer.layers
        if len(layers):
            layers[int(self.rng.integers(len(layers)))].name = f"layer {self.rng.integers(99)}"

    def do_remove_layer(self) -> None:
        layers = self.window.viewer.layers
        others = [each for each in layers if not isinstance(each, Image)]
        if others and self.rng.random() < 0.5:
            layers.remove(others[int(self.rng.integers(len(others)))])
            self.window.qtbot.wait(20)

    def do_replace_image(self) -> None:
        if self.rng.random() < 0.2:
            image = self.window.annotator.image
            if image is not None and self.rng.random() < 0.7:
                self.window.viewer.layers.remove(image)
                self.window.qtbot.wait(40)
            self.window.viewer.add_image(image_data(self.rng), name="again")
            self.window.qtbot.wait(40)

    def do_choose_image(self) -> None:
        combo = self.window.widget.choices.image_combo
        if combo.choices:
            combo.value = combo.choices[int(self.rng.integers(len(combo.choices)))]

    def do_change_pixels(self) -> None:
        if self.window.annotator.image is not None:
            self.window.annotator.image.data = image_data(self.rng)

    def do_change_contrast(self) -> None:
        if self.window.annotator.image is not None:
            low = int(self.rng.integers(100))
            self.window.annotator.image.contrast_limits = (low, low + 100)

    def do_switch_model(self) -> None:
        self.window.session.set_model(str(self.rng.choice(self.models)))

    def do_undo_labels(self) -> None:
        if self.window.annotator.target is not None:
            self.model.undone(self.window.annotator.target)
            self.window.annotator.target.undo()

    def do_redo_labels(self) -> None:
        if self.window.annotator.target is not None:
            self.model.redone(self.window.annotator.target)
            self.window.annotator.target.redo()

    def do_paint(self) -> None:
        target = self.window.annotator.target
        if target is not None:
            value = int(self.rng.integers(0, target.data.max() + 3))
            place = tuple(self.place()[0].astype(int).tolist())
            self.model.painted(target, place, value)
            target.data_setitem(tuple(np.array([each]) for each in place), value)

    def do_choose_target(self) -> None:
        labels = [each for each in self.window.viewer.layers if isinstance(each, Labels)]
        combo = self.window.widget.choices.target_combo
        choices = [*(each for each in combo.choices if each in labels), None]
        combo.value = choices[int(self.rng.integers(len(choices)))]

    # The window

    def do_open_again(self) -> None:
        if self._open_again is not None:
            self._open_again()
            self.model.watch()

    def do_open_session(self) -> None:
        """Save what there is and open it at once, into a layer of its own."""
        files, before = self.window.widget.files, self.window.annotator.target
        if self._folder is None or self.window.annotator.image is None:
            return
        path = self._folder / f"{len(self.done)}.json"
        saved = None if before is None else self.model.only_committed(before)
        files.save(path)
        self.window.wait(path.exists)
        files.open(path)
        self.window.wait(lambda: self.window.status.startswith("The session is open."))
        target = self.window.annotator.target
        if before is not None and target != before:
            self.model.of_session(target, read_session(path).objects, saved)

    # What must hold

    def check(self, obj_id: int, mask: MaskCut) -> None:
        """Hold a mask to what the model draws for exactly what is in the layers."""
        if not self.is_exact:
            return
        annotator, session = self.window.annotator, self.window.session
        drafting = annotator.drafting
        marks = read_marks(
            drafting.layers.points, drafting.layers.shapes, annotator.image, annotator.plane
        )
        prompts: ObjectPrompts = drafting.objects.prompts(marks, annotator.plane)[obj_id]
        hw = session.source.hw
        region = Region.whole(hw)
        engine = self.window.engines[session.model_name]
        n_stages = len(build_stages(prompts, region, engine.image_size))
        logits = engine._predict(region, prompts, n_stages, 0).choice.logits
        expected = make_mask(logits, region, hw, session.options)
        assert mask.origin == expected.origin
        np.testing.assert_array_equal(mask.mask, expected.mask)
        self.n_checked += 1


def image_data(rng: np.random.Generator) -> Any:
    return rng.integers(0, 255, SHAPE).astype(np.uint8)

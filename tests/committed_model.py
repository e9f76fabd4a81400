"""What Labels layers must hold while someone draws and commits, told without the window's help."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam2_openvino._layers import drawing, preview
from napari_sam2_openvino._layers.coordinates import from_xy
from napari_sam2_openvino._qt.commits import Committed, DrawnCommit
from napari_sam2_openvino._session.objects import FOR_ALL, Mode
from napari_sam2_openvino.core.marks import MaskCut, ObjectPrompts
from napari_sam2_openvino.core.types import PlaneIndex

# As many steps of undo as napari keeps.
MOST_LEVELS = 100

Token = Hashable


class CommittedModel:
    """Knows what each Labels layer must hold, and which objects are one.

    What an object is to whoever draws is told by what has stood together: prompts and masks that
    had one number at one time, and the label that they were committed to, are one object for good.
    Each prompt is told from all others by its place. A label that is there already may be written
    for the object that it is of, and for no other; and an object that is in a layer is written
    under its label again.

    Parameters
    ----------
    window : Window
    """

    def __init__(self, window: Any) -> None:
        self._window = window
        self._histories: dict[Any, LabelsHistory] = {}
        self._kin = Kin()
        # Of prompts that count for all objects, and so tell none from another.
        self._shared: set[Token] = set()
        # Of sessions: what was drawn before one was opened stands beside its objects.
        self._doubled: list[Token] = []
        self._failures: list[AssertionError] = []
        self.n_asked = 0
        self.n_committed = 0
        for layer in self._layers():
            self.take_over(layer)
        self.watch()

    def watch(self) -> None:
        """Follow the widget that is in the window now."""
        annotator, objects = self._window.annotator, self._window.widget.objects
        annotator.objects_changed.connect(self.observe)
        annotator.committer.committed.connect(self._on_committed)
        objects.edit = self._noting(objects.edit)

    def forget(self) -> None:
        """Forget everything, now that all layers are gone."""
        self._histories.clear()
        self._doubled.clear()
        self._shared.clear()
        self._kin = Kin()

    def take_over(self, labels: Labels) -> None:
        """Take it that a layer is as it has to be, unless it is known already."""
        self._histories.setdefault(labels.unique_id, LabelsHistory(labels.data))

    def only_committed(self, labels: Labels) -> NDArray[Any] | None:
        """Return what a layer holds now; None if anything but commits of its image changed it."""
        history = self._histories[labels.unique_id]
        return None if history.image is None or history.is_changed else history.now

    def of_session(
        self, labels: Labels, objects: Iterable[Any], saved: NDArray[Any] | None
    ) -> None:
        """Take over a layer that a session was opened into, with its objects.

        It holds what the one that was saved did then, if that is known.
        """
        if saved is not None:
            np.testing.assert_array_equal(labels.data, saved, "the session has other labels")
        self.take_over(labels)
        for each in objects:
            tokens = self._tokens(each.prompts.value(), each.plane)
            self._doubled += [*tokens][:1]
            if each.committed:
                self._kin.join([_label(labels, each.obj_id), *tokens])

    def painted(self, labels: Labels, place: tuple[int, ...], value: int) -> None:
        """Note that a pixel was painted."""
        expected = self._histories[labels.unique_id].now.copy()
        expected[place] = value
        self._histories[labels.unique_id].is_changed = True
        self._histories[labels.unique_id].push(expected)

    def moved(self, old: NDArray[np.float64], new: NDArray[np.float64]) -> None:
        """Note that a prompt was moved: it is of the same object still."""
        if _place(old) not in self._shared:
            self._kin.join([_place(old), _place(new)])

    def undone(self, labels: Labels) -> None:
        """Note that napari's undo was used."""
        self._histories[labels.unique_id].move(-1)

    def redone(self, labels: Labels) -> None:
        """Note that napari's redo was used."""
        self._histories[labels.unique_id].move(1)

    def check(self) -> None:
        """Make sure that every layer holds what it must, and that no commit was wrong."""
        if self._failures:
            raise self._failures[0]
        for layer in self._layers():
            assert layer.unique_id in self._histories, f"{layer.name} came from nowhere"
            now = self._histories[layer.unique_id].now
            np.testing.assert_array_equal(layer.data, now, f"{layer.name} changed without a commit")
        self.observe()

    def observe(self) -> None:
        """Note which prompts and masks are one object now."""
        for tokens in self._in_hand().values():
            self._kin.join(tokens)

    def is_in_hand(self, obj_id: int) -> bool:
        """Whether anything is drawn of an object on any plane."""
        return obj_id in self._in_hand()

    def _layers(self) -> list[Labels]:
        layers = [each for each in self._window.viewer.layers if isinstance(each, Labels)]
        return [each for each in layers if not preview.is_preview(each)]

    def _in_hand(self) -> dict[int, set[Token]]:
        """Return what there is of each object, on all planes."""
        if (drafting := self._window.annotator.drafting) is None:
            return {}
        found: dict[int, set[Token]] = {}
        for layer in (drafting.layers.points, drafting.layers.shapes):
            for place, obj_id, is_box in _prompts(layer):
                if obj_id == FOR_ALL and not is_box:
                    self._shared.add(place)
                found.setdefault(obj_id, set()).add(place)
        for (obj_id, plane), draft in drafting.objects.drafts.items():
            if draft.mask is not None:
                found.setdefault(obj_id, set()).add(_mask(draft.mask, plane))
        found.pop(FOR_ALL, None)
        if drafting.mode is Mode.EACH_PROMPT:
            # Those that were not read yet have one number until they are.
            found.pop(drafting.objects.current, None)
        return {key: kept for key, each in found.items() if (kept := each - self._shared)}

    def _tokens(self, prompts: ObjectPrompts, plane: PlaneIndex) -> set[Token]:
        tokens = {_place(from_xy(each.vertices, plane)) for each in prompts.marks} - self._shared
        return tokens if prompts.mask is None else {*tokens, _mask(prompts.mask, plane)}

    def _noting(self, edit: Callable[[Labels, int], None]) -> Callable[[Labels, int], None]:
        def noting(labels: Labels, obj_id: int) -> None:
            plane = self._window.annotator.plane
            if plane is not None and labels == self._window.annotator.target:
                mask = MaskCut(_seen(labels.data, plane) == obj_id)
                self._kin.join([_label(labels, obj_id), _mask(mask, plane)])
            edit(labels, obj_id)

        return noting

    def _on_committed(self, done: Committed) -> None:
        # Raised where the walk is, not in the middle of a signal.
        try:
            assert isinstance(done.commit, DrawnCommit)
            self._check_commit(done, done.commit)
        except AssertionError as error:
            self._failures.append(error)

    def _check_commit(self, done: Committed, commit: DrawnCommit) -> None:
        annotator, labels = self._window.annotator, done.labels
        self.n_committed += 1
        assert self.n_committed <= self.n_asked, "a commit that nobody asked for"
        assert (commit.image, commit.plane) == (annotator.image, annotator.plane)
        if labels.unique_id not in self._histories:
            new = LabelsHistory(np.zeros_like(labels.data), commit.image)
            self._histories[labels.unique_id] = new
        history = self._histories[labels.unique_id]
        history.is_changed |= history.image != commit.image
        self.observe()
        self._check_numbers(done, commit, {*np.unique(history.now)})
        expected = history.now.copy()
        seen = _seen(expected, commit.plane)
        for each in commit.answers:
            if each.obj_id in done.new_ids:
                write(seen, whole(each.mask, seen.shape), done.new_ids[each.obj_id], commit.mode)
        np.testing.assert_array_equal(
            labels.data, expected, f"{done.new_ids} were not written as {commit.mode!r} says"
        )
        for each in commit.answers:
            is_left = (seen[whole(each.mask, seen.shape)] != 0).any()
            assert each.obj_id in done.new_ids or is_left, "left out without a reason"
        history.push(expected)

    def _check_numbers(self, done: Committed, commit: DrawnCommit, there: set[int]) -> None:
        """Make sure that labels which are there are those of the objects that are written."""
        assert len({*done.new_ids.values()}) == len(done.new_ids), "one label for two objects"
        for each in commit.answers:
            if each.obj_id not in done.new_ids:
                continue
            number = done.new_ids[each.obj_id]
            label, tokens = _label(done.labels, number), self._tokens(each.prompts, commit.plane)
            is_used = number in there or self._kin.knows(label)
            assert not is_used or self._kin.are_one([label, *tokens]), (
                f"object {each.obj_id} was written as {number}, which is another object"
            )
            own = {n for n in there if self._kin.are_one([_label(done.labels, n), *tokens])}
            is_double = any(self._kin.are_one([twin, *tokens]) for twin in self._doubled)
            assert not own or number in own or is_double, (
                f"object {each.obj_id} was written as {number}, but there it is {own} already"
            )
            self._kin.join([label, *tokens])


class LabelsHistory:
    """What a layer was, is and was before it was undone, as napari's undo has it.

    Parameters
    ----------
    data : ndarray of integers
    image : Image, optional
        What a layer that began empty was made for.
    """

    def __init__(self, data: NDArray[Any], image: Any = None) -> None:
        self._states = [data.copy()]
        self._position = 0
        self.image = image
        self.is_changed = False
        """Whether anything but commits of the image changed it."""

    @property
    def now(self) -> NDArray[Any]:
        """What the layer must hold."""
        return self._states[self._position]

    def push(self, data: NDArray[Any]) -> None:
        """Note a write, which is a step of undo if it changed anything."""
        if not np.array_equal(data, self.now):
            self._states = [*self._states[: self._position + 1], data][-MOST_LEVELS - 1 :]
            self._position = len(self._states) - 1

    def move(self, by: int) -> None:
        """Go back or forward, if there is anything to go to."""
        self.is_changed = True
        self._position = min(max(self._position + by, 0), len(self._states) - 1)


class Kin:
    """Which tokens are of one object: what was joined once stays together."""

    def __init__(self) -> None:
        self._parents: dict[Token, Token] = {}

    def knows(self, token: Token) -> bool:
        """Whether a token was ever joined."""
        return token in self._parents

    def join(self, tokens: Iterable[Token]) -> None:
        """Take it that these are of one object."""
        first, *others = map(self._root, tokens)
        self._parents |= dict.fromkeys([first, *others], first)

    def are_one(self, tokens: Iterable[Token]) -> bool:
        """Whether these are known to be of one object."""
        return len({*map(self._root, tokens)}) == 1

    def _root(self, token: Token) -> Token:
        while (parent := self._parents.get(token, token)) != token:
            token = parent
        return token


def write(plane: NDArray[Any], mask: NDArray[np.bool_], label: int, mode: str) -> None:
    """Write an object as the documentation says, in place; its old pixels go."""
    is_others = (plane != 0) & (plane != label)
    if mode == "only where empty" and (mask & is_others).any():
        return
    plane[plane == label] = 0
    plane[mask if mode == "overwrite" else mask & ~is_others] = label


def whole(cut: MaskCut, hw: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask as large as its plane."""
    (row, column), mask = cut.origin, np.zeros(hw, bool)
    mask[row : row + cut.mask.shape[0], column : column + cut.mask.shape[1]] = cut.mask
    return mask


def _seen(data: NDArray[Any], plane: PlaneIndex) -> NDArray[Any]:
    seen = data[tuple(slice(None) if each is None else each for each in plane.index)]
    return seen.T if plane.transposed else seen


def _label(labels: Labels, number: int) -> Token:
    return "label", labels.unique_id, int(number)


def _place(vertices: NDArray[np.float64]) -> Token:
    # napari holds shapes in single precision.
    lowest = np.atleast_2d(vertices).min(axis=0).astype(float)
    return "prompt", tuple(lowest.round(2).tolist())


def _mask(cut: MaskCut, plane: PlaneIndex) -> Token:
    cut = cut.turned if plane.transposed else cut
    places = np.argwhere(cut.mask) + cut.origin
    return "mask", plane.index, hash(places.astype(np.int64).tobytes())


def _prompts(layer: Any) -> Iterator[tuple[Token, int, bool]]:
    """Give the place of each prompt of a layer, its number, and whether it is a box or a lasso."""
    if layer is None or len(layer.features) != len(layer.data):
        return
    kinds = getattr(layer, "shape_type", ["point"] * len(layer.data))
    for vertices, obj_id, kind in zip(
        layer.data, layer.features[drawing.OBJECT_FEATURE], kinds, strict=True
    ):
        yield _place(vertices), int(obj_id), kind in ("rectangle", "polygon")

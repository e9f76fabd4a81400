"""The objects of one plane: what is wanted of them, and what is answered."""

from collections.abc import Iterable, Mapping, Sequence

from napari_sam2_openvino._session.answers import AnswerMemory, ObjectAnswer
from napari_sam2_openvino._session.objects import HOVER
from napari_sam2_openvino._session.places import View
from napari_sam2_openvino._session.wanted import (
    VisibleBox,
    Wanted,
    focus_first,
    renewed,
    visible_region,
)
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region

MOST_REGIONS = 10_000
"""Sets of prompts of which it is remembered where they were decoded."""


class PlaneObjects:
    """What a session wants of the plane in view, and what it has of it."""

    def __init__(self) -> None:
        self.model_name: str | None = None
        self.source: PlaneSource | None = None
        self.options = MaskOptions()
        # An answer may be to older prompts: it is in view until the newest one is there.
        self.answers: dict[int, ObjectAnswer] = {}
        self._wanted: dict[int, Wanted] = {}
        self._focus: int | None = None
        self._shown: VisibleBox | None = None
        self._image_size: int | None = None
        self._memory = AnswerMemory()
        # Of answers that were remembered, the newest last: these take next to nothing.
        self._decoded_in: dict[tuple[View | None, str], Region] = {}
        self._changed: set[int] = set()
        self._errors: list[InputError] = []

    @property
    def view(self) -> View | None:
        """The plane as the model sees it; None without plane or model."""
        if self.model_name is None or self.source is None:
            return None
        return View(self.model_name, self.source.key)

    def take_changes(self) -> frozenset[int]:
        """Return the objects whose answers are others than when this was last called."""
        changes = frozenset(self._changed)
        self._changed.clear()
        return changes

    def take_errors(self) -> list[InputError]:
        """Return what was refused since this was last called."""
        errors, self._errors = self._errors, []
        return errors

    # What is wanted

    def set_model(self, name: str | None) -> None:
        """Want answers of another model."""
        self.model_name, self._image_size = name, None
        self._drop(self.answers)
        self._wanted = {
            key: Wanted(key, each.prompts, each.digest, each.recorded)
            for key, each in self._wanted.items()
        }

    def request(
        self,
        source: PlaneSource | None,
        objects: Mapping[int, ObjectPrompts],
        focus: int | None,
        shown: VisibleBox | None,
        regions: Mapping[int, Region],
    ) -> bool:
        """Want some objects of a plane, and return whether that is news.

        See `AnnotationSession.request`.
        """
        old_key = None if self.source is None else self.source.key
        new_key = None if source is None else source.key
        is_same = (source is None) == (self.source is None) and old_key == new_key
        before = self._wanted if is_same else {}
        wanted = {} if source is None else renewed(before, objects, regions)
        is_news = not is_same or list(wanted.values()) != list(self._wanted.values())
        self.source, self._focus, self._shown = source, focus, shown
        self._wanted = wanted
        self._drop([key for key in self.answers if not is_same or key not in wanted])
        return is_news

    def clear(self) -> None:
        """Want nothing, and forget everything."""
        self.source = None
        self._wanted, self.answers = {}, {}
        self.forget_answers()
        self._changed.clear()

    def forget_answers(self) -> None:
        """Forget what was answered before; what is wanted stays."""
        self._memory.clear()
        self._decoded_in.clear()

    def resolve(self, image_size: int) -> None:
        """Choose where each object is decoded, and answer those that are remembered.

        Parameters
        ----------
        image_size : int
            S of the model, in pixels.
        """
        self._image_size = image_size
        if self.source is None:
            return
        for each in self._wanted.values():
            if each.region is not None:
                continue
            known = self._memory.get((self.view, each.digest))
            before = self._decoded_in.get((self.view, each.digest))
            if known is not None and each.may_use(known.region):
                each.region = known.region
                self._put(known.of(each.obj_id, each.prompts))
                self._note_region(each, known.region)
            elif before is not None and each.may_use(before):
                # Its answer was dropped since: elsewhere it would get another mask.
                each.region = before
            else:
                each.region = each.choose_region(self.source, image_size, self._shown)

    def _note_region(self, each: Wanted, region: Region) -> None:
        # The pointer is in another place all the time.
        if each.obj_id == HOVER:
            return
        key = self.view, each.digest
        self._decoded_in.pop(key, None)
        self._decoded_in[key] = region
        if len(self._decoded_in) > MOST_REGIONS:
            del self._decoded_in[next(iter(self._decoded_in))]

    # What is there

    def region_of(self, source: PlaneSource, prompts: ObjectPrompts) -> Region | None:
        """Return where prompts were decoded last on a plane, or None, see `AnnotationSession`."""
        if self.model_name is None:
            return None
        return self._decoded_in.get((View(self.model_name, source.key), prompts.digest()))

    @property
    def is_empty(self) -> bool:
        """Whether no object is wanted."""
        return not self._wanted

    @property
    def n_wanted(self) -> int:
        """How many objects there are; without the preview under the pointer."""
        return len(self._wanted.keys() - {HOVER})

    @property
    def n_answered(self) -> int:
        """How many of them have the answer to their newest prompts."""
        return sum(self.answer(key) is not None for key in self._wanted if key != HOVER)

    @property
    def region(self) -> Region | None:
        """The region in use: of the object in focus, else the visible one; None if not known."""
        if self.source is None or self._image_size is None:
            return None
        each = self._wanted.get(self._focus) if self._focus is not None else None
        if each is not None and each.region is not None:
            return each.region
        return self.visible_region(self.source)

    def visible_region(self, source: PlaneSource) -> Region:
        """Return the region of a plane that is on the screen."""
        assert self._image_size is not None
        return visible_region(source, self._image_size, self._shown)

    def answer(self, obj_id: int) -> ObjectAnswer | None:
        """Return the answer to the newest prompts of an object, or None."""
        each, answer = self._wanted.get(obj_id), self.answers.get(obj_id)
        if each is None or answer is None or answer.options != self.options:
            return None
        return answer if _is_decoded(each, answer) else None

    def to_decode(self) -> list[Wanted]:
        """Return the objects without a decoded answer, the most urgent first."""
        return focus_first(
            (
                each
                for each in self._wanted.values()
                if each.error is None and not _is_decoded(each, self.answers.get(each.obj_id))
            ),
            self._focus,
        )

    def to_remake(self) -> list[ObjectAnswer]:
        """Return the answers that were made with other options, the most urgent first."""
        found = []
        for each in focus_first(self._wanted.values(), self._focus):
            answer = self.answers.get(each.obj_id)
            if answer and _is_decoded(each, answer) and answer.options != self.options:
                found.append(answer)
        return found

    def is_focus(self, each: Wanted) -> bool:
        """Return whether an object is the one in focus."""
        return each.obj_id == self._focus

    def wants(self, view: View, objects: Iterable[tuple[int, ObjectPrompts]]) -> bool:
        """Return whether some of these prompts are still wanted."""
        if view != self.view:
            return False
        wanted = self._wanted
        return any(key in wanted and wanted[key].prompts is each for key, each in objects)

    def keep(self, view: View, answers: Sequence[ObjectAnswer]) -> None:
        """Take answers that are still wanted; an object that is cut off gets a larger region."""
        if view != self.view or self.source is None or self._image_size is None:
            return
        for answer in answers:
            each = self._wanted.get(answer.obj_id)
            if each is None or not _is_decoded(each, answer):
                continue
            self._put(answer)
            if not (answer.touches_border and each.grow(self.source, self._image_size)):
                self._memory.put((view, each.digest), answer)
                self._note_region(each, answer.region)
        self._memory.trim(self.answers.values())

    def refuse(self, view: View, refused: Sequence[tuple[int, ObjectPrompts, InputError]]) -> None:
        """Note which prompts cannot be decoded: they are not tried again."""
        for obj_id, prompts, error in refused:
            if self.wants(view, [(obj_id, prompts)]):
                self._wanted[obj_id].error = error
                self._errors.append(error)
                self._drop([obj_id])

    def _put(self, answer: ObjectAnswer) -> None:
        self.answers[answer.obj_id] = answer
        self._changed.add(answer.obj_id)

    def _drop(self, obj_ids: Iterable[int]) -> None:
        for obj_id in list(obj_ids):
            if self.answers.pop(obj_id, None) is not None:
                self._changed.add(obj_id)


def _is_decoded(each: Wanted, answer: ObjectAnswer | None) -> bool:
    return answer is not None and answer.prompts is each.prompts and answer.region == each.region

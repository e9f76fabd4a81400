"""What keys, commands and buttons do: a few lines each."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from napari_sam2_openvino._layers import drawing
from napari_sam2_openvino._qt import status
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.drafting import Drafting
from napari_sam2_openvino._qt.prompt_layers import Tool
from napari_sam2_openvino._session.objects import Mode
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.parameters import MaskOptions, describe


class Verbs:
    """The verbs of `ACTIONS` that concern prompts and masks, and the commit.

    Parameters
    ----------
    annotator : Annotator
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator

    def table(self) -> Mapping[str, Callable[[], None]]:
        """Return what to call, by verb."""
        return {
            "draw_points": partial(self.draw, "points"),
            "draw_box": partial(self.draw, "box"),
            "draw_lasso": partial(self.draw, "lasso"),
            "draw_scribble": partial(self.draw, "scribble"),
            "place_point": self._annotator.placing.place,
            "toggle_polarity": self.toggle_polarity,
            "toggle_for_all": self.toggle_for_all,
            "undo": self.undo,
            "redo": self.redo,
            "next_object": self.next_object,
            "previous_object": self.previous_object,
            "clear": self.clear,
            "toggle_many": self.toggle_many,
            "next_mask": self.next_mask,
            "grow_mask": partial(self.shift_threshold, -1),
            "shrink_mask": partial(self.shift_threshold, 1),
            "toggle_hover": self.toggle_hover,
            "toggle_live": self.toggle_live,
            "commit": self.commit,
            "commit_all": self.commit_all,
        }

    def draw(self, tool: Tool) -> None:
        """Let the user draw prompts of one kind."""
        if drafting := self._drafting():
            drafting.layers.draw(tool)
            if tool in ("box", "lasso") and drafting.polarity == drawing.NEGATIVE:
                self._annotator.feedback.say("A box or a lasso is always positive.")
            drafting.set_polarity(drafting.polarity)

    def set_polarity(self, value: str) -> None:
        """Make the next point or scribble positive or negative."""
        if drafting := self._drafting():
            drafting.set_polarity(value)

    def toggle_polarity(self) -> None:
        """Make the next point or scribble negative instead of positive, or the other way round."""
        if drafting := self._drafting():
            is_positive = drafting.polarity == drawing.POSITIVE
            drafting.set_polarity(drawing.NEGATIVE if is_positive else drawing.POSITIVE)

    def toggle_for_all(self) -> None:
        """Let negative points count for all objects, or for the current one only."""
        if drafting := self._drafting():
            drafting.set_for_all(not drafting.is_for_all)

    def undo(self) -> None:
        """Take back the last change of the prompts."""
        self._annotator.sync()
        if (drafting := self._drafting()) and not drafting.undo():
            self._annotator.feedback.say("No change of the prompts is left to undo.")

    def redo(self) -> None:
        """Do again what was undone."""
        self._annotator.sync()
        if (drafting := self._drafting()) and not drafting.redo():
            self._annotator.feedback.say("Nothing is left to redo.")

    def next_object(self) -> None:
        """Go on to the next object."""
        self._annotator.sync()
        if drafting := self._drafting():
            drafting.next_object(self._annotator.drawn)

    def previous_object(self) -> None:
        """Go back to the object before."""
        self._annotator.sync()
        if drafting := self._drafting():
            drafting.previous_object(self._annotator.drawn)

    def clear(self) -> None:
        """Remove the prompts of the current object on this plane."""
        self._annotator.sync()
        annotator = self._annotator
        if (drafting := self._drafting()) and annotator.plane is not None:
            obj_id = drafting.objects.current
            if drafting.mode is Mode.EACH_PROMPT:
                # The current object has no prompts yet: the last one is meant.
                obj_id = annotator.focus or obj_id
            with_prompts = drafting.layers.planes(annotator.plane).get(annotator.plane, ())
            if obj_id in annotator.drawn or obj_id in with_prompts:
                drafting.clear(obj_id, annotator.plane)
            else:
                annotator.feedback.say("The current object has no prompts to clear on this plane.")

    def set_mode(self, mode: Mode) -> None:
        """Choose what a new prompt belongs to."""
        if (drafting := self._drafting()) and mode is not drafting.mode:
            # What is drawn now was drawn in the old mode.
            self._annotator.sync()
            drafting.set_mode(mode)

    def toggle_many(self) -> None:
        """Make every positive prompt an object of its own, or not."""
        if drafting := self._drafting():
            is_one = drafting.mode is Mode.ONE_OBJECT
            self.set_mode(Mode.EACH_PROMPT if is_one else Mode.ONE_OBJECT)

    def next_mask(self) -> None:
        """Show the next of the masks that the model proposes."""
        annotator = self._annotator
        annotator.sync()
        focus = annotator.focus
        answer = None if focus is None else annotator.session.answer(focus)
        if answer is None or focus is None:
            annotator.feedback.say(status.WAIT if focus else status.nothing(annotator.drawn))
        elif drafting := self._drafting():
            prediction = answer.prediction
            following = prediction.candidates[(prediction.chosen + 1) % len(prediction.candidates)]
            plane = annotator.plane
            assert plane is not None
            drafting.choose(focus, plane, prediction.stage, following.token)

    def shift_threshold(self, steps: int) -> None:
        """Raise or lower the threshold of masks."""
        session, about = self._annotator.session, describe(MaskOptions)["mask_threshold"]
        value = session.options.mask_threshold + steps * (about.step or 0)
        try:
            self._annotator.set_options(replace(session.options, mask_threshold=value))
        except InputError as error:
            self._annotator.feedback.say(str(error))

    def toggle_hover(self) -> None:
        """Show what a click at the pointer would give, or stop that."""
        self._annotator.set_hover(not self._annotator.hover.is_on)

    def toggle_live(self) -> None:
        """Let masks follow each edit, or not."""
        self._annotator.set_live(not self._annotator.is_live)

    def commit(self) -> None:
        """Write the current object into the target, if its mask is there."""
        # A click that was not read yet is part of the object: its mask is what is committed.
        self._annotator.sync(show=True)
        focus = self._annotator.focus
        self._annotator.commit([] if focus is None else [focus])

    def commit_all(self) -> None:
        """Write all objects of this plane into the target."""
        self._annotator.sync(show=True)
        self._annotator.commit(list(self._annotator.drawn))

    def _drafting(self) -> Drafting | None:
        annotator = self._annotator
        if annotator.is_closed:
            return None
        if annotator.drafting is None:
            annotator.feedback.say(status.NO_IMAGE)
        return annotator.drafting

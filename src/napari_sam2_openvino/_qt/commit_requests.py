"""Commits that the user asked for: checked, and put off until the masks are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2_openvino._qt import status
from napari_sam2_openvino._qt.commits import Commit, DrawnCommit

if TYPE_CHECKING:
    from napari_sam2_openvino._qt.annotator import Annotator


class CommitRequests:
    """Turns obj_ids into commits.

    Parameters
    ----------
    annotator : Annotator
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        # Objects to commit as soon as their masks are there, unless anything else is wanted.
        self._waiting: tuple[list[int], int] | None = None

    def commit(self, obj_ids: list[int]) -> None:
        """Write some of the objects of the plane in view into the target."""
        annotator, session = self._annotator, self._annotator.session
        image, plane, drafting = annotator.image, annotator.plane, annotator.drafting
        answers = [answer for each in obj_ids if (answer := session.answer(each)) is not None]
        self._waiting = None
        if annotator.feedback.problem:
            annotator.feedback.show()
        elif not obj_ids and image is not None:
            annotator.feedback.say(status.nothing(annotator.drawn))
        elif len(answers) < len(obj_ids) and session.is_busy:
            self._waiting = obj_ids, session.generation
            annotator.feedback.say(status.WAIT)
        elif image is None or plane is None or drafting is None:
            annotator.feedback.show()
        elif there := tuple(answer for answer in answers if answer.area):
            annotator.feedback.forget_error()
            labels = {each.obj_id: drafting.labels.of(each.obj_id) for each in there}
            annotator.committer.commit(
                DrawnCommit(
                    image,
                    plane,
                    there,
                    {key: label for key, label in labels.items() if label is not None},
                    annotator.commit_mode,
                    drafting.objects.largest,
                )
            )
        else:
            annotator.feedback.show()

    def is_current(self, commit: Commit) -> bool:
        """Whether the answers of a commit are still the newest."""
        # Edits that wait to be read count as well, also while the preview is not live.
        annotator = self._annotator
        annotator.sync(show=True)
        is_here = (annotator.image, annotator.plane) == (commit.image, commit.plane)
        return is_here and (
            not isinstance(commit, DrawnCommit)
            or all(annotator.session.answer(each.obj_id) is each for each in commit.answers)
        )

    def retry(self) -> None:
        """Commit what waits, if its masks are there and nothing else was drawn."""
        if self._waiting is None:
            return
        session = self._annotator.session
        obj_ids, generation = self._waiting
        if generation != session.generation:
            self._waiting = None
        elif all(session.answer(each) is not None for each in obj_ids):
            self._waiting = None
            # Edits that were not read yet count as well: then it is another object.
            self._annotator.sync(show=True)
            if generation == session.generation:
                self.commit(obj_ids)

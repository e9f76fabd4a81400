"""What finds the objects of a plane, described so that any process can make it."""

import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.model_content import content_hash
from napari_sam2_openvino.core.models import find_model_folder, load_model
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.tunings import read_tuning

if TYPE_CHECKING:
    import os

Cancelled = Callable[[], bool]


class PlaneSegmenter(Protocol):
    """Finds the objects of planes, one plane at a time."""

    def __call__(
        self, source: PlaneSource, position: tuple[int, ...], cancelled: Cancelled
    ) -> Generator[Progress, None, NDArray[Any]]:
        """Segment a plane.

        Parameters
        ----------
        source : PlaneSource
        position : tuple of int
            Of the plane along the axes of the labels, the two of a plane left out.
        cancelled : callable
            Asked often; the segmenter ends with `JobCancelledError` soon after it returns true.

        Yields
        ------
        Progress
            Of the plane.

        Returns
        -------
        ndarray of unsigned integers, shape (H, W)
            The labels: objects from 1 on. A function of the plane alone.
        """


class PlaneRecipe(Protocol):
    """How a segmenter is made; frozen, and can be pickled."""

    def for_image(self, image: StackImage) -> "PlaneRecipe":
        """Return the recipe for one image; raise InputError if it cannot be segmented by it."""

    def settled(self, threads: int | None) -> "PlaneRecipe":
        """Return it with nothing left to be chosen by the computer that it runs on, which is tried.

        Parameters
        ----------
        threads : int or None
            As `build` will get it.

        Raises
        ------
        Sam2Error
            If it cannot run in this process.
        """

    def as_begun(self, identity: Mapping[str, str]) -> "PlaneRecipe":
        """Return it with what it leaves open as it was in the identity of a job that was begun."""

    def build(self, threads: int | None) -> PlaneSegmenter:
        """Make it in this process, to use so many processor threads; None for all."""

    def identity(self) -> Mapping[str, str]:
        """Return all that the labels depend on beside the image, as texts by name."""


@dataclass(frozen=True)
class ModelRecipe:
    """A model that each process loads once.

    Parameters
    ----------
    folder : Path
    device, precision : str
        See `load_model`.
    """

    folder: Path
    device: str = "CPU"
    precision: str = "auto"

    @classmethod
    def of(
        cls,
        model: "str | os.PathLike[str] | Sam2Model",
        device: str = "CPU",
        precision: str = "auto",
    ) -> "ModelRecipe":
        """Describe a model by its name or folder, or one that is loaded and is used as it is here.

        Raises
        ------
        ModelNotFoundError
            If there is none.
        """
        if not isinstance(model, Sam2Model):
            return cls(find_model_folder(model).absolute(), device, precision)
        recipe = cls(model.folder.absolute(), model.device, model.precision)
        with _LOCK:
            _LOADED[recipe, None] = model
        return recipe

    def load(self, threads: int | None = None) -> Sam2Model:
        """Return the model, loaded in this process; only the last one is kept.

        One that was replaced on the disk is loaded anew.
        """
        with _LOCK:
            known = _LOADED.get((self, threads))
            if known is not None and known.content == content_hash(self.folder):
                return known
            _LOADED.clear()
            model = load_model(
                self.folder, device=self.device, precision=self.precision, threads=threads
            )
            _LOADED[self, threads] = model
            return model

    def settled(self, threads: int | None = None) -> "ModelRecipe":
        """Return it with the device and precision that the model has when it is loaded here."""
        model = self.load(threads)
        settled = replace(self, device=model.device, precision=model.precision)
        with _LOCK:
            _LOADED[settled, threads] = model
        return settled

    def as_begun(self, identity: Mapping[str, str]) -> "ModelRecipe":
        """Return it with the device and precision of a job that was begun, unless it names one."""
        return replace(
            self,
            device=identity.get("device", "auto") if self.device == "auto" else self.device,
            precision=(
                identity.get("precision", "auto") if self.precision == "auto" else self.precision
            ),
        )

    def identity(self) -> dict[str, str]:
        """Return what masks depend on: the content of the folder, wherever it lies."""
        device, precision = self.device, self.precision
        best = read_tuning(self.folder).best(None if device == "auto" else device)
        if best is not None:
            device = best.choice.device if device == "auto" else device
            precision = best.choice.precision if precision == "auto" else precision
        return {
            "model": f"{self.folder.name} {content_hash(self.folder)}",
            "device": device,
            "precision": precision,
        }


# One model for each process, whatever makes segmenters there: a worker of a cluster gets one task
# after the other, and nothing else of it lives on from one to the next.
_LOADED: dict[tuple[ModelRecipe, int | None], Sam2Model] = {}
_LOCK = threading.Lock()

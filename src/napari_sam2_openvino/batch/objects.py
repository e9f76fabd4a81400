"""Every object of a plane, as the window finds them."""

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from numpy.typing import NDArray

from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.batch.segmenter import Cancelled, ModelRecipe, PlaneSegmenter
from napari_sam2_openvino.core.all_objects import find_objects
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.model_folder import read_model_info
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.progress import Progress


@dataclass(frozen=True)
class EveryObject:
    """Finds every object by a grid of points, see `find_objects`.

    Parameters
    ----------
    model : ModelRecipe
    parameters : AllObjectsParameters
    """

    model: ModelRecipe
    parameters: AllObjectsParameters

    def for_image(self, image: StackImage) -> "EveryObject":  # noqa: ARG002
        """Return itself: it is the same for all images."""
        return self

    def settled(self, threads: int | None) -> "EveryObject":
        """Return it with the device and precision that the model has when it is loaded here."""
        return replace(self, model=self.model.settled(threads))

    def as_begun(self, identity: Mapping[str, str]) -> "EveryObject":
        """Return it with the device and precision of a job that was begun, unless it names one."""
        return replace(self, model=self.model.as_begun(identity))

    def build(self, threads: int | None) -> PlaneSegmenter:
        """Make the segmenter in this process."""
        return _Finder(self.model.load(threads), self.parameters)

    def identity(self) -> dict[str, str]:
        """Return all that the labels depend on."""
        parts = asdict(self.parameters)
        # How many points are decoded at once changes nothing.
        del parts["generator"]["points_per_batch"]
        values = {
            f"{part}.{name}": str(value)
            for part, content in parts.items()
            for name, value in content.items()
        }
        return {**self.model.identity(), **values}


def recommended_parameters(model: ModelRecipe) -> AllObjectsParameters:
    """Return how objects are best found with a model, which need not be loaded for that."""
    return read_model_info(model.folder).all_objects or AllObjectsParameters()


@dataclass(frozen=True, eq=False)
class _Finder:
    model: Sam2Model
    parameters: AllObjectsParameters

    def __call__(
        self,
        source: PlaneSource,
        position: tuple[int, ...],  # noqa: ARG002
        cancelled: Cancelled,
    ) -> Generator[Progress, None, NDArray[Any]]:
        candidates = yield from find_objects(
            self.model, source, self.parameters, cancelled=cancelled
        )
        return labels_from_candidates(candidates, self.parameters.labels).labels

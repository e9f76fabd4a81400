"""Objects that were pointed at: a table of points and boxes, applied to every plane and file."""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.batch.prompt_table import PlacedPrompts, read_prompts
from napari_sam2_openvino.batch.segmenter import Cancelled, ModelRecipe, PlaneSegmenter
from napari_sam2_openvino.core.commit import CommitMode, commit_to_plane
from napari_sam2_openvino.core.errors import JobCancelledError
from napari_sam2_openvino.core.marks import MaskCut, ObjectPrompts
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.object_decoder import ObjectPrediction
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.prompted_masks import masks_of_prompts
from napari_sam2_openvino.core.regions import Region

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PromptedObjects:
    """Decodes the same prompts, or a plane's own, on every plane.

    Objects are decoded and committed as the window does it, in the order of their numbers. An
    object that has rows for all planes has the same number on each.

    Parameters
    ----------
    model : ModelRecipe
    table : DataFrame
        See `read_prompts`.
    options : MaskOptions, optional
    mode : {"keep existing", "overwrite", "only where empty"}, optional
        What happens where objects overlap, see `changed_pixels`.
    prompts : tuple of PlacedPrompts, optional
        What the table says about one image; found by `for_image`.
    """

    model: ModelRecipe
    table: "pd.DataFrame"
    options: MaskOptions = field(default_factory=MaskOptions)
    mode: CommitMode = "keep existing"
    prompts: tuple[PlacedPrompts, ...] = ()

    def for_image(self, image: StackImage) -> "PromptedObjects":
        """Return the recipe with the prompts of one image.

        Raises
        ------
        InputError
            If the table cannot be used for it.
        """
        name = Path(image.name).name
        return replace(self, prompts=read_prompts(self.table, name, image.axes))

    def settled(self, threads: int | None) -> "PromptedObjects":
        """Return it with the device and precision that the model has when it is loaded here."""
        return replace(self, model=self.model.settled(threads))

    def as_begun(self, identity: Mapping[str, str]) -> "PromptedObjects":
        """Return it with the device and precision of a job that was begun, unless it names one."""
        return replace(self, model=self.model.as_begun(identity))

    def build(self, threads: int | None) -> PlaneSegmenter:
        """Make the segmenter in this process."""
        return _Decoding(self.model.load(threads), self)

    def identity(self) -> dict[str, str]:
        """Return all that the labels depend on."""
        hasher = hashlib.blake2b(digest_size=16)
        for each in self.prompts:
            hasher.update(repr((each.position, each.obj_id, each.prompts.digest())).encode())
        options = {f"mask.{name}": str(value) for name, value in asdict(self.options).items()}
        about = {"prompts": hasher.hexdigest(), "commit_mode": self.mode}
        return {**self.model.identity(), **about, **options}


class _Decoding:
    """Decodes the prompts of planes."""

    def __init__(self, model: Sam2Model, recipe: PromptedObjects) -> None:
        from napari_sam2_openvino.core.object_decoder import ObjectDecoder

        self._model = model
        self._decoder = ObjectDecoder(model)
        self._recipe = recipe

    def __call__(
        self, source: PlaneSource, position: tuple[int, ...], cancelled: Cancelled
    ) -> Generator[Progress, None, NDArray[Any]]:
        here = _by_object(self._recipe.prompts, position)
        labels = np.zeros(source.hw, np.uint32)
        yield Progress("Decoding", 0.0)
        cuts: dict[int, MaskCut] = {}
        for index, cut in self._masks(source, list(here.values()), cancelled):
            cuts[index] = cut
            yield Progress("Decoding", len(cuts) / len(here))
        for index, obj_id in enumerate(here):
            commit_to_plane(labels, cuts[index], obj_id, self._recipe.mode, replaced=Box())
        return labels

    def _masks(
        self, source: PlaneSource, objects: Sequence[ObjectPrompts], cancelled: Cancelled
    ) -> Iterator[tuple[int, MaskCut]]:
        """Give the mask of each object; one that is cut by its region is decoded in a larger."""

        def predict(region: Region, chosen: Sequence[ObjectPrompts]) -> list[ObjectPrediction]:
            embedding = self._encode(source.load, region, cancelled)
            return self._decoder.predict(embedding, region, chosen, cancelled=cancelled)

        size, options = self._model.image_size, self._recipe.options
        for found in masks_of_prompts(source.hw, size, objects, predict, options):
            yield found.index, found.cut

    def _encode(
        self, load: Callable[[Region], NDArray[np.uint8]], region: Region, cancelled: Cancelled
    ) -> Any:
        if cancelled():
            raise JobCancelledError("The segmentation was cancelled.")
        return self._model.encode(load(region), cancelled=cancelled)


def _by_object(
    prompts: Sequence[PlacedPrompts], position: tuple[int, ...]
) -> dict[int, ObjectPrompts]:
    """Return what is said about each object on a plane, in the order of their numbers."""
    found: dict[int, ObjectPrompts] = {}
    for each in prompts:
        if each.is_on(position):
            before = found.get(each.obj_id, ObjectPrompts())
            found[each.obj_id] = replace(before, marks=before.marks + each.prompts.marks)
    for_all = found.pop(0, ObjectPrompts()).marks
    return {
        obj_id: replace(found[obj_id], marks=for_all + found[obj_id].marks)
        for obj_id in sorted(found)
        if not found[obj_id].is_empty
    }

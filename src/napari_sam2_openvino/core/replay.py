"""Run a session again without a window: the same masks, committed in the same order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_sam2_openvino.core.commit import commit_to_plane
from napari_sam2_openvino.core.devices import is_listed, list_devices
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import MaskCut, ObjectPrompts
from napari_sam2_openvino.core.models import load_model
from napari_sam2_openvino.core.normalize import ChannelView
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.planes import PlaneSource, StretchCache, make_plane_source
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.records import ModelRecord, ObjectRecord
from napari_sam2_openvino.core.regions import Region, choose_region, grow
from napari_sam2_openvino.core.replay_plan import (
    check_fit,
    decodable,
    in_order,
    other_channels,
)
from napari_sam2_openvino.core.session_file import SessionFile
from napari_sam2_openvino.core.types import PlaneIndex

if TYPE_CHECKING:
    from napari_sam2_openvino.core.model import Sam2Model
    from napari_sam2_openvino.core.object_decoder import ObjectDecoder

# Enough for the embeddings of planes that are come back to, and never much memory.
_CACHE_BYTES = 1 << 28


@dataclass(frozen=True)
class ReplayedObject:
    """One object that was committed.

    Parameters
    ----------
    obj_id : int
    plane : PlaneIndex
    n_pixels : int
        That belonged to it when it was committed.
    iou_prediction : float
        The model's own estimate.
    class_name : str
    """

    obj_id: int
    plane: PlaneIndex
    n_pixels: int
    iou_prediction: float
    class_name: str


@dataclass(frozen=True, eq=False)
class _Mask:
    cut: MaskCut
    iou_prediction: float


@dataclass(frozen=True, eq=False)
class _Task:
    """An object that is to be decoded in a region."""

    record: ObjectRecord
    prompts: ObjectPrompts
    region: Region
    view: ChannelView
    model: ModelRecord


class Replay:
    """Decodes and commits the objects of a session, plane by plane.

    Each object is decoded with the model, the channels and intensities, the region and the options
    that are recorded with it, and committed in the recorded order and mode, by the classes that
    the window uses. So the labels are those of the window, bit for bit, where the model's key is
    the recorded one; where it is not, as on a computer that lacks the recorded device, `notes` says
    so.

    Parameters
    ----------
    session : SessionFile
    images : sequence of ImageArrays
        One for each of the session's, of its axes. A displayed axis must be as long as it was.
    model : str, optional
        Use this model for all objects instead of the recorded ones.
    device : str, optional
        Run on this device instead of the recorded ones.
    include_drafts : bool, optional
        Also commit, last, the objects that were not committed yet.

    Raises
    ------
    InputError
        If the images do not fit, or there is nothing to commit.
    """

    def __init__(
        self,
        session: SessionFile,
        images: Sequence[ImageArrays],
        *,
        model: str | None = None,
        device: str | None = None,
        include_drafts: bool = False,
    ) -> None:
        self._session = session
        self._images = images
        self._model = model
        self._device = device
        self._records = in_order(session.objects, include_drafts=include_drafts)
        # Whether no pixel is on two planes, one seen from two sides included.
        self._are_apart = len({record.plane.displayed for record in self._records}) < 2
        self._boxes: dict[tuple[PlaneIndex, int], Box] = {}
        self._loaded: dict[tuple[str, str, str], tuple[Sam2Model, ObjectDecoder]] = {}
        self._embeddings = EmbeddingCache(_CACHE_BYTES)
        self._stretches = StretchCache()
        self.objects: list[ReplayedObject] = []
        """What was committed so far."""
        self.differences = other_channels(session, self._records)
        """Sentences about masks that may not be the window's."""
        self._left_out: list[str] = []
        n_drafts = sum(not record.committed for record in decodable(session.objects))
        if not self._records:
            drafts = f"; {n_drafts} are not committed yet: include drafts" if n_drafts else ""
            raise InputError(f"The session holds no committed object{drafts}.")
        if n_drafts and not include_drafts:
            self._left_out.append(f"{n_drafts} objects that are not committed yet were left out.")
        check_fit(session, images, self._records)

    @property
    def notes(self) -> list[str]:
        """Sentences about what may differ from the window's result."""
        return [*self._left_out, *self.differences]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the labels."""
        return self._images[0].shape

    @property
    def largest_id(self) -> int:
        """The largest label that will be written."""
        return max(record.obj_id for record in self._records)

    def run(self, labels: NDArray[Any]) -> Iterator[Progress]:
        """Write all objects into labels.

        Parameters
        ----------
        labels : ndarray of integers, of `shape`
            Changed in place; a plane is written when the last of its objects was decoded.

        Yields
        ------
        Progress
        """
        n_done = 0
        for plane, group in groupby(self._records, key=lambda record: record.plane):
            records = list(group)
            yield self._progress(n_done, plane)
            masks: dict[int, _Mask] = {}
            for index, mask in self._decode(plane, records):
                masks[index] = mask
                yield self._progress(n_done + len(masks), plane)
            n_done += len(records)
            self._commit(labels, plane, records, masks)

    def _progress(self, n_done: int, plane: PlaneIndex) -> Progress:
        n_all = len(self._records)
        place = ", ".join("*" if value is None else str(value) for value in plane.index)
        return Progress("Segmenting", n_done / n_all, f"plane ({place}), {n_done} of {n_all}")

    def _decode(
        self, plane: PlaneIndex, records: Sequence[ObjectRecord]
    ) -> Iterator[tuple[int, _Mask]]:
        """Give the masks of some objects of a plane, with their places in the list."""
        from napari_sam2_openvino.core.object_masks import make_mask, touches_border

        pending = {index: self._task(record) for index, record in enumerate(records)}
        while pending:
            first = next(iter(pending.values()))
            together = [
                index
                for index, task in pending.items()
                if (task.model, task.view, task.region) == (first.model, first.view, first.region)
            ]
            model, decoder = self._load(first.model)
            source = self._source(plane, first.view)
            embedding = self._encode(model, source, first.region)
            predictions = decoder.predict(
                embedding, first.region, [pending[index].prompts for index in together]
            )
            for index, prediction in zip(together, predictions, strict=True):
                task = pending.pop(index)
                chosen = prediction.choice
                cut = make_mask(chosen.logits, task.region, source.hw, task.record.options)
                larger = None
                if task.record.region is None and touches_border(cut, task.region, source.hw):
                    larger = grow(task.region, source.hw, model.image_size)
                if larger is None:
                    yield index, _Mask(cut, chosen.iou_prediction)
                else:
                    pending[index] = _Task(task.record, task.prompts, larger, task.view, task.model)

    def _task(self, record: ObjectRecord) -> _Task:
        identity = record.model or self._session.model
        view = record.view or self._session.view
        prompts, region = record.prompts.value(), record.region
        if region is None:
            height, width = (self.shape[axis] for axis in record.plane.displayed)
            size = self._load(identity)[0].image_size
            region = choose_region((height, width), size, prompts.bounds())
        return _Task(record, prompts, region, view, identity)

    def _source(self, plane: PlaneIndex, view: ChannelView) -> PlaneSource:
        return make_plane_source(self._images, plane, view, self._stretches)

    def _encode(self, model: "Sam2Model", source: PlaneSource, region: Region) -> Any:
        key = repr((model.key, source.key, region))
        embedding = self._embeddings.get(key)
        if embedding is None:
            embedding = model.encode(source.load(region))
            self._embeddings.put(key, embedding)
        return embedding

    def _load(self, recorded: ModelRecord) -> "tuple[Sam2Model, ObjectDecoder]":
        name = self._model or recorded.name
        device, precision = recorded.device, recorded.precision
        if self._device:
            device, precision = self._device, "auto"
        elif not is_listed(device, [each.name for each in list_devices()]):
            # Of another computer.
            device = precision = "auto"
        if (name, device, precision) not in self._loaded:
            from napari_sam2_openvino.core.object_decoder import ObjectDecoder

            model = load_model(name, device=device, precision=precision)
            self._loaded[name, device, precision] = model, ObjectDecoder(model)
        model, decoder = self._loaded[name, device, precision]
        if recorded.key and model.key != recorded.key:
            note = (
                f"Model {model.name} ({model.device}, {model.precision}) is not the same as "
                f"{recorded.name} ({recorded.device}, {recorded.precision}) of the session: "
                "masks may differ."
            )
            self.differences += [note] if note not in self.differences else []
        return model, decoder

    def _commit(
        self,
        labels: NDArray[Any],
        plane: PlaneIndex,
        records: Sequence[ObjectRecord],
        masks: dict[int, _Mask],
    ) -> None:
        pixels = labels[tuple(slice(None) if value is None else value for value in plane.index)]
        if plane.transposed:
            pixels = pixels.T
        for index, record in enumerate(records):
            cut, obj_id = masks[index].cut, record.obj_id
            here = plane, obj_id
            before = self._boxes.get(here, Box())
            # Where another plane crosses this one, the object may have pixels from there as well.
            replaced = before if self._are_apart else None
            n_pixels = commit_to_plane(pixels, cut, obj_id, record.commit_mode, replaced=replaced)
            self._boxes[here] = Box.around([before, Box.of(cut)])
            self.objects.append(
                ReplayedObject(
                    obj_id, plane, n_pixels, masks[index].iou_prediction, record.class_name
                )
            )

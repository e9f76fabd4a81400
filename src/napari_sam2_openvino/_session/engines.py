"""What a session asks of a model."""

from collections.abc import Callable, Generator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.all_objects import default_parameters, find_objects
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.embeddings import EmbeddingCache, embedding_key
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.object_decoder import ObjectDecoder, ObjectPrediction
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.propagation import CarriedPlane, Propagation, propagate_masks
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import ImageEmbedding


class Engine(Protocol):
    """A model that is loaded. Used in the worker only, but for its properties."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def image_size(self) -> int:
        """S: side of the square that the network sees, in pixels."""

    @property
    def key(self) -> str:
        """What embeddings and masks depend on: weights, device and precision."""

    def embedding_key(self, rgb: NDArray[np.uint8]) -> str:
        """Return the key of an image's embedding."""

    def encode(self, rgb: NDArray[np.uint8], *, cancelled: Callable[[], bool]) -> ImageEmbedding:
        """Encode an image, and stop with JobCancelledError when asked to."""

    def decode(
        self,
        embedding: ImageEmbedding,
        region: Region,
        objects: Sequence[ObjectPrompts],
        *,
        cancelled: Callable[[], bool],
    ) -> list[ObjectPrediction]:
        """Decode the prompts of some objects in one region, and stop when asked to."""

    @property
    def all_objects(self) -> AllObjectsParameters:
        """How every object of an image is best found with it."""

    def find_objects(
        self,
        source: PlaneSource,
        parameters: AllObjectsParameters,
        *,
        cancelled: Callable[[], bool],
        embeddings: EmbeddingCache,
    ) -> Generator[Progress, None, Candidates]:
        """Find every candidate of a plane, and stop with JobCancelledError when asked to."""

    @property
    def has_memory(self) -> bool:
        """Whether it remembers objects from plane to plane."""

    def propagate(
        self,
        propagation: Propagation,
        *,
        cancelled: Callable[[], bool],
        embeddings: EmbeddingCache,
    ) -> Generator[CarriedPlane | None, None, None]:
        """Carry objects from plane to plane, and stop with JobCancelledError when asked to."""


class Sam2Engine:
    """A model folder, run by OpenVINO.

    Parameters
    ----------
    name : str
        Of a model; see `load_model`.
    """

    def __init__(self, name: str) -> None:
        from napari_sam2_openvino.core.models import load_model

        self._model = load_model(name, device="auto")
        self._decoder = ObjectDecoder(self._model)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._model.name

    @property
    def image_size(self) -> int:
        """S: side of the square that the network sees, in pixels."""
        return self._model.image_size

    @property
    def key(self) -> str:
        """What embeddings and masks depend on: weights, device and precision."""
        return self._model.key

    def embedding_key(self, rgb: NDArray[np.uint8]) -> str:
        """Return the key of an image's embedding."""
        return embedding_key(self._model.key, rgb)

    def encode(self, rgb: NDArray[np.uint8], *, cancelled: Callable[[], bool]) -> ImageEmbedding:
        """Encode an image."""
        return self._model.encode(rgb, cancelled=cancelled)

    def decode(
        self,
        embedding: ImageEmbedding,
        region: Region,
        objects: Sequence[ObjectPrompts],
        *,
        cancelled: Callable[[], bool],
    ) -> list[ObjectPrediction]:
        """Decode the prompts of some objects in one region."""
        return self._decoder.predict(embedding, region, objects, cancelled=cancelled)

    @property
    def all_objects(self) -> AllObjectsParameters:
        """How every object of an image is best found with it."""
        return default_parameters(self._model)

    def find_objects(
        self,
        source: PlaneSource,
        parameters: AllObjectsParameters,
        *,
        cancelled: Callable[[], bool],
        embeddings: EmbeddingCache,
    ) -> Generator[Progress, None, Candidates]:
        """Find every candidate of a plane."""
        return find_objects(
            self._model, source, parameters, cancelled=cancelled, embeddings=embeddings, keep=True
        )

    @property
    def has_memory(self) -> bool:
        """Whether it remembers objects from plane to plane."""
        return self._model.has_memory

    def propagate(
        self,
        propagation: Propagation,
        *,
        cancelled: Callable[[], bool],
        embeddings: EmbeddingCache,
    ) -> Generator[CarriedPlane | None, None, None]:
        """Carry objects from plane to plane."""
        return propagate_masks(self._model, propagation, cancelled=cancelled, embeddings=embeddings)

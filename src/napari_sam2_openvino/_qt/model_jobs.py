"""The jobs of the dock for models: images are read in their thread."""

from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Lock, Thread
from typing import Protocol

from napari_sam2_openvino._qt.sample_choice import Samples
from napari_sam2_openvino.batch.samples import SampledPlane, split_samples
from napari_sam2_openvino.comparison import ComparisonReport
from napari_sam2_openvino.comparison.compare import MOST_IMAGES
from napari_sam2_openvino.comparison.saved_report import read_report
from napari_sam2_openvino.conversion import QuantizeJob
from napari_sam2_openvino.conversion.compare_job import CompareJob
from napari_sam2_openvino.conversion.proposal import Proposal
from napari_sam2_openvino.core.errors import JobCancelledError
from napari_sam2_openvino.core.model_folder import REPORT_FOLDER
from napari_sam2_openvino.core.models import ModelListing
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.quantize_parameters import QuantizeParameters


class _FolderJob(Protocol):
    @property
    def folder(self) -> Path: ...

    def run(self) -> Generator[Progress, None, None]: ...

    def cancel(self) -> None: ...


class QuantizeRun:
    """Quantizes a model; a `CancellableJob`. What it makes is hidden until it is accepted.

    Parameters
    ----------
    model : ModelListing
    proposal : Proposal
    parameters : QuantizeParameters
    samples : Samples
    has_labels : bool
        Whether the planes come with their objects.
    """

    def __init__(
        self,
        model: ModelListing,
        proposal: Proposal,
        parameters: QuantizeParameters,
        samples: Samples,
        *,
        has_labels: bool,
    ) -> None:
        self.model = model
        self.proposal = proposal
        self.report: ComparisonReport | None = None
        """What it costs and gains, when it is done."""
        self._lock = Lock()
        self._is_settled = False
        planes = _planes(samples, parameters.planes, model.image_size)
        images, labels = split_samples(planes, has_labels=has_labels)
        assert model.folder is not None
        self._job = QuantizeJob(
            model.folder,
            images,
            proposal.name,
            parameters.preset,
            labels=labels,
            destination=proposal.folder,
        )

    def run(self) -> Generator[Progress, None, None]:
        """Do it; see `QuantizeJob`."""
        yield from self._job.run()
        with self._lock:
            if self._is_settled:
                # Nobody waits for it any more.
                self.proposal.discard()
                raise JobCancelledError("The quantization was cancelled.")
            self.report = read_report(self.proposal.folder / REPORT_FOLDER)

    def cancel(self) -> None:
        """End it, or throw away what it has made; without effect once that is accepted."""
        self._job.cancel()
        with self._lock:
            if not self._is_settled:
                self._is_settled = True
                self.proposal.discard()

    def accept(self) -> Path:
        """Keep what it has made, and return its folder; see `Proposal.accept`."""
        with self._lock:
            folder = self.proposal.accept()
            self._is_settled = True
            return folder


class CompareRun:
    """Compares two models; a `CancellableJob`."""

    def __init__(
        self, a: ModelListing, b: ModelListing, samples: Samples, *, has_labels: bool
    ) -> None:
        planes = _planes(samples, MOST_IMAGES, a.image_size)
        images, labels = split_samples(planes, has_labels=has_labels)
        self._job: _FolderJob = CompareJob(a.name, b.name, images, labels=labels)
        self.report: ComparisonReport | None = None

    @property
    def folder(self) -> Path:
        """Where the report lies."""
        return self._job.folder

    def run(self) -> Generator[Progress, None, None]:
        """Do it; see `CompareJob`."""
        yield from self._job.run()
        self.report = read_report(self._job.folder)

    def cancel(self) -> None:
        """End it."""
        self._job.cancel()


class Undecided:
    """The quantized model that waits for the user's word, if there is one.

    Outlives the widget, so that nothing is left behind when that is destroyed.
    """

    def __init__(self) -> None:
        self.run: QuantizeRun | None = None

    def discard(self) -> None:
        """Throw it away, or end what makes it."""
        if self.run is not None:
            # Not a daemon: it is done even where napari ends.
            Thread(target=self.run.cancel, name="sam2-discard").start()
            self.run = None


def _planes(samples: Samples, most: int, image_size: int) -> Iterator[SampledPlane]:
    """Read planes when they are wanted, in whatever thread that is."""
    yield from samples(most, image_size)

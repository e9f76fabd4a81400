"""One stack on its way: where its labels go, which planes are missing, what makes them final."""

import json
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from napari_sam2_openvino._files.images import LABELS_SUFFIXES, check_labels_path
from napari_sam2_openvino._files.labels_store import LabelsStore
from napari_sam2_openvino.batch.axes import select_planes
from napari_sam2_openvino.batch.copying import write_labels
from napari_sam2_openvino.batch.emptiness import Emptiness
from napari_sam2_openvino.batch.image_check import compared_planes
from napari_sam2_openvino.batch.images import StackImage, choose_channels
from napari_sam2_openvino.batch.journal import JobIdentity, Journal
from napari_sam2_openvino.batch.linking import decide_links, link_series, linked_plane
from napari_sam2_openvino.batch.output_lock import OutputLock
from napari_sam2_openvino.batch.outputs import (
    check_output,
    check_what_is_there,
    journal_folder,
    read_noted,
    record_file,
    remove_output,
    write_record,
)
from napari_sam2_openvino.batch.own_files import (
    check_own,
    is_growing,
    make_own_store,
    make_store,
    place,
    place_for,
)
from napari_sam2_openvino.batch.parameters import BatchParameters
from napari_sam2_openvino.batch.plane_work import StackTask
from napari_sam2_openvino.batch.segmenter import PlaneRecipe
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.progress import Progress

Settle = Callable[[PlaneRecipe], PlaneRecipe]


@dataclass(frozen=True, eq=False)
class StackSettings:
    """What is the same for all stacks of a job.

    Parameters
    ----------
    recipe : PlaneRecipe
    parameters : BatchParameters
    planes : str
        Which ones, see `select_planes`; empty for all.
    resume, overwrite : bool
        What to do where a job was begun already, or ended.

    Raises
    ------
    InputError
        If both are asked for.
    """

    recipe: PlaneRecipe
    parameters: BatchParameters = field(default_factory=BatchParameters)
    planes: str = ""
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_what_is_there(resume=self.resume, overwrite=self.overwrite)


class Stack:
    """The labels of one image; until it is closed, no other job can write to them.

    While they are made there is a folder beside them, with the same name and ".partial": the
    journal, and the planes where the labels are no .zarr or are still to be linked. In the end a
    .json file takes its place, which says how the labels were made.

    Parameters
    ----------
    image : StackImage
    output : Path
        A .zarr, .tif or .npy.
    settings : StackSettings
    settle : callable, optional
        Tries the recipe and returns it settled, see `PlaneRecipe`, before anything is begun or
        overwritten; by default it is taken as it is.

    Raises
    ------
    InputError
        If the labels cannot go there, what was begun is something else, or another job writes to
        them. As with what ``settle`` raises, what is there stays.
    """

    def __init__(
        self,
        image: StackImage,
        output: Path,
        settings: StackSettings,
        *,
        settle: Settle | None = None,
    ) -> None:
        self.image = image
        self.output = output
        self._settings = settings
        self._recipe = settings.recipe.for_image(image)
        self._record = record_file(output)
        self._folder = journal_folder(output)
        self._journal = Journal(self._folder)
        self._links = settings.parameters.linking
        self._is_growing = is_growing(output)
        self._view = choose_channels(
            image,
            settings.parameters.channels,
            settings.parameters.normalization,
            as_grey=settings.parameters.planes.as_grey,
        )
        axes = image.axes
        self.numbers = (
            select_planes(axes, settings.planes) if settings.planes else tuple(range(axes.n_planes))
        )
        if self._links.link != "none":
            link_series(axes, self._links.link, self.numbers)
        self._check_place()
        self._lock = OutputLock(output)
        try:
            self._lock.acquire()
            self._is_final = self._prepare(settle)
            if settings.overwrite:
                remove_output(output)
            self._begin()
        except OSError as error:
            self.close()
            raise self._cannot_write(error) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let other jobs write to the labels; from any thread."""
        self._lock.release()

    @property
    def _raw(self) -> Path:
        """The store of planes as they were segmented."""
        if self._is_growing and self._links.link == "none":
            return self.output
        return self._folder / "planes.zarr"

    def _prepare(self, settle: Settle | None) -> bool:
        """See whether what is there is this job's and finished; nothing is changed."""
        noted = None if self._settings.overwrite else read_noted(self.output)
        if noted is not None:
            self._recipe = self._recipe.as_begun(noted.identity.segmenter)
        elif settle is not None:
            self._recipe = settle(self._recipe)
        self._made_from = self._identity()
        if noted is None:
            return False
        noted.check(self._made_from, self.image, self._view)
        return noted.is_final

    def _check_place(self) -> None:
        settings, output = self._settings, self.output
        if output.suffix.lower() not in LABELS_SUFFIXES:
            check_labels_path(output)
        self.image.check_output(output)
        check_output(output, resume=settings.resume, overwrite=settings.overwrite)

    def _identity(self) -> JobIdentity:
        parameters = self._settings.parameters
        segmenter = {
            **self._recipe.identity(),
            **{name: str(value) for name, value in asdict(parameters.planes).items()},
            "channels": str(parameters.channels),
            **{name: str(value) for name, value in asdict(parameters.normalization).items()},
            **{name: str(value) for name, value in asdict(parameters.linking).items()},
        }
        return JobIdentity(
            str(self.image.dtype), self.image.layout, self._settings.planes, segmenter
        )

    def _begin(self) -> None:
        """Go on with what is there, or make everything that planes are written to."""
        if self._is_final:
            return
        if not self._journal.exists:
            self._journal.begin(self._made_from)
        elif self.pending():
            # A plane that comes between changes what is linked with what.
            self._journal.forget_links()
        for path in self._stores():
            if not path.exists():
                self._check_nothing_lost(path)
                if path == self.output:
                    make_own_store(path, self.image, self._journal)
                else:
                    make_store(path, self.image)

    def _check_nothing_lost(self, path: Path) -> None:
        if any(self._journal.has_plane(number) for number in self.numbers):
            raise InputError(
                f"{path} is gone, but planes of it were finished: overwrite what was begun."
            )

    def _stores(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys([self._raw, *([self.output] if self._is_growing else [])]))

    @property
    def is_final(self) -> bool:
        """Whether the labels were finished before."""
        return self._is_final

    def pending(self) -> tuple[int, ...]:
        """Return the numbers of the planes that are not finished."""
        if self._is_final:
            return ()
        return tuple(each for each in self.numbers if not self._journal.has_plane(each))

    def n_objects(self) -> int:
        """Return how many objects the finished planes have."""
        if self._is_final:
            return int(json.loads(self._record.read_bytes())["n_objects"])
        finished = (each for each in self.numbers if self._journal.has_plane(each))
        return sum(self._journal.record(number).n_objects for number in finished)

    def task(self, *, for_other_processes: bool = False) -> StackTask:
        """Return what processes need to segment planes of it.

        Parameters
        ----------
        for_other_processes : bool, optional
            Whether an array in memory must be written to the disk for them.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        image = self.image
        if for_other_processes:
            try:
                image = image.spooled(self._folder)
            except OSError as error:
                raise self._cannot_write(error) from error
        emptiness = None
        share = self._settings.parameters.planes.skip_empty
        if share > 0:
            with image.open() as arrays:
                emptiness = Emptiness.measure(arrays, image.axes, self._view, share)
        # Workers of a cluster may have another folder to start from.
        stores = tuple(each.absolute() for each in self._stores())
        return StackTask(
            image.absolute(),
            self._view,
            self._recipe,
            Journal(self._folder.absolute()),
            self._journal.run,
            stores,
            compared_planes(self.numbers),
            emptiness,
        )

    def finish(self) -> Generator[Progress, None, None]:
        """Link planes, write the labels under their name, and note how they were made.

        Planes that failed are empty there, and what is needed to try them again stays. If all of
        them failed, nothing is written.

        Raises
        ------
        InputError
            If they cannot be written, or others are there by now; what was segmented stays.
        """
        if self._is_final or len(self.pending()) == len(self.numbers):
            return
        try:
            check_own(self.output, self._journal.run, self._journal.files, is_final=False)
            if self._links.link != "none":
                yield from decide_links(
                    LabelsStore(self._raw),
                    link_series(self.image.axes, self._links.link, self.numbers),
                    self.image.axes,
                    self._journal,
                    self._links,
                )
            yield from self._write_final()
            if self.pending():
                return
            write_record(
                self.output,
                self._journal,
                n_planes=len(self.numbers),
                n_objects=self.n_objects(),
            )
            self._journal.remove()
        except OSError as error:
            raise self._cannot_write(error) from error
        self._is_final = True

    def _cannot_write(self, error: OSError) -> InputError:
        return InputError(
            f"The labels cannot be written to {self.output} ({error.strerror or error}): make room "
            "or choose another place, and resume."
        )

    def _write_final(self) -> Generator[Progress, None, None]:
        """Put the planes, linked if they are to be, where the labels belong."""
        labels = LabelsStore(self._raw)
        if self._links.link != "none":
            linked = self.output if self._is_growing else self._folder / "linked.zarr"
            if not linked.exists():
                make_store(linked, self.image)
            labels, raw = LabelsStore(linked), labels
            for done, number in enumerate(self.numbers, start=1):
                position = self.image.axes.position(number)
                labels.write(position, linked_plane(raw.read(position), self._journal, number))
                text = f"plane {done} of {len(self.numbers)}"
                yield Progress("Writing linked planes", detail=text)
        if not self._is_growing:
            made = place_for(self.output, self._journal)
            yield from write_labels(labels, made, self.image)
            place(made, self.output, self._journal)

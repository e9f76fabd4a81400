"""The formats that objects are exported to, and the job that does it."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from napari_sam2_openvino._files.images import check_place
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.core.parameters import ExportParameters
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.export.coco import write_coco
from napari_sam2_openvino.export.geojson import write_geojson
from napari_sam2_openvino.export.imagej import write_imagej
from napari_sam2_openvino.export.label_images import write_ome_zarr, write_tiff
from napari_sam2_openvino.export.measurements import write_csv
from napari_sam2_openvino.export.overlay import write_overlay

Writer = Callable[[LabelledImage, Path, ExportParameters], Generator[Progress, None, None]]
Source = Callable[[], AbstractContextManager[LabelledImage]]


def _plain(write: Callable[[LabelledImage, Path], Generator[Progress, None, None]]) -> Writer:
    """Return a writer that has no parameters as one that leaves them alone."""
    return lambda labelled, path, _parameters: write(labelled, path)


@dataclass(frozen=True)
class ExportFormat:
    """One format.

    Parameters
    ----------
    name : str
        What the command line calls it.
    title : str
        What the window calls it.
    suffixes : tuple of str
        Ends of file names; the first is suggested.
    tip : str
        What it is for.
    write : callable
        Writes a `LabelledImage` to a path.
    parameters : tuple of str, optional
        Names of the fields of `ExportParameters` that matter.
    uses_image : bool, optional
        Whether the image matters.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    tip: str
    write: Writer
    parameters: tuple[str, ...] = ()
    uses_image: bool = False


FORMATS = (
    ExportFormat(
        "coco",
        "COCO JSON",
        (".json",),
        "Masks, classes and scores for training and evaluation, read by pycocotools.",
        write_coco,
        parameters=("segmentation",),
    ),
    ExportFormat(
        "geojson",
        "GeoJSON (QuPath)",
        (".geojson", ".json"),
        "Outlines with holes, classes and measurements, which QuPath imports.",
        _plain(write_geojson),
    ),
    ExportFormat(
        "imagej",
        "ImageJ ROIs",
        (".zip",),
        "A set of ROIs for the ROI manager of ImageJ and Fiji.",
        _plain(write_imagej),
    ),
    ExportFormat(
        "csv",
        "Measurements (CSV)",
        (".csv",),
        "A row for each object: size, shape and intensities in the units of the layer.",
        _plain(write_csv),
        uses_image=True,
    ),
    ExportFormat(
        "ome-zarr",
        "OME-Zarr labels",
        (".zarr",),
        "The labels with axes, units and coarser levels.",
        _plain(write_ome_zarr),
    ),
    ExportFormat(
        "tiff",
        "OME-TIFF labels",
        (".ome.tif", ".tif", ".tiff"),
        "The labels as an image with axes and units.",
        _plain(write_tiff),
    ),
    ExportFormat(
        "overlay",
        "Picture (PNG)",
        (".png",),
        "One plane with contours or filled objects over the image.",
        write_overlay,
        parameters=("style", "contour_width", "opacity"),
        uses_image=True,
    ),
)


def find_format(name: str) -> ExportFormat:
    """Return the format of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    for each in FORMATS:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in FORMATS)
    raise InputError(f"The format must be one of {names}, but is {name!r}: choose one of them.")


def check_output(path: Path, chosen: ExportFormat, *, overwrite: bool = False) -> None:
    """Raise InputError if objects cannot be written under a name in a format."""
    if not path.name.lower().endswith(chosen.suffixes):
        raise InputError(
            f"{chosen.title} is written to {' or '.join(chosen.suffixes)}, but the name is "
            f"{path.name!r}: choose another."
        )
    check_place(path, overwrite=overwrite)


class ExportJob:
    """Writes labels in a format; a `CancellableJob`.

    Parameters
    ----------
    source : callable
        Opens the labels; called when the job runs, so in its thread.
    path : Path
        Where to write.
    chosen : ExportFormat
    parameters : ExportParameters, optional
    overwrite : bool, optional
        Replace what is there.

    Raises
    ------
    InputError
        If the path cannot be written to.
    """

    def __init__(
        self,
        source: Source,
        path: Path,
        chosen: ExportFormat,
        parameters: ExportParameters | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        check_output(path, chosen, overwrite=overwrite)
        self._source = source
        self._path = path
        self._format = chosen
        self._parameters = ExportParameters() if parameters is None else parameters
        self._is_cancelled = False

    def run(self) -> Generator[Progress, None, None]:
        """Do it. Ended early, it leaves nothing behind.

        Raises
        ------
        InputError
            If something cannot be read or written.
        MissingExtraError
            If the format needs a package that is not installed.
        JobCancelledError
            After `cancel`.
        """
        yield Progress("Reading")
        with (
            self._source() as labelled,
            # Closed at once, so that nothing is left behind.
            closing(self._format.write(labelled, self._path, self._parameters)) as reports,
        ):
            for progress in reports:
                yield progress
                if self._is_cancelled:
                    raise JobCancelledError("The export was cancelled: nothing was written.")

    def cancel(self) -> None:
        """End it at its next report."""
        self._is_cancelled = True


def export_labels(
    labelled: LabelledImage,
    path: Path,
    format_name: str,
    parameters: ExportParameters | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write labels in one of `FORMATS`, without reports.

    Parameters
    ----------
    labelled : LabelledImage
    path : Path
    format_name : str
        Such as "coco".
    parameters : ExportParameters, optional
    overwrite : bool, optional
        Replace what is there.

    Raises
    ------
    InputError
        If something cannot be read or written.
    MissingExtraError
        If the format needs a package that is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((64, 64), np.uint16)
    >>> labels[10:20, 30:50] = 1
    >>> export_labels(LabelledImage(labels), Path("objects.json"), "coco")  # doctest: +SKIP
    """
    job = ExportJob(
        lambda: nullcontext(labelled),
        path,
        find_format(format_name),
        parameters,
        overwrite=overwrite,
    )
    for _ in job.run():
        pass

"""Segment a stack with one call."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_sam2_openvino.batch.dask_runner import DaskRunner
from napari_sam2_openvino.batch.job import BatchJob
from napari_sam2_openvino.batch.objects import EveryObject, recommended_parameters
from napari_sam2_openvino.batch.parameters import BatchParameters
from napari_sam2_openvino.batch.reports import StackReport
from napari_sam2_openvino.batch.segmenter import ModelRecipe
from napari_sam2_openvino.batch.stack import StackSettings
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.progress import Progress


def segment_stack(
    image: object,
    model: str | os.PathLike[str] | Sam2Model,
    output: str | os.PathLike[str],
    *,
    axes: str | None = None,
    parameters: BatchParameters | None = None,
    planes: str = "",
    scheduler: Any = None,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
) -> StackReport:
    """Find every object of every plane of an image; memory does not grow with the planes.

    Each plane is read, segmented, written and forgotten. A call that was killed goes on with
    ``resume=True``: finished planes are not done again, and one that was being done is not trusted.

    Parameters
    ----------
    image : path-like, napari Image layer, or array-like
        A TIFF, OME-TIFF, zarr, OME-Zarr, .npy or picture; numpy, dask, zarr or a list of such as a
        pyramid. Two to five axes, and colours.
    model : str, path-like or Sam2Model
        See `load_model`. With a scheduler, a name or folder that the workers have too.
    output : path-like
        Labels to write: .zarr (OME-Zarr, readable from the first plane on), .tif or .npy. Ids begin
        at 1 on each plane unless planes are linked.
    axes : str, optional
        One letter for each axis, such as "TZYX"; otherwise what the file says, or a guess.
    parameters : BatchParameters, optional
    planes : str, optional
        Which ones, such as "z=10:20" or "t=0, z=::5"; all by default.
    scheduler : str or distributed.Client, optional
        "local" for processes on this computer, or the address of a Dask scheduler whose workers see
        the same files. By default this process does the work.
    workers : int, optional
        How many processes "local" starts.
    resume, overwrite : bool, optional
        Go on with what was begun, with the same image and parameters; or begin anew.
    on_progress : callable, optional
        Called with each `Progress`; what it raises ends the call, and what is done stays.

    Returns
    -------
    StackReport
        With a sentence for each plane that failed: try again with ``resume=True``.

    Raises
    ------
    InputError
        If image, parameters or output cannot be used.
    ModelNotFoundError, ModelFormatError, DeviceError
        If the model cannot be loaded.
    MissingExtraError
        If there is a scheduler and the package distributed is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_sam2_openvino import segment_stack
    >>> stack = np.load("stack.npy", mmap_mode="r")  # doctest: +SKIP
    >>> segment_stack(stack, "starter", "labels.zarr", axes="zyx")  # doctest: +SKIP
    """
    parameters = BatchParameters() if parameters is None else parameters
    recipe = ModelRecipe.of(model)
    objects = parameters.objects or recommended_parameters(recipe)
    settings = StackSettings(EveryObject(recipe, objects), parameters, planes, resume, overwrite)
    runner = None if scheduler is None else DaskRunner(scheduler, workers)
    job = BatchJob([(image, Path(output).expanduser())], settings, axes=axes, runner=runner)
    for progress in job.run():
        if on_progress is not None:
            on_progress(progress)
    if job.errors:
        raise job.errors[0]
    return job.report.stacks[0]

"""Labels of a store, once they are finished, in a file of another format; plane by plane."""

from collections.abc import Generator
from itertools import product
from pathlib import Path

import numpy as np

from napari_sam2_openvino._files.images import TIFF_SUFFIXES
from napari_sam2_openvino._files.labels_store import LabelsStore
from napari_sam2_openvino._files.replacing import replacing
from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.export.label_images import write_tiff


def write_labels(
    store: LabelsStore, path: Path, image: StackImage
) -> Generator[Progress, None, None]:
    """Write labels to a TIFF or .npy file, whole or not at all.

    Not by a map of memory: that would end the process where the disk is full.

    Parameters
    ----------
    store : LabelsStore
    path : Path
    image : StackImage
        What was segmented: says what the axes are and how large pixels.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    if path.suffix.lower() in TIFF_SUFFIXES:
        # OME-TIFF knows no other axes; of channels there are none in labels.
        letters = "".join(each if each in "TZ" else "C" for each in image.axes.labels_letters[:-2])
        labelled = LabelledImage(
            store.array, f"{letters}YX", image.scale, image.units, name=path.name.split(".")[0]
        )
        yield from write_tiff(labelled, path)
        return
    with replacing(path, "The labels") as temporary, temporary.open("wb") as file:
        header = {"descr": "<u4", "fortran_order": False, "shape": store.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for position in product(*map(range, store.shape[:-2])):
            file.write(store.read(position).astype("<u4").tobytes())
            yield Progress("Writing planes")

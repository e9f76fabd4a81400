"""Labels to export from napari's layers, as napari hands them out: pixels and what is said."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_sam2_openvino.core.labelled_image import DEFAULT_AXES, LabelledImage


def labelled_of_layer(
    data: Any,
    about: Mapping[str, Any],
    *,
    image: Any = None,
    shown: tuple[int, ...] | None = None,
) -> LabelledImage:
    """Return a Labels layer as what is exported; nothing is read.

    Parameters
    ----------
    data : array_like or sequence of array_like
        Labels; of a pyramid the finest level counts.
    about : mapping
        What ``layer.as_layer_data_tuple()`` says: ``name``, ``scale``, ``rotate``, ``shear``,
        ``affine``, ``units``, ``axis_labels`` and ``features`` matter.
    image : array_like, optional
        Pixels of the image that was segmented.
    shown : tuple of int, optional
        Index of the plane that a picture shows.

    Raises
    ------
    InputError
        If they cannot be exported.
    """
    labels = data if hasattr(data, "dtype") else data[0]
    ndim = len(labels.shape)
    letters = "".join(str(each).upper() for each in about.get("axis_labels") or ())
    is_named = len(letters) == ndim and set(letters) <= set("TCZYX") and letters.endswith("YX")
    features = about.get("features")
    sizes = _pixel_sizes(about, ndim)
    return LabelledImage(
        labels,
        letters if is_named else DEFAULT_AXES.get(ndim, ""),
        sizes,
        tuple(str(each) for each in about.get("units") or ()) if sizes else (),
        # The layer's own changes while it is written.
        features.copy() if features is not None and len(features) else None,
        image,
        str(about.get("name", "labels")),
        shown,
    )


def _pixel_sizes(about: Mapping[str, Any], ndim: int) -> tuple[float, ...]:
    """Return the size of a pixel in the world along each axis.

    None where pixels are no rectangles there: then areas and lengths are told in pixels.
    """
    matrix = np.diag(np.broadcast_to(np.asarray(about.get("scale", 1.0), float), ndim))
    shear = np.eye(ndim)
    shear[np.triu_indices(ndim, 1)] = about.get("shear", 0.0)
    matrix = np.asarray(about.get("rotate", np.eye(ndim)), float) @ shear @ matrix
    matrix = np.asarray(about.get("affine", np.eye(ndim + 1)), float)[:-1, :-1] @ matrix
    sizes = np.linalg.norm(matrix, axis=0)
    angles = (matrix.T @ matrix) / np.outer(sizes, sizes)
    return tuple(sizes.tolist()) if np.allclose(angles, np.eye(ndim), atol=1e-6) else ()

"""Labels to export from napari's layers, as napari hands them out: pixels and what is said."""

from collections.abc import Mapping
from typing import Any

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
        What ``layer.as_layer_data_tuple()`` says: ``name``, ``scale``, ``units``, ``axis_labels``
        and ``features`` matter.
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
    return LabelledImage(
        labels,
        letters if is_named else DEFAULT_AXES.get(ndim, ""),
        tuple(float(each) for each in about.get("scale", ())),
        tuple(str(each) for each in about.get("units") or ()),
        # The layer's own changes while it is written.
        features.copy() if features is not None and len(features) else None,
        image,
        str(about.get("name", "labels")),
        shown,
    )

"""Where the files of a model of the list lie, and their removal."""

from pathlib import Path

from napari_sam2_openvino.conversion import staging
from napari_sam2_openvino.core.catalogue import find_entry
from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.models import ModelListing
from napari_sam2_openvino.core.paths import checkpoints_dir


def folder_of(listing: ModelListing) -> Path | None:
    """Return the folder that a model or its checkpoint lies in; None if neither is here."""
    if listing.state == "in catalogue":
        return None
    return checkpoints_dir() if listing.folder is None else listing.folder


def files_of(listing: ModelListing) -> Path:
    """Return what a removal takes away: the model's folder, or else its checkpoint."""
    if listing.folder is not None:
        return listing.folder
    entry = find_entry(listing.name)
    assert entry is not None
    return entry.checkpoint


def remove_files(place: Path) -> None:
    """Remove a model folder or a checkpoint.

    Raises
    ------
    ConversionError
        If it cannot be removed.
    """
    if place.is_dir():
        staging.remove_folder(place)
        return
    try:
        place.unlink(missing_ok=True)
    except OSError as error:
        raise ConversionError(f"{place} cannot be removed ({error.strerror}).") from error

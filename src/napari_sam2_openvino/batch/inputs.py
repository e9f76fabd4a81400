"""Which images a command is about, and where the labels of each go."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam2_openvino._files.images import LABELS_SUFFIXES, TIFF_SUFFIXES
from napari_sam2_openvino.core.errors import InputError

# Of the many formats that are read, those that a folder is searched for.
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, ".zarr", ".npy", ".png", ".jpg", ".jpeg", ".bmp", ".gif")
# No folder of labels is called like that.
_OTHER_SUFFIXES = (*(set(IMAGE_SUFFIXES) - set(LABELS_SUFFIXES)), ".json", ".csv", ".zip")
_ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")


@dataclass(frozen=True)
class Inputs:
    """Images and their labels.

    Parameters
    ----------
    pairs : tuple of (Path, Path)
        Each image with the labels that are made of it.
    left_out : tuple of Path
        Files of folders that are not called as images are.
    """

    pairs: tuple[tuple[Path, Path], ...]
    left_out: tuple[Path, ...] = ()


def plan_outputs(inputs: Sequence[Path], output: Path, suffix: str = ".tif") -> Inputs:
    """Find the images, and name the labels of each.

    One image becomes one labels image. A folder, or several images, become a folder of labels, of
    the same names.

    Parameters
    ----------
    inputs : sequence of Path
        Files, and folders whose files are meant; an OME-Zarr is a file here.
    output : Path
        Labels, or a folder of labels, which is made if it is not there.
    suffix : str, optional
        Of labels in a folder.

    Raises
    ------
    InputError
        If there are no images, none of them is there, or the output does not fit them.
    """
    images, left_out = find_images(inputs)
    output = output.expanduser()
    if any(each.is_dir() and each.expanduser().resolve() == output.resolve() for each in inputs):
        raise InputError(f"{output} is where the images are: choose another folder.")
    if output.suffix.lower() in _OTHER_SUFFIXES and not output.is_dir():
        raise InputError(
            f"Labels are written to {', '.join(LABELS_SUFFIXES)} or a folder, but the name is "
            f"{output.name!r}: choose another."
        )
    is_one = len(images) == len(inputs) == 1 and images[0] == inputs[0].expanduser()
    if is_one and output.suffix.lower() in LABELS_SUFFIXES:
        return Inputs(((images[0], output),))
    # No empty folder is left where a path is mistyped.
    if not any(image.exists() for image in images):
        raise InputError(f"There is no image {images[0]}: check its path.")
    stems = Counter(_stem(image) for image in images)
    names = [_stem(each) if stems[_stem(each)] == 1 else each.name for each in images]
    outputs = name_outputs(names, output, suffix)
    return Inputs(tuple(zip(images, outputs, strict=True)), tuple(left_out))


def find_images(inputs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the images among files and in folders, and what folders hold beside them.

    Raises
    ------
    InputError
        If there are no images.
    """
    images: list[Path] = []
    left_out: list[Path] = []
    for path in (each.expanduser() for each in inputs):
        if not path.is_dir() or is_zarr(path):
            images.append(path)
            continue
        try:
            found = [each for each in sorted(path.iterdir()) if not each.name.startswith(".")]
        except OSError as error:
            raise InputError(
                f"The folder {path} cannot be read ({error.strerror}): choose another."
            ) from error
        images += [each for each in found if each.suffix.lower() in IMAGE_SUFFIXES]
        left_out += [each for each in found if each.suffix.lower() not in IMAGE_SUFFIXES]
    if not images:
        raise InputError(
            f"There is no image in {', '.join(map(str, inputs))}: images are called "
            f"{', '.join(IMAGE_SUFFIXES)}."
        )
    return images, left_out


def name_outputs(names: Sequence[str], output: Path, suffix: str) -> list[Path]:
    """Return where labels of images of some names go in a folder, which is made if it is missing.

    Raises
    ------
    InputError
        If two images have one name, or the output is a file.
    """
    if output.suffix.lower() in LABELS_SUFFIXES or output.is_file():
        raise InputError(
            f"Labels of {len(names)} images go into a folder, but {output} is called as a file "
            "is: give the name of a folder."
        )
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise InputError(f"Two images are called {double[0]}: segment their folders one by one.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The folder {output} cannot be made ({error.strerror}): choose another."
        ) from error
    return [output / f"{name}{suffix}" for name in names]


def is_zarr(path: Path) -> bool:
    """Whether a folder is an image that is called a zarr."""
    return any((path / name).exists() for name in _ZARR_FILES) or path.suffix == ".zarr"


def _stem(path: Path) -> str:
    """Return the name of an image without what says of which format it is."""
    stem = path.stem
    return stem.removesuffix(".ome") if path.suffix else stem

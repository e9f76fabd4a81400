"""Published checkpoints: where they are, what each is good for, how one is known to be whole."""

from dataclasses import dataclass
from pathlib import Path

from napari_sam2_openvino.core.paths import checkpoints_dir

_URL = "https://dl.fbaipublicfiles.com/segment_anything_2"
_META = "https://github.com/facebookresearch/sam2"
_GOOD_FOR = {
    "tiny": "Smallest and fastest of Meta's: the one to start with on a laptop",
    "small": "A fifth slower than tiny, slightly finer masks",
    "base_plus": "About twice tiny's time for an image, finer masks",
    "large": "The most accurate and about six times tiny's time for an image",
}
_CONFIG_SUFFIX = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


@dataclass(frozen=True)
class CatalogueEntry:
    """One published checkpoint.

    Parameters
    ----------
    name : str
        Name of the model, of its checkpoint and by default of its model folder.
    config_file : str
        Config inside the sam2 package.
    image_size : int
        Side of the square that the network sees, in pixels.
    page : str
        Web page of its authors.
    url : str or None
        Where the checkpoint is downloaded from; None where the user brings the file.
    n_bytes : int or None
        Size of the download; None where it is not published.
    sha256 : str or None
        Hash of the checkpoint; None where it is not known.
    licence : str
        Licence of the weights; "" where the user has to look it up on the page.
    description : str
        What the model is good for, in one line.
    """

    name: str
    config_file: str
    image_size: int
    page: str
    url: str | None
    n_bytes: int | None
    sha256: str | None
    licence: str
    description: str

    @property
    def can_be_downloaded(self) -> bool:
        """Whether it can be downloaded and checked; otherwise the user brings the file."""
        return self.url is not None and self.sha256 is not None

    @property
    def file_name(self) -> str:
        """Name of the checkpoint file that is downloaded."""
        return (self.url or "").rpartition("/")[2]

    @property
    def checkpoint(self) -> Path:
        """The file that the checkpoint is downloaded to, be it there or not."""
        return checkpoints_dir() / self.file_name


def _entry(version: str, size: str, n_bytes: int | None, sha256: str) -> CatalogueEntry:
    name = f"{version}_hiera_{size}"
    folder = {"sam2.1": "092824", "sam2": "072824"}[version]
    return CatalogueEntry(
        name=name,
        config_file=f"configs/{version}/{version}_hiera_{_CONFIG_SUFFIX[size]}.yaml",
        image_size=1024,
        page=_META,
        url=f"{_URL}/{folder}/{name}.pt",
        n_bytes=n_bytes,
        sha256=sha256,
        licence="Apache-2.0",
        description=f"{_GOOD_FOR[size]} (SAM {version.removeprefix('sam')})",
    )


CATALOGUE: tuple[CatalogueEntry, ...] = (
    _entry(
        "sam2.1",
        "tiny",
        156_008_466,
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ),
    _entry(
        "sam2.1",
        "small",
        184_416_285,
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ),
    _entry(
        "sam2.1",
        "base_plus",
        323_606_802,
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ),
    _entry(
        "sam2.1",
        "large",
        898_083_611,
        "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
    ),
    _entry(
        "sam2", "tiny", None, "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125"
    ),
    _entry(
        "sam2", "small", None, "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3"
    ),
    _entry(
        "sam2",
        "base_plus",
        None,
        "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
    ),
    _entry(
        "sam2", "large", None, "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b"
    ),
    # No SHA-256 of these is known, so nothing could be checked if they were downloaded.
    CatalogueEntry(
        name="hvit_t_cells",
        config_file="configs/sam2.1/sam2.1_hiera_t.yaml",
        image_size=1024,
        page="https://github.com/computational-cell-analytics/micro-sam",
        url=None,
        n_bytes=None,
        sha256=None,
        licence="",
        description="micro-sam's generalist for cells in light microscopy (SAM 2.1 tiny)",
    ),
    CatalogueEntry(
        name="MedSAM2",
        config_file="configs/sam2.1/sam2.1_hiera_t.yaml",
        image_size=512,
        page="https://github.com/bowang-lab/MedSAM2",
        url=None,
        n_bytes=None,
        sha256=None,
        licence="",
        description="CT, MRI and other medical volumes, in squares of 512 pixels (SAM 2.1 tiny)",
    ),
)


def find_entry(name: str) -> CatalogueEntry | None:
    """Return the entry of that name, or None."""
    return next((entry for entry in CATALOGUE if entry.name == name), None)


def find_entry_by_hash(sha256: str) -> CatalogueEntry | None:
    """Return the entry whose checkpoint has that SHA-256, or None."""
    return next((entry for entry in CATALOGUE if entry.sha256 == sha256), None)


def downloads() -> tuple[CatalogueEntry, ...]:
    """Return the entries whose checkpoint can be downloaded."""
    return tuple(entry for entry in CATALOGUE if entry.can_be_downloaded)

"""Checkpoints of the catalogue, downloaded when the user asks and checked before use."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from napari_sam2_openvino.conversion import staging
from napari_sam2_openvino.conversion.checkpoints import sha256_of_file
from napari_sam2_openvino.core.catalogue import CATALOGUE, CatalogueEntry
from napari_sam2_openvino.core.errors import ConversionError, InputError, JobCancelledError
from napari_sam2_openvino.core.paths import checkpoints_dir
from napari_sam2_openvino.core.progress import Progress

_CHUNK_BYTES = 2**18
_TIMEOUT_S = 15
_POLL_S = 0.1
_MEGABYTE = 1_000_000


class DownloadJob:
    """One download; `run` drives it, `cancel` ends it from any thread.

    Parameters
    ----------
    name : str
        Name of a model of the catalogue.

    Raises
    ------
    InputError
        If the catalogue has no such model.
    """

    def __init__(self, name: str) -> None:
        entry = next((entry for entry in CATALOGUE if entry.name == name), None)
        if entry is None:
            names = ", ".join(entry.name for entry in CATALOGUE)
            raise InputError(f"The catalogue has no model {name!r}: choose one of {names}.")
        self._entry = entry
        self._cancelled = threading.Event()
        self.path = checkpoints_dir() / entry.file_name

    def run(self) -> Generator[Progress, None, None]:
        """Download; the checkpoint is at `path` when the generator ends, and not before.

        Raises
        ------
        ConversionError
            If it cannot be reached, is not what was published, or does not fit on the disk.
        JobCancelledError
            If it was cancelled.
        """
        if self.path.is_file() and sha256_of_file(self.path) == self._entry.sha256:
            yield Progress("Already downloaded", 1.0)
            return
        with staging.staged_folder(self.path) as staged:
            transfer = _Transfer(self._entry, staged.folder, self._cancelled)
            threading.Thread(target=transfer.run, daemon=True).start()
            try:
                yield from self._reports(transfer)
            finally:
                # The thread may still wait for the network; it stops at its next look.
                transfer.abandon()
            staged.publish_file()
        yield Progress("Downloaded", 1.0)

    def cancel(self) -> None:
        """End the download; `run` removes what it wrote."""
        self._cancelled.set()

    def _reports(self, transfer: "_Transfer") -> Iterator[Progress]:
        while not transfer.has_ended.is_set():
            if self._cancelled.is_set():
                break
            try:
                yield transfer.reports.get(timeout=_POLL_S)
            except queue.Empty:
                continue
        if self._cancelled.is_set():
            raise JobCancelledError("The download was cancelled.")
        if transfer.error is not None:
            raise transfer.error


def download(name: str, *, on_progress: Callable[[Progress], None] | None = None) -> Path:
    """Download a checkpoint of the catalogue, unless it is there already.

    Parameters
    ----------
    name : str
        Name of a model of the catalogue.
    on_progress : callable, optional
        Called with each `Progress`.

    Returns
    -------
    Path
        The checkpoint.

    Raises
    ------
    ConversionError, InputError
    """
    job = DownloadJob(name)
    for progress in job.run():
        if on_progress is not None:
            on_progress(progress)
    return job.path


class _AbandonedError(Exception):
    """Leaves pooch's loop."""


class _Transfer:
    """The part that runs in a thread: pooch, reporting through a queue.

    Has the methods of a tqdm bar that pooch calls.
    """

    def __init__(self, entry: CatalogueEntry, folder: Path, cancelled: threading.Event) -> None:
        self._entry = entry
        self._folder = folder
        self._cancelled = cancelled
        self._abandoned = threading.Event()
        self._done_bytes = 0
        self.total = 0
        self.error: Exception | None = None
        self.has_ended = threading.Event()
        self.reports: queue.SimpleQueue[Progress] = queue.SimpleQueue()

    def run(self) -> None:
        """Download into the folder and check the hash."""
        import pooch

        entry = self._entry
        try:
            pooch.retrieve(
                entry.url,
                known_hash=f"sha256:{entry.sha256}",
                fname=entry.file_name,
                path=self._folder,
                downloader=pooch.HTTPDownloader(
                    progressbar=self, chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_S
                ),
            )
        except _AbandonedError:
            pass
        except OSError as error:
            # pooch's HTTP errors are OSErrors without a number; those of the disk have one.
            self.error = error
            if error.errno is None:
                self.error = ConversionError(
                    f"{entry.url} cannot be downloaded ({type(error).__name__}): check the "
                    "connection and try again."
                )
        except ValueError:
            self.error = ConversionError(
                f"What {entry.url} sent is not the checkpoint that was published (its SHA-256 "
                "differs), so it was removed: try again."
            )
        except Exception as error:
            self.error = error
        self.has_ended.set()

    def abandon(self) -> None:
        """Stop at the next piece of data."""
        self._abandoned.set()

    def update(self, n_bytes: int) -> None:
        """Count what came; called by pooch."""
        if self._cancelled.is_set() or self._abandoned.is_set():
            raise _AbandonedError
        total = self.total or self._entry.n_bytes or 0
        self._done_bytes += n_bytes
        share = min(self._done_bytes / total, 1.0) if total else float("nan")
        detail = f"{self._done_bytes / _MEGABYTE:.0f}"
        if total:
            detail += f" of {total / _MEGABYTE:.0f}"
        detail += " MB"
        self.reports.put(Progress(f"Downloading {self._entry.name}", share, detail))

    def reset(self) -> None:
        """Start over; called by pooch before its last update."""
        self._done_bytes = 0

    def close(self) -> None:
        """Do nothing; called by pooch at the end."""

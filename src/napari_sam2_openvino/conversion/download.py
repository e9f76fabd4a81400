"""Checkpoints of the catalogue, downloaded when the user asks and checked before use."""

import hashlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2_openvino.conversion import staging
from napari_sam2_openvino.conversion.checkpoints import sha256_of_file
from napari_sam2_openvino.core.catalogue import CatalogueEntry, downloads, find_entry
from napari_sam2_openvino.core.errors import ConversionError, InputError, JobCancelledError
from napari_sam2_openvino.core.progress import Progress

if TYPE_CHECKING:
    import requests

_CHUNK_BYTES = 2**18
_TIMEOUT_S = 15
_POLL_S = 0.1
_JOIN_S = 0.5
_MEGABYTE = 1_000_000
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416


class DownloadJob:
    """One download; `run` drives it, `cancel` ends it from any thread.

    What came before a connection broke, or this process did, is kept, and the next download goes
    on from there. `cancel` removes it.

    Parameters
    ----------
    name : str
        Name of a model of the catalogue.

    Raises
    ------
    InputError
        If the catalogue has no such model, or its checkpoint cannot be downloaded.
    """

    def __init__(self, name: str) -> None:
        entry = find_entry(name)
        if entry is None:
            names = ", ".join(entry.name for entry in downloads())
            raise InputError(f"The catalogue has no model {name!r}: choose one of {names}.")
        if not entry.can_be_downloaded:
            raise InputError(
                f"{name} cannot be downloaded, since there is no SHA-256 to check it by: get the "
                f"file from {entry.page}, then convert it."
            )
        self._entry = entry
        self._cancelled = threading.Event()
        self.path = entry.checkpoint

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
        self._rescue()
        with staging.staged_folder(self.path) as staged:
            file = staged.folder / self._entry.file_name
            if self._part.is_file():
                # Of two that want it, one gets it.
                self._part.rename(file)
            transfer = _Transfer(self._entry, file, self._cancelled)
            thread = threading.Thread(target=transfer.run, daemon=True)
            thread.start()
            try:
                yield from self._reports(transfer)
            except _BrokenError as error:
                if file.is_file():
                    file.replace(self._part)
                raise ConversionError(str(error)) from error.__cause__
            finally:
                # If the thread still waits for the network after that, it stops at its next look.
                transfer.abandon()
                thread.join(_JOIN_S)
            staged.publish_file()
        yield Progress("Downloaded", 1.0)

    @property
    def _part(self) -> Path:
        """Where the beginning of a checkpoint waits for the rest."""
        return self._part_of(self._entry)

    def _part_of(self, entry: CatalogueEntry) -> Path:
        return self.path.with_name(f".{entry.sha256}.part")

    def _rescue(self) -> None:
        """Keep what came to a process that is no more, before it is swept."""
        # Of any checkpoint: a sweep for one removes what is left of the others as well.
        for folder, entry in product(staging.abandoned(self.path.parent), downloads()):
            file, part = folder / entry.file_name, self._part_of(entry)
            if file.is_file() and not part.exists():
                file.rename(part)

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
    """Ends a transfer that nobody waits for."""


class _BrokenError(Exception):
    """The connection broke: what came is the beginning of the file. The message is for the user."""


class _Transfer:
    """The part that runs in a thread, reporting through a queue."""

    def __init__(self, entry: CatalogueEntry, file: Path, cancelled: threading.Event) -> None:
        self._entry = entry
        self._file = file
        self._cancelled = cancelled
        self._abandoned = threading.Event()
        self._hash = hashlib.sha256()
        self._done_bytes = 0
        self._total = entry.n_bytes
        self.error: Exception | None = None
        self.has_ended = threading.Event()
        self.reports: queue.SimpleQueue[Progress] = queue.SimpleQueue()

    def run(self) -> None:
        """Bring the file and check its hash."""
        import requests

        entry = self._entry
        try:
            self._read_beginning()
            if self._hash.hexdigest() != entry.sha256:
                self._fetch(f"bytes={self._done_bytes}-" if self._done_bytes else None)
            if self._hash.hexdigest() != entry.sha256:
                self.error = ConversionError(
                    f"What {entry.url} sent is not the checkpoint that was published (its SHA-256 "
                    "differs), so it was removed: try again."
                )
        except _AbandonedError:
            pass
        except requests.RequestException as error:
            self.error = _BrokenError(
                f"{entry.url} cannot be downloaded ({type(error).__name__}): check the "
                "connection and try again; it goes on where it was."
            )
            self.error.__cause__ = error
        except Exception as error:
            self.error = error
        self.has_ended.set()

    def abandon(self) -> None:
        """Stop at the next piece of data."""
        self._abandoned.set()

    def _read_beginning(self) -> None:
        """Hash what came before."""
        if not self._file.is_file():
            return
        with self._file.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                self._count(chunk)

    def _fetch(self, wanted: str | None) -> None:
        import requests

        assert self._entry.url is not None
        # Compressed on the way, bytes could not be counted.
        headers = {"Accept-Encoding": "identity"} | ({"Range": wanted} if wanted else {})
        with requests.get(
            self._entry.url, headers=headers, stream=True, timeout=_TIMEOUT_S
        ) as response:
            goes_on = self._goes_on(response)
            is_beyond = wanted is not None and response.status_code == _RANGE_NOT_SATISFIABLE
            if not is_beyond:
                # What is there stays for the next time, as where the server is busy.
                response.raise_for_status()
            if wanted and not goes_on:
                # The server sends all of it, or says that there is nothing after what is there.
                self._hash, self._done_bytes = hashlib.sha256(), 0
            if is_beyond:
                self._fetch(None)
                return
            length = response.headers.get("Content-Length")
            self._total = self._done_bytes + int(length) if length else self._total
            with self._file.open("ab" if goes_on else "wb") as file:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
                    self._count(chunk)

    def _goes_on(self, response: "requests.Response") -> bool:
        """Return whether a response begins where the file ends."""
        place = str(response.headers.get("Content-Range"))
        is_part = response.status_code == _PARTIAL_CONTENT
        return is_part and place.startswith(f"bytes {self._done_bytes}-")

    def _count(self, chunk: bytes) -> None:
        if self._cancelled.is_set() or self._abandoned.is_set():
            raise _AbandonedError
        self._hash.update(chunk)
        self._done_bytes += len(chunk)
        total = self._total
        share = min(self._done_bytes / total, 1.0) if total else float("nan")
        of_all = f" of {total / _MEGABYTE:.0f}" if total else ""
        detail = f"{self._done_bytes / _MEGABYTE:.0f}{of_all} MB"
        self.reports.put(Progress(f"Downloading {self._entry.name}", share, detail))

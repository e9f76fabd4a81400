"""Downloads, from a server on this machine."""

import dataclasses
import errno
import hashlib
import os
import socket
import subprocess
import sys
import threading

import pytest
from tests.checkpoint_server import CONTENT, Server

from napari_sam2_openvino.conversion import download, staging
from napari_sam2_openvino.core import catalogue
from napari_sam2_openvino.core.catalogue import CATALOGUE
from napari_sam2_openvino.core.errors import ConversionError, InputError, JobCancelledError
from napari_sam2_openvino.core.paths import checkpoints_dir

pytestmark = pytest.mark.usefixtures("sam2_home")


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def offer(server, monkeypatch):
    """Return a function that puts an entry on the server into the catalogue."""

    def offer(**changes):
        entry = dataclasses.replace(
            CATALOGUE[0],
            name="fake",
            url=f"http://127.0.0.1:{server.server_port}/c.pt",
            n_bytes=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
        )
        monkeypatch.setattr(catalogue, "CATALOGUE", (dataclasses.replace(entry, **changes),))

    return offer


def left_behind():
    folder = checkpoints_dir()
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_download_puts_the_whole_file_in_place(offer):
    offer()
    reports = []
    path = download.download("fake", on_progress=reports.append)
    assert path == checkpoints_dir() / "c.pt"
    assert path.read_bytes() == CONTENT
    assert left_behind() == ["c.pt"]
    shares = [progress.done for progress in reports]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert reports[0].detail.endswith("of 2 MB")


def test_a_second_download_asks_nobody(offer, server):
    offer()
    download.download("fake")
    assert server.requests == 1
    download.download("fake")
    assert server.requests == 1


def test_a_damaged_file_is_downloaded_again(offer, server):
    offer()
    path = download.download("fake")
    path.write_bytes(b"damaged")
    download.download("fake")
    assert path.read_bytes() == CONTENT
    assert server.requests == 2


def test_another_content_is_refused(offer):
    offer(sha256="0" * 64)
    with pytest.raises(ConversionError, match="SHA-256"):
        download.download("fake")
    assert left_behind() == []


def test_a_missing_page_is_one_sentence(offer, server):
    offer(url=f"http://127.0.0.1:{server.server_port}/gone.pt")
    with pytest.raises(ConversionError, match="cannot be downloaded"):
        download.download("fake")
    assert left_behind() == []


def test_no_connection_is_one_sentence(offer):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        offer(url=f"http://127.0.0.1:{unused.getsockname()[1]}/c.pt")
        with pytest.raises(ConversionError, match="check the connection"):
            download.download("fake")
    assert left_behind() == []


def break_off(server):
    """Download until the connection breaks in the middle, and return what the server sent."""
    server.held_after = len(CONTENT) // 2
    server.released.set()
    with pytest.raises(ConversionError, match=r"cannot be downloaded .* goes on where it was"):
        download.download("fake")
    server.held_after = len(CONTENT)
    return server.sent


def test_a_broken_connection_is_one_sentence_and_the_next_download_goes_on(offer, server):
    offer()
    sent = break_off(server)
    (part,) = left_behind()
    assert part.endswith(".part")
    reports = []
    path = download.download("fake", on_progress=reports.append)
    assert path.read_bytes() == CONTENT
    assert left_behind() == ["c.pt"]
    assert 0 < len(CONTENT) - (server.sent - sent) <= sent
    shares = [progress.done for progress in reports]
    assert shares == sorted(shares)


def test_a_server_without_ranges_sends_all_of_it_again(offer, server):
    offer()
    break_off(server)
    server.knows_ranges = False
    assert download.download("fake").read_bytes() == CONTENT
    assert left_behind() == ["c.pt"]


@pytest.mark.parametrize("spoil", [lambda part: part[::-1], lambda part: part + CONTENT])
def test_a_damaged_beginning_is_not_used(offer, server, spoil):
    offer()
    break_off(server)
    (part,) = checkpoints_dir().glob(".*.part")
    part.write_bytes(spoil(part.read_bytes()))
    is_too_long = part.stat().st_size >= len(CONTENT)
    if not is_too_long:
        with pytest.raises(ConversionError, match="SHA-256"):
            download.download("fake")
        assert left_behind() == []
    assert download.download("fake").read_bytes() == CONTENT


def abandon(content, name):
    """Leave what a process leaves that ends during a download."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    folder = staging.propose(checkpoints_dir()).name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    (checkpoints_dir() / folder).mkdir(parents=True)
    (checkpoints_dir() / folder / name).write_bytes(content)


def test_what_came_before_the_process_ended_is_gone_on_with(offer, server):
    offer()
    abandon(CONTENT[:1_000_000], "c.pt")
    assert download.download("fake").read_bytes() == CONTENT
    assert server.sent == len(CONTENT) - 1_000_000
    assert left_behind() == ["c.pt"]


def test_what_is_left_of_another_checkpoint_stays_for_its_turn(offer, monkeypatch):
    offer()
    (whole,) = catalogue.CATALOGUE
    other = dataclasses.replace(whole, name="other", url=whole.url + "?", sha256="0" * 64)
    monkeypatch.setattr(catalogue, "CATALOGUE", (whole, other))
    abandon(b"beginning", "c.pt?")
    assert download.download("fake").read_bytes() == CONTENT
    assert left_behind() == [f".{other.sha256}.part", "c.pt"]


def test_a_server_that_is_busy_costs_nothing_of_what_is_there(offer, server):
    offer()
    break_off(server)
    before = left_behind()
    server.is_busy = True
    with pytest.raises(ConversionError, match=r"HTTPError.* goes on where it was"):
        download.download("fake")
    assert left_behind() == before
    server.is_busy = False
    sent = server.sent
    assert download.download("fake").read_bytes() == CONTENT
    assert server.sent - sent < len(CONTENT)


def test_what_cannot_be_checked_is_not_downloaded():
    with pytest.raises(InputError, match=r"no SHA-256 .* get the file from https://"):
        download.DownloadJob("hvit_t_cells")


def test_cancel_ends_a_download_that_hangs(offer, server):
    offer()
    server.held_after = len(CONTENT) // 2
    job = download.DownloadJob("fake")
    reports = job.run()
    next(reports)
    timer = threading.Timer(0.3, job.cancel)
    timer.start()
    with pytest.raises(JobCancelledError):
        for _ in reports:
            pass
    assert left_behind() == []
    assert not job.path.exists()


def test_closing_the_generator_ends_the_download(offer, server):
    offer()
    server.held_after = len(CONTENT) // 2
    reports = download.DownloadJob("fake").run()
    next(reports)
    reports.close()
    assert left_behind() == []


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"choose one of sam2\.1_hiera_tiny, "):
        download.DownloadJob("resnet")


def test_a_full_disk_is_told_from_the_network(offer, monkeypatch):
    offer()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download._Transfer, "_count", full)
    with pytest.raises(ConversionError, match="is full"):
        download.download("fake")
    assert left_behind() == []

"""Sessions that are saved by themselves: how many are kept, and which."""

from pathlib import Path

import pytest

from napari_sam2_openvino._qt.autosaves import MOST_AUTOSAVED, autosave_path, write_autosaved
from napari_sam2_openvino.core.paths import sessions_dir
from napari_sam2_openvino.core.records import ImageRecord, ModelRecord
from napari_sam2_openvino.core.session_file import SessionFile

IMAGE = ImageRecord(name="cells", shape=(4, 5), is_rgb=False, dtype="uint8")
SESSION = SessionFile(images=(IMAGE,), model=ModelRecord(name="starter"))


pytestmark = pytest.mark.usefixtures("sam2_home")


def saved_in(year: int, number: int) -> Path:
    return sessions_dir() / f"{year}-01-01 00-00-{number:02d} cells {number:04x}.json"


def test_the_oldest_go_and_other_files_stay() -> None:
    sessions_dir().mkdir(parents=True)
    mine = sessions_dir() / "my cells.json"
    mine.write_text("{}")
    for number in range(MOST_AUTOSAVED + 1):
        write_autosaved(saved_in(2020, number), SESSION)
    path = autosave_path("cells")
    write_autosaved(path, SESSION)
    left = {saved_in(2020, number) for number in range(2, MOST_AUTOSAVED + 1)}
    assert set(sessions_dir().iterdir()) == left | {path, mine}


def test_where_the_clock_was_set_back_the_one_just_written_stays() -> None:
    for number in range(MOST_AUTOSAVED):
        write_autosaved(saved_in(2999, number), SESSION)
    path = autosave_path("cells")
    write_autosaved(path, SESSION)
    write_autosaved(path, SESSION)
    left = {saved_in(2999, number) for number in range(1, MOST_AUTOSAVED)}
    assert set(sessions_dir().iterdir()) == left | {path}

"""Objects and sessions as text: what is read equals what was written, anything else is refused."""

import dataclasses
import json
import os
import sys
import weakref

import numpy as np
import pytest

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark, MaskCut, ObjectPrompts
from napari_sam2_openvino.core.normalize import ChannelView, Stretch
from napari_sam2_openvino.core.parameters import MaskOptions, Normalization
from napari_sam2_openvino.core.records import (
    ImageRecord,
    ModelRecord,
    ObjectRecord,
    PromptsRecord,
    object_from_json,
    object_to_json,
)
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.session_file import (
    FORMAT_VERSION,
    SessionFile,
    read_session,
    session_to_json,
    write_session,
)
from napari_sam2_openvino.core.types import PlaneIndex

KINDS = {"point": 1, "box": 2, "polygon": 5, "ellipse": 4, "path": 6}


def random_prompts(rng):
    marks = []
    for _ in range(rng.integers(0, 6)):
        kind = str(rng.choice(list(KINDS)))
        vertices = rng.uniform(-0.5, 1e5, (KINDS[kind], 2))
        positive = kind not in ("point", "path") or bool(rng.integers(2))
        marks.append(Mark(kind, tuple(map(tuple, vertices)), positive))
    mask = None
    if rng.integers(2):
        hw = rng.integers(0, 40, 2)
        mask = MaskCut(rng.random(hw) < 0.4, tuple(int(n) for n in rng.integers(0, 999, 2)))
    choices = tuple((int(stage), int(token)) for stage, token in rng.integers(1, 4, (2, 2)))
    return ObjectPrompts(tuple(marks), mask, choices)


def random_view(rng):
    low, high = np.sort(rng.uniform(0, 4096, 2))
    return ChannelView(
        Normalization("as displayed", whole_stack=True),
        axis=0,
        indices=(2, 0),
        displayed=(Stretch(low, high, 0.7), Stretch(0.0, 1.0)),
    )


def random_object(rng):
    return ObjectRecord(
        obj_id=int(rng.integers(1, 2**31)),
        plane=PlaneIndex((int(rng.integers(5)), None, None), transposed=bool(rng.integers(2))),
        prompts=PromptsRecord.of(random_prompts(rng)),
        region=Region(3, 4, 512, 512, 2) if rng.integers(2) else None,
        view=random_view(rng) if rng.integers(2) else None,
        channels=("dapi", "actin ü") if rng.integers(2) else (),
        options=MaskOptions(float(rng.uniform(-8, 8)), fill_holes=int(rng.integers(99))),
        model=ModelRecord(name="tiny é", key="ab-CPU-bf16") if rng.integers(2) else None,
        class_name="noyau \U0001f52c",
        iou_prediction=float(np.float32(rng.random())),
        committed=bool(rng.integers(2)),
        commit_mode=str(rng.choice(["keep existing", "overwrite", "only where empty"])),
        order=int(rng.integers(99)),
    )


def random_session(seed=0, n_objects=5):
    rng = np.random.default_rng(seed)
    return SessionFile(
        images=(ImageRecord(name="image ü", shape=(5, 2000, 1000), scale=(0.3, 0.1, 0.1)),),
        model=ModelRecord(name="starter"),
        options=MaskOptions(smoothing=2),
        class_names=("nucleus", "cell"),
        objects=tuple(random_object(rng) for _ in range(n_objects)),
    )


@pytest.mark.parametrize("seed", range(30))
def test_an_object_comes_back_to_the_bit(seed):
    record = random_object(np.random.default_rng(seed))
    text = object_to_json(record)
    assert "\n" not in text
    again = object_from_json(text)
    assert again == record
    before, after = record.prompts.value(), again.prompts.value()
    assert after.marks == before.marks
    assert after.choices == before.choices
    assert (after.mask is None) == (before.mask is None)
    if before.mask is not None:
        assert after.mask.origin == before.mask.origin
        assert after.mask.mask.dtype == bool
        np.testing.assert_array_equal(after.mask.mask, before.mask.mask)


def test_numbers_of_numpy_are_written_as_numbers():
    vertices = ((np.float32(1.25), np.float64(2.5)),)
    prompts = ObjectPrompts((Mark("point", vertices, np.bool_(True)),))
    record = ObjectRecord(
        obj_id=1,
        plane=PlaneIndex((np.int64(3), None, None)),
        prompts=PromptsRecord.of(prompts),
        region=Region(*np.arange(1, 5)),
    )
    again = object_from_json(object_to_json(record))
    assert again.prompts.marks[0] == Mark("point", ((1.25, 2.5),))
    assert again.plane.index == (3, None, None)


def test_the_record_of_a_model_says_where_it_ran(starter_model):
    record = ModelRecord.of(starter_model)
    assert (record.name, record.device, record.precision) == ("starter", "CPU", "f32")
    assert record.key == starter_model.key


def test_a_mask_is_written_down_once_and_is_let_go_of():
    cut = MaskCut(np.ones((20, 30), bool), (4, 5))
    gone = weakref.ref(cut)
    click = Mark("point", ((1, 2),))
    first, second = (
        PromptsRecord.of(ObjectPrompts((), cut)),
        PromptsRecord.of(ObjectPrompts((click,), cut)),
    )
    assert first.mask is second.mask
    same = PromptsRecord.of(ObjectPrompts((), MaskCut(cut.mask.copy(), cut.origin)))
    assert same == first
    del cut
    assert gone() is None


def test_a_mask_takes_little_space():
    rows, columns = np.mgrid[:1000, :1000]
    disc = (rows - 500) ** 2 + (columns - 500) ** 2 < 400**2
    record = PromptsRecord.of(ObjectPrompts(mask=MaskCut(disc)))
    assert len(record.model_dump_json()) < 20_000


@pytest.mark.parametrize("seed", range(5))
def test_a_session_comes_back_whole(seed, tmp_path):
    session, path = random_session(seed), tmp_path / "sessión 1.json"
    write_session(path, session)
    again = read_session(path)
    assert again == session
    write_session(tmp_path / "again.json", again)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.json", "sessión 1.json"]


def test_a_session_is_json_with_an_object_on_each_line():
    session = random_session(n_objects=7)
    text = session_to_json(session)
    assert len([line for line in text.splitlines() if '"obj_id"' in line]) == 7
    assert json.loads(text) == session.model_dump(mode="json")
    assert json.loads(session_to_json(random_session(n_objects=0)))["objects"] == []


def test_a_name_that_is_no_unicode_can_be_written(tmp_path):
    image = ImageRecord(name="caf\udce9.tif", shape=(4, 4), source="/data/caf\udce9.tif")
    session = SessionFile(images=(image,), model=ModelRecord(name="starter"))
    write_session(tmp_path / "s.json", session)
    assert read_session(tmp_path / "s.json").images[0].name == "caf?.tif"


def test_a_whole_file_or_none(tmp_path):
    """A file is never seen half written, and a failed write leaves the old one."""
    path = tmp_path / "s.json"
    write_session(path, random_session(1))
    before = path.read_bytes()
    with pytest.raises(InputError, match="cannot be written"):
        write_session(tmp_path / "missing" / "s.json", random_session(2))
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="choose another place"):
        write_session(tmp_path / "folder.json", random_session(2))
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder.json", "s.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_others_may_read_what_the_user_lets_them(tmp_path):
    previous = os.umask(0o022)
    try:
        write_session(tmp_path / "s.json", random_session())
    finally:
        os.umask(previous)
    assert (tmp_path / "s.json").stat().st_mode & 0o777 == 0o644


def damaged(**changes):
    return json.dumps(json.loads(session_to_json(random_session())) | changes)


def object_with(**changes):
    content = json.loads(session_to_json(random_session()))
    content["objects"][2] |= changes
    return json.dumps(content)


MARK = {"kind": "point", "vertices": [[1, 2]], "is_positive": True}
MASK = {"row": 0, "column": 0, "height": 2, "width": 2, "bits": "eJz7AAAA8QDx"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no valid JSON"),
        (b"\x93NUMPY", "no valid JSON"),
        (b"[" * 100_000, "no valid JSON"),
        (session_to_json(random_session())[:-40], "no valid JSON"),
        ("[]", "is not a session of this plugin"),
        ('{"format": "COCO", "format_version": 1}', "is not a session of this plugin"),
        (damaged(format_version=FORMAT_VERSION + 1, new_field=1), "update napari-sam2-openvino"),
        (damaged(format_version="1"), "damaged session (format_version"),
        (damaged(extra=1), "damaged session (extra"),
        (damaged(images=[]), "damaged session (images"),
        (damaged(options={"mask_threshold": 99.0}), "Threshold must be between -8 and 8"),
        (damaged(commit_mode="gently"), "damaged session (commit_mode"),
        (object_with(obj_id="7"), "damaged session (objects.2.obj_id"),
        (object_with(obj_id=-1), "damaged session (objects.2.obj_id"),
        (object_with(plane={"index": [0, 1, None]}), "exactly two displayed axes"),
        (object_with(plane={"index": [5, None, None]}), "is on plane (5, None, None)"),
        (object_with(plane={"index": [None, None]}), "is on plane (None, None)"),
        (object_with(region={"row": 0, "column": 0, "height": 2001, "width": 9}), "Region(row=0"),
        (object_with(region={"row": -1, "column": 0, "height": 9, "width": 9}), "Region(row=-1"),
        (
            object_with(region={"row": 0, "column": 0, "height": 0, "width": 9}),
            "but its plane has",
        ),
        (object_with(view={"displayed": [{"low": 2.0, "high": 1.0}]}), "the lower first"),
        (object_with(view={"axis": 0, "indices": [0, 1, 2, 3]}), "1 to 3 channels"),
        (object_with(prompts={"marks": [MARK | {"kind": "dot"}]}), "objects.2.prompts.marks.0"),
        (object_with(prompts={"marks": [MARK | {"vertices": []}]}), "at least 1 vertices"),
        (object_with(prompts={"marks": [MARK | {"colour": 1}]}), "objects.2.prompts.marks.0"),
        (object_with(prompts={"mask": MASK | {"bits": "?"}}), "A mask is damaged"),
        (object_with(prompts={"mask": MASK | {"bits": "AAAA"}}), "A mask is damaged"),
        (object_with(prompts={"mask": MASK | {"width": 9}}), "A mask of 2 x 9 pixels is damaged"),
        (object_with(prompts={"mask": MASK | {"width": -1}}), "objects.2.prompts.mask.width"),
    ],
)
def test_what_is_no_whole_session_is_refused_in_one_sentence(text, said, tmp_path):
    path = tmp_path / "s.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        read_session(path)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert str(path) in message


def test_a_missing_session_is_named(tmp_path):
    with pytest.raises(InputError, match="check its path"):
        read_session(tmp_path / "nope.json")


def test_text_that_is_no_object_is_refused():
    with pytest.raises(InputError, match="draw them again"):
        object_from_json('{"obj_id": 1}')


def test_records_do_not_change():
    record = random_object(np.random.default_rng(0))
    with pytest.raises(ValueError, match="frozen"):
        record.obj_id = 3
    assert dataclasses.is_dataclass(record.plane)

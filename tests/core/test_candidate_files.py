"""Candidates come back from disk as they were, or not at all."""

from dataclasses import fields

import numpy as np
import pytest
from tests.drawn_candidates import HW, random_discs

from napari_sam2_openvino.core.candidate_files import load_candidates, save_candidates
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import InputError


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "käse und brot"
    folder.mkdir()
    return folder / "plane 1.npz"


def test_they_come_back_to_the_bit(path):
    before = random_discs(0)
    save_candidates(path, before)
    after = load_candidates(path)
    assert after.image_hw == before.image_hw
    for name in [
        each.name for each in fields(Candidates) if each.name not in ("image_hw", "masks")
    ]:
        assert getattr(after, name).dtype == getattr(before, name).dtype
        assert np.array_equal(getattr(after, name), getattr(before, name))
    for one, other in zip(before.masks, after.masks, strict=True):
        assert np.array_equal(one.counts, other.counts)
        assert (one.hw, one.origin) == (other.hw, other.origin)
    assert list(path.parent.iterdir()) == [path]


def test_no_candidates_come_back_as_none(path):
    save_candidates(path, Candidates.none(HW))
    assert len(load_candidates(path)) == 0
    assert load_candidates(path).image_hw == HW


def test_what_is_not_whole_is_refused_in_a_sentence(path):
    save_candidates(path, random_discs(1))
    whole = path.read_bytes()
    for content in (b"", b"nothing", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no whole file of candidates"):
            load_candidates(path)
    with pytest.raises(InputError, match="no whole file of candidates"):
        load_candidates(path.with_name("missing.npz"))


def rewritten(path, **changes):
    with np.load(path) as archive:
        arrays = dict(archive) | changes
    np.savez_compressed(path, **arrays)


def test_another_format_is_refused(path):
    save_candidates(path, random_discs(1))
    rewritten(path, format_version=np.int64(2))
    with pytest.raises(InputError, match="has format 2"):
        load_candidates(path)


@pytest.mark.parametrize("name", ["origin", "hw", "n_counts", "counts", "boxes", "areas"])
def test_arrays_that_do_not_go_together_are_refused(path, name):
    save_candidates(path, random_discs(1))
    with np.load(path) as archive:
        array = archive[name]
    changes = [array[:-1], np.abs(array) + 1000, array.astype(object)]
    if name in ("boxes", "areas"):
        changes[1] = array.astype(np.float64)
    for changed in changes:
        rewritten(path, **{name: changed})
        with pytest.raises(InputError, match=r"find the objects again|must have shape"):
            load_candidates(path)
        save_candidates(path, random_discs(1))


def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch):
    save_candidates(path, random_discs(1))
    before = path.read_bytes()

    def no_space(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", no_space)
    with pytest.raises(OSError, match="No space"):
        save_candidates(path, random_discs(2))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]

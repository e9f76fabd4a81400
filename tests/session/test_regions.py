"""Large planes: which part is encoded, and that no object is cut off."""

import numpy as np
import pytest
from tests.session_bench import centre, click, large

from napari_sam2_openvino._session.answers import AnswerMemory
from napari_sam2_openvino.core.regions import Region


def test_without_objects_the_visible_part_of_a_large_plane_is_encoded() -> None:
    bench = large()
    bench.request(1, view=(300, 300, 390, 390))
    bench.steps.all()
    (region,) = bench.planes.regions
    assert region == bench.session.region == bench.regions[-1]
    assert region.step == 1
    assert region.row <= 300
    assert region.row + region.height >= 390
    bench.request(1, view=(700, 700, 790, 790))
    bench.steps.all()
    assert bench.engine.n_encodes == 2


def test_looking_elsewhere_moves_no_object() -> None:
    bench = large()
    bench.request(1, {1: click(345, 345)}, view=(300, 300, 390, 390))
    bench.steps.all()
    bench.request(1, {1: click(345, 345)}, view=(0, 0, 1000, 1000))
    bench.request(1, {1: click(346, 345)}, view=(700, 700, 790, 790), focus=1)
    bench.steps.all()
    assert bench.engine.n_encodes == 1
    assert bench.session.region == bench.session.answers[1].region


def test_objects_of_one_view_share_what_is_encoded() -> None:
    bench = large()
    view = (300, 300, 395, 395)
    objects = {key: click(320 + key, 340) for key in range(1, 40)}
    bench.request(1, view=view)
    bench.request(1, objects, view=view)
    bench.steps.all()
    assert bench.engine.n_encodes == 1
    assert bench.session.is_settled


def test_an_object_that_reaches_the_border_is_seen_in_a_larger_region() -> None:
    bench = large()
    bench.engines["disc"] = engine = bench.load("disc")
    engine.radius = 80
    bench.request(1, {1: click(500, 500)}, view=(460, 460, 540, 540), focus=1)
    while not (bench.session.answers or not bench.steps.jobs):
        bench.steps.one()
    assert bench.session.answers[1].touches_border
    assert bench.session.answer(1) is None
    assert not bench.session.is_settled
    bench.steps.all()
    answer = bench.session.answer(1)
    assert answer is not None
    assert not answer.touches_border
    assert centre(answer) == pytest.approx((500, 500), abs=answer.region.step)
    assert max(answer.region.hw) == 200
    assert answer.region == bench.session.region


def test_an_object_grows_to_the_whole_plane_and_no_further() -> None:
    bench = large()
    bench.engines["disc"] = engine = bench.load("disc")
    engine.radius = 5000
    bench.request(1, {1: click(500, 500)}, view=(460, 460, 540, 540))
    bench.steps.all()
    answer = bench.session.answer(1)
    assert answer is not None
    assert answer.region.hw == (1000, 1000)
    assert answer.mask.mask.shape == (1000, 1000)


def test_the_preview_under_the_pointer_does_not_grow() -> None:
    bench = large()
    bench.engines["disc"] = engine = bench.load("disc")
    engine.radius = 80
    bench.request(1, {-1: click(500, 500)}, view=(460, 460, 540, 540))
    bench.steps.all()
    assert bench.engine.n_encodes == 1


def test_a_recorded_region_is_used_as_it_is_and_gives_the_same_mask() -> None:
    first = large()
    view = (300, 300, 400, 400)
    first.request(1, {1: click(350, 350)}, view=view)
    first.steps.all()
    first.request(1, {1: click(350, 350, (362, 371))}, view=(0, 0, 1000, 1000))
    first.steps.all()
    saved = first.session.answer(1)
    assert saved is not None
    again = large()
    again.request(1, {1: saved.prompts}, regions={1: saved.region}, view=(0, 0, 1000, 1000))
    again.steps.all()
    opened = again.session.answer(1)
    assert opened is not None
    assert opened.region == saved.region
    assert again.engine.n_encodes == 1
    np.testing.assert_array_equal(opened.mask.mask, saved.mask.mask)


@pytest.mark.parametrize(
    "region",
    [
        pytest.param(Region(450, 450, 800, 800, 8), id="beyond the plane"),
        pytest.param(Region(0, 0, 200, 200, 2), id="elsewhere"),
    ],
)
def test_a_recorded_region_that_cannot_be_is_not_used(region: Region) -> None:
    bench = large()
    bench.request(1, {1: click(500, 500)}, regions={1: region})
    bench.steps.all()
    assert bench.session.answers[1].region != region


def test_a_recorded_region_counts_more_than_what_is_remembered() -> None:
    bench = large()
    bench.request(1, {-1: click(350, 350)}, view=(300, 300, 390, 390))
    bench.steps.all()
    recorded = Region(250, 250, 200, 200, 2)
    assert bench.session.answers[-1].region != recorded
    bench.request(1, {1: click(350, 350)}, view=(300, 300, 390, 390), regions={1: recorded})
    bench.steps.all()
    assert bench.session.answers[1].region == recorded


def test_undo_on_a_large_plane_brings_back_region_and_mask() -> None:
    bench = large()
    bench.request(1, {1: click(350, 350)}, view=(300, 300, 390, 390))
    bench.steps.all()
    before = bench.session.answers[1]
    bench.request(1, {1: click(350, 350, (700, 700))}, view=(0, 0, 1000, 1000))
    bench.steps.all()
    assert bench.session.answers[1].region != before.region
    bench.request(1, {1: click(350, 350)}, view=(0, 0, 1000, 1000))
    bench.steps.all()
    assert bench.session.answers[1].region == before.region
    assert bench.session.answers[1].mask is before.mask


def test_what_can_be_decoded_does_not_wait_for_an_encode_of_other_objects() -> None:
    bench = large()
    view = (300, 300, 390, 390)
    bench.request(1, view=view)
    bench.steps.all()
    far, near = click(900, 900), {key: click(340 + key, 345) for key in range(2, 10)}
    bench.request(1, {1: far, **near}, view=view)
    bench.steps.all()
    assert bench.decoded[-1] is far
    bench.request(1, {1: click(800, 100), **near, 20: click(341, 341)}, view=view, focus=1)
    bench.steps.all()
    assert bench.decoded[-1] is not far
    assert bench.decoded[-2].marks[0].vertices[0] == (800, 100)


def test_where_prompts_were_decoded_is_known_while_another_plane_is_in_view() -> None:
    bench = large()
    prompts, source = click(345, 345), bench.planes.source(1)
    bench.request(1, {1: prompts}, view=(300, 300, 390, 390))
    bench.steps.all()
    region = bench.session.answers[1].region
    bench.request(2, {-1: click(500, 500)}, view=(0, 0, 1000, 1000))
    bench.steps.all()
    session = bench.session
    assert session.region_of(source, click(345, 345)) == region
    assert session.region_of(source, click(346, 345)) is None
    assert session.region_of(bench.planes.source(2), prompts) is None
    # The pointer is everywhere: nobody asks for it later.
    assert session.region_of(bench.planes.source(2), click(500, 500)) is None
    session.set_model("other")
    assert session.region_of(source, prompts) is None


def test_an_object_whose_answer_was_dropped_is_decoded_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(AnswerMemory, "put", lambda *_: None)
    bench = large()
    bench.request(1, {1: click(345, 345)}, view=(300, 300, 390, 390))
    bench.steps.all()
    region = bench.session.answers[1].region
    bench.request(2)
    bench.steps.all()
    bench.request(1, {1: click(345, 345)}, view=(0, 0, 1000, 1000))
    bench.steps.all()
    assert bench.session.answers[1].region == region

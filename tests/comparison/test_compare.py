"""Two models side by side, with the starter, its twin and a damaged one."""

import json

import numpy as np
import pytest
from PIL import Image

from napari_sam2_openvino import compare_models
from napari_sam2_openvino.comparison.compare import compare_folders
from napari_sam2_openvino.comparison.images import sample_images
from napari_sam2_openvino.comparison.markdown import as_markdown
from napari_sam2_openvino.comparison.saved_report import read_report
from napari_sam2_openvino.core.errors import InputError


@pytest.fixture(scope="module")
def of_twin(twin, scene):
    return compare_models("starter", twin, [scene.image], labels=[scene.labels], precision="f32")


@pytest.fixture(scope="module")
def of_damaged(damaged, scene):
    reports = []
    report = compare_models(
        "starter", damaged, [scene.image, scene.image[::-1]], on_progress=reports.append
    )
    return report, reports


def test_a_twin_is_equal_and_gains_nothing(of_twin):
    assert of_twin.b.masks.mean == of_twin.b.masks.lowest == 1.0
    assert of_twin.b.cosines == pytest.approx((1, 1, 1), abs=1e-6)
    assert of_twin.b.differences.mask_pixels == 1.0
    assert of_twin.b.iou_prediction_change == 0.0
    assert of_twin.b.masks.truth == of_twin.reference_truth > 0.6
    assert of_twin.prompts_from == "labels"
    assert (of_twin.images, of_twin.prompts % 2) == (1, 0)
    assert (of_twin.a.name, of_twin.b.name) == ("starter", "twin")
    assert not of_twin.advice.use_b or of_twin.b.encode_seconds < 0.76 * of_twin.a.encode_seconds


def test_speed_size_and_memory_are_measured(of_twin):
    for side in (of_twin.a, of_twin.b):
        assert 0.001 < side.decode_seconds < side.encode_seconds < 10
        assert 5e6 < side.size < 2e7
        assert 1e8 < side.peak_memory < 4e9


def test_a_damaged_model_is_not_advised(of_damaged):
    report, _ = of_damaged
    assert not report.advice.use_b
    assert report.advice.sentence.startswith("Keep starter: ")
    assert report.b.masks.mean < report.a.masks.mean - 0.1
    assert report.prompts_from == "grid"
    assert np.isnan(report.reference_truth)


def test_progress_grows_to_the_end(of_damaged):
    _, reports = of_damaged
    shares = [progress.done for progress in reports]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_the_report_on_disk(of_damaged, tmp_path):
    report, _ = of_damaged
    folder = tmp_path / "réport"
    report.save(folder)
    values = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert values["advice"] == {"use_b": False, "sentence": report.advice.sentence}
    assert values["reference_truth"] is None
    assert values["b"]["masks"]["mean"] == report.b.masks.mean
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert report.advice.sentence in text
    assert f"{report.b.masks.mean:.4f}" in text
    ious = [case.iou for case in report.worst]
    assert ious == sorted(ious)
    assert report.b.masks.lowest == ious[0]
    for case in report.worst:
        assert case.picture in text
        pixels = np.asarray(Image.open(folder / case.picture))
        third = pixels.shape[0]
        original, first, second = (
            pixels[:, :third],
            pixels[:, -2 * third - 6 : -third - 6],
            pixels[:, -third:],
        )
        # The prompt is drawn on the first, masks that differ on the others.
        assert (original == (0, 255, 120)).all(axis=-1).any()
        assert (first != second).any()


def test_images_without_objects_are_refused(twin):
    with pytest.raises(InputError, match="nothing to compare"):
        compare_models("starter", twin, [])
    blank = np.zeros((64, 64), np.uint8)
    with pytest.raises(InputError, match="nothing to compare"):
        compare_models("starter", twin, [blank], labels=[blank])


def test_only_some_images_are_looked_at(twin, scene):
    steps = compare_folders(
        (twin, twin),
        iter([scene.image] * 3),
        iter([scene.labels] * 3),
        most_images=2,
        measures_memory=False,
    )
    kept = []

    def drive():
        kept.append((yield from steps))

    stages = [progress.stage for progress in drive()]
    assert stages == ["Loading the models", "Comparing masks", "Comparing masks", "Compared"]
    assert kept[0].images == 2
    assert kept[0].a.peak_memory is None


def test_of_large_images_the_middle_is_taken():
    image = np.zeros((100, 30), np.uint8)
    image[30:70] = 200
    (sample,) = sample_images([image], [image], 20)
    assert sample.rgb.shape == (40, 30, 3)
    assert (sample.rgb == 200).all()
    np.testing.assert_array_equal(sample.labels, image[30:70])


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([np.zeros((8, 8), np.uint8)], "shape 9 x 9"),
        ([np.zeros((9, 9))], "whole numbers"),
        ([], "labels for each image"),
    ],
)
def test_labels_must_fit(labels, said):
    with pytest.raises(InputError, match=said):
        list(sample_images([np.zeros((9, 9), np.uint8)], labels, 20))


def test_what_is_wrong_with_an_image_is_said_as_it_is():
    def images():
        yield np.zeros((9, 9), np.uint8)
        raise InputError("The image b.png cannot be read: check that it is whole.")

    labels = [np.zeros((9, 9), np.uint8)] * 2
    with pytest.raises(InputError, match=r"b\.png cannot be read"):
        list(sample_images(images(), labels, 20))


def test_a_report_is_read_as_it_was_saved(of_damaged, of_twin, tmp_path):
    for number, report in enumerate((of_damaged[0], of_twin)):
        report.save(tmp_path / f"{number} é")
        again = read_report(tmp_path / f"{number} é")
        assert again.as_dict() == report.as_dict()
        assert again.a == report.a or np.isnan(report.reference_truth)
        assert all(map(np.array_equal, again.pictures, report.pictures))
        assert as_markdown(again) == as_markdown(report)


def test_a_report_that_is_not_whole_is_one_sentence(of_twin, tmp_path):
    of_twin.save(tmp_path)
    values = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    del values["a"]["masks"]
    (tmp_path / "report.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(InputError, match="not whole"):
        read_report(tmp_path)
    with pytest.raises(InputError, match="not whole"):
        read_report(tmp_path / "nowhere")

"""A saved session, run again from files: the labels are those of the window, bit for bit."""

from typing import get_args

import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels
from tests.session_bench import at_once

from napari_sam2_openvino._files.images import ImageFile, open_image
from napari_sam2_openvino._layers.planes import plane_source, shown_limits, with_shown_limits
from napari_sam2_openvino._layers.targets import commit_masks
from napari_sam2_openvino._session.annotation_session import AnnotationSession
from napari_sam2_openvino.core.commit import CommitMode
from napari_sam2_openvino.core.errors import InputError, ModelNotFoundError
from napari_sam2_openvino.core.marks import Mark, MaskCut, ObjectPrompts
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.normalize import ChannelView
from napari_sam2_openvino.core.object_decoder import ObjectDecoder
from napari_sam2_openvino.core.object_masks import make_mask, touches_border
from napari_sam2_openvino.core.parameters import MaskOptions, Normalization
from napari_sam2_openvino.core.records import (
    ImageRecord,
    ModelRecord,
    ObjectRecord,
    PromptsRecord,
)
from napari_sam2_openvino.core.regions import Region, choose_region, grow
from napari_sam2_openvino.core.session_file import SessionFile, read_session, write_session
from napari_sam2_openvino.core.types import PlaneIndex
from napari_sam2_openvino.recipe import RecipeJob, arrays_of

MODES = get_args(CommitMode)
SPACING = 70


def blobs(shape, seed=0):
    """Draw a stack of 16-bit images with bright discs on a grid that moves from plane to plane."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[-2], : shape[-1]]
    image = rng.normal(900, 60, shape)
    for plane in np.ndindex(shape[:-2]):
        shift = 7 * sum(plane)
        near = ((rows - 35 - shift) % SPACING - 20) ** 2 + ((columns - 30) % SPACING - 25) ** 2
        image[plane] += np.where(near < 17**2, 2500, 0)
    return np.clip(image, 0, 65535).astype(np.uint16)


class Window:
    """What the window does with an object, without the window: real layers and the real model."""

    def __init__(self, images, model, view=None):
        self.images = [Image(data, name=f"channel {n}") for n, data in enumerate(images)]
        self.view = ChannelView() if view is None else view
        if self.view.normalization.mode == "as displayed":
            self.view = with_shown_limits(self.view, self.images)
        self.labels = Labels(np.zeros(images[0].shape, np.uint32))
        self.model = model
        self.decoder = ObjectDecoder(model)
        self.records = []

    def answer(self, plane, prompts, options=None, region=None):
        options = MaskOptions() if options is None else options
        source = plane_source(self.images, plane, self.view)
        region = region or choose_region(source.hw, self.model.image_size, prompts.bounds())
        embedding = self.model.encode(source.load(region))
        (prediction,) = self.decoder.predict(embedding, region, [prompts])
        chosen = prediction.candidates[prediction.chosen]
        return make_mask(chosen.logits, region, source.hw, options), region, chosen.iou_prediction

    def commit(self, obj_id, plane, prompts, options=None, mode="keep existing", **answer):
        options = MaskOptions() if options is None else options
        cut, region, iou = self.answer(plane, prompts, options, **answer)
        commit_masks(self.labels, plane, [(obj_id, cut)], mode)
        self.records.append(
            ObjectRecord(
                obj_id=obj_id,
                plane=plane,
                prompts=PromptsRecord.of(prompts),
                region=region,
                options=options,
                model=ModelRecord.of(self.model),
                view=self.view,
                iou_prediction=iou,
                committed=True,
                commit_mode=mode,
                order=len(self.records),
            )
        )

    def save(self, path, **changes):
        content = {
            "images": tuple(
                ImageRecord(name=image.name, shape=image.data.shape) for image in self.images
            ),
            "model": ModelRecord.of(self.model),
            "view": self.view,
            "objects": tuple(self.records),
        }
        write_session(path, SessionFile(**(content | changes)))


def click(x, y, **options):
    return Mark("point", ((float(x), float(y)),), **options)


def random_prompts(rng, plane_hw):
    """Prompts of any kind near a random place."""
    height, width = plane_hw
    x, y = rng.uniform(25, width - 25), rng.uniform(25, height - 25)
    size = rng.uniform(8, 20)
    box = ((x - size, y - size), (x + size, y + size))
    corners = (box[0], (x + size, y - size), box[1], (x - size, y + size))
    kinds = [
        (click(x, y), click(x + size / 2, y, is_positive=bool(rng.integers(2)))),
        (Mark("box", box), click(x, y)),
        (Mark("ellipse", corners),),
        (Mark("polygon", corners), Mark("path", ((x - 3, y), (x + 3, y + 2)))),
        (Mark("path", ((x - size, y), (x, y + 2), (x + size, y))), click(x, y)),
    ]
    marks = kinds[rng.integers(len(kinds))]
    if rng.integers(4):
        return ObjectPrompts(marks)
    mask = MaskCut(rng.random((20, 24)) < 0.9, (int(y) - 10, int(x) - 12))
    return ObjectPrompts(marks[:1], mask, choices=((1, 2),))


def random_options(rng):
    return MaskOptions(
        float(rng.choice([0.0, -1.5, 2.0])),
        fill_holes=int(rng.choice([0, 50])),
        remove_specks=int(rng.choice([0, 20])),
        smoothing=int(rng.choice([0, 2])),
    )


def run(folder, images, name="labels.tif", **options):
    job = RecipeJob(folder / "session.json", images, folder / name, **options)
    list(job.run())
    with open_image(folder / name) as file:
        return np.asarray(file.levels[0][:]), job


def save_image(folder, pixels, name="image.tif"):
    tifffile.imwrite(
        folder / name, pixels, compression="zlib", tile=(128, 128), photometric="minisblack"
    )
    return folder / name


@pytest.fixture(scope="module")
def stack():
    return blobs((4, 210, 240))


@pytest.mark.parametrize("crossing", [False, True], ids=["parallel planes", "crossing planes"])
def test_the_replay_equals_the_window(crossing, stack, starter_model, tmp_path):
    """Random commits in every mode, objects committed again, shrinking and moving."""
    rng = np.random.default_rng(3)
    window = Window([stack], starter_model)
    tall = blobs((3, 60, 120, 130)) if crossing else None
    if tall is not None:
        window = Window([tall], starter_model)
    for _ in range(24):
        shape = window.labels.data.shape
        if crossing:
            index = [int(rng.integers(2)), None, None, None]
            index[int(rng.integers(1, 4))] = int(rng.integers(20, 50))
        else:
            index = [int(rng.integers(3)), None, None]
        plane = PlaneIndex(tuple(index), transposed=bool(rng.integers(2)))
        hw = tuple(shape[axis] for axis in plane.displayed)
        window.commit(
            int(rng.integers(1, 8)),
            plane,
            random_prompts(rng, hw),
            random_options(rng),
            str(rng.choice(MODES)),
        )
    assert len(np.unique(window.labels.data)) > 5
    window.save(tmp_path / "session.json")
    image = save_image(tmp_path, window.images[0].data)
    labels, job = run(tmp_path, [image])
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, window.labels.data)
    assert job.notes == ()
    assert len(job.objects) == 24
    # Masks are the same to the bit, in a batch or alone; predicted IoUs are not.
    ious = sorted(record.iou_prediction for record in window.records)
    assert sorted(each.iou_prediction for each in job.objects) == pytest.approx(ious, abs=1e-5)


def test_the_session_of_the_window_is_replayed_and_reopened(tmp_path):
    """Objects of a large plane, edited click by click; saved, replayed, and opened again."""
    large = blobs((1800, 1600))
    images, plane = [Image(large, name="large")], PlaneIndex((None, None))
    session = AnnotationSession(at_once)
    session.set_model("starter")
    rng = np.random.default_rng(1)
    objects = {}
    for _ in range(30):
        obj_id = int(rng.integers(1, 9))
        if obj_id not in objects:
            x, y = rng.uniform(30, 1570, 2)
            objects[obj_id] = ObjectPrompts((click(x, y), click(x + 9, y + 4)))
        else:
            last = objects[obj_id].marks[0].vertices[0]
            mark = click(*(last + rng.normal(0, 24, 2)), is_positive=bool(rng.integers(2)))
            objects[obj_id] = ObjectPrompts((*objects[obj_id].marks, mark))
        session.request(
            plane_source(images, plane), objects, focus=obj_id, view=(200, 200, 1400, 1400)
        )
    session.set_options(MaskOptions(0.5, smoothing=1))
    labels = Labels(np.zeros(large.shape, np.uint16))
    commit_masks(labels, plane, [(n, session.answers[n].mask) for n in objects])
    records = tuple(
        ObjectRecord(
            obj_id=obj_id,
            plane=plane,
            prompts=PromptsRecord.of(prompts),
            region=session.answers[obj_id].region,
            options=session.options,
            model=ModelRecord.of(session.engine),
            committed=True,
        )
        for obj_id, prompts in objects.items()
    )
    saved = SessionFile(
        images=(ImageRecord(name="large", shape=large.shape),),
        model=ModelRecord.of(session.engine),
        options=session.options,
        objects=records,
    )
    write_session(tmp_path / "session.json", saved)

    replayed, job = run(tmp_path, [save_image(tmp_path, large)])
    assert job.notes == ()
    assert len({record.region for record in records}) > 1
    np.testing.assert_array_equal(replayed, labels.data)

    opened = read_session(tmp_path / "session.json").objects
    again = AnnotationSession(at_once)
    again.set_model("starter")
    again.set_options(opened[0].options)
    again.request(
        plane_source(images, plane),
        {record.obj_id: record.prompts.value() for record in reversed(opened)},
        view=(0, 0, 50, 50),
        regions={record.obj_id: record.region for record in opened},
    )
    for obj_id in objects:
        before, after = session.answers[obj_id], again.answers[obj_id]
        assert after.region == before.region
        assert after.mask.origin == before.mask.origin
        np.testing.assert_array_equal(after.mask.mask, before.mask.mask)


def test_parts_of_a_large_plane_are_replayed_in_their_regions(starter_model, tmp_path):
    """Regions with steps, at the edges and inside, from a file that is read in tiles."""
    large = blobs((1500, 1400))
    window = Window([large], starter_model)
    whole = PlaneIndex((None, None))
    for obj_id, (x, y) in enumerate([(55, 55), (757, 700), (1385, 1490)], start=1):
        window.commit(obj_id, whole, ObjectPrompts((click(x, y),)))
        window.commit(obj_id + 10, whole, ObjectPrompts((click(x - 9, y),)), mode="overwrite")
    coarse = Region(200, 100, 1024, 1024, 4)
    window.commit(30, whole, ObjectPrompts((Mark("box", ((300, 300), (700, 800))),)), region=coarse)
    assert len({record.region for record in window.records}) > 2
    window.save(tmp_path / "session.json")
    labels, _ = run(tmp_path, [save_image(tmp_path, large)])
    np.testing.assert_array_equal(labels, window.labels.data)


@pytest.mark.parametrize("mode", ["as displayed", "percentiles", "minimum to maximum"])
@pytest.mark.parametrize("whole_stack", [False, True])
def test_intensities_are_those_the_network_saw(mode, whole_stack, stack, starter_model, tmp_path):
    view = ChannelView(Normalization(mode, 2.0, 97.0, whole_stack))
    window = Window([stack], starter_model, view)
    window.images[0].contrast_limits = (700, 2900)
    window.images[0].gamma = 0.6
    if mode == "as displayed":
        window.view = with_shown_limits(view, window.images)
        assert window.view.displayed == (shown_limits(window.images[0]),)
    for z in range(3):
        window.commit(z + 1, PlaneIndex((z, None, None)), ObjectPrompts((click(55, 55 + 7 * z),)))
    window.save(tmp_path / "session.json")
    labels, _ = run(tmp_path, [save_image(tmp_path, stack)], "labels.zarr")
    np.testing.assert_array_equal(labels, window.labels.data)


def test_three_images_are_three_channels(stack, starter_model, tmp_path):
    channels = [stack, blobs(stack.shape, 1), stack[:, ::-1].copy()]
    window = Window(channels, starter_model)
    window.commit(5, PlaneIndex((1, None, None)), ObjectPrompts((click(60, 60),)))
    window.save(tmp_path / "session.json")
    paths = [save_image(tmp_path, each, f"{n}.tif") for n, each in enumerate(channels)]
    labels, _ = run(tmp_path, paths)
    np.testing.assert_array_equal(labels, window.labels.data)
    for given in (paths[:1], [*paths, paths[0]]):
        with pytest.raises(InputError, match="sees 3 images as channels, but"):
            run(tmp_path, given, overwrite=True)


def test_channels_along_an_axis_and_rgb(stack, starter_model, tmp_path):
    window = Window([stack], starter_model, ChannelView(axis=0, indices=(2, 0)))
    window.commit(5, PlaneIndex((1, None, None)), ObjectPrompts((click(60, 60),)))
    window.save(tmp_path / "session.json")
    labels, _ = run(tmp_path, [save_image(tmp_path, stack)])
    np.testing.assert_array_equal(labels, window.labels.data)

    colour = np.stack([stack[0] // 16] * 3, axis=-1).astype(np.uint8)
    window = Window([colour], starter_model)
    window.labels = Labels(np.zeros(colour.shape[:2], np.uint8))
    window.commit(5, PlaneIndex((None, None)), ObjectPrompts((click(60, 60),)))
    image = ImageRecord(name="colour", shape=colour.shape[:2], is_rgb=True)
    window.save(tmp_path / "session.json", images=(image,))
    tifffile.imwrite(tmp_path / "colour.tif", colour, photometric="rgb")
    labels, _ = run(tmp_path, [tmp_path / "colour.tif"], overwrite=True)
    np.testing.assert_array_equal(labels, window.labels.data)


@pytest.fixture
def simple(stack, starter_model, tmp_path):
    """Return a window with two objects and a draft, saved, with its image as a file."""
    window = Window([stack], starter_model)
    for z in (2, 0):
        window.commit(z + 1, PlaneIndex((z, None, None)), ObjectPrompts((click(55, 55 + 7 * z),)))
    draft = window.records[0].model_copy(update={"obj_id": 9, "committed": False, "order": 0})
    window.save(tmp_path / "session.json", objects=(draft, *window.records))
    save_image(tmp_path, stack)
    return window


def test_drafts_are_left_out_or_come_last(simple, tmp_path):
    labels, job = run(tmp_path, [tmp_path / "image.tif"])
    np.testing.assert_array_equal(labels, simple.labels.data)
    assert job.notes == ("1 objects that are not committed yet were left out.",)
    # The draft is the same object again: the committed one keeps its pixels.
    labels, job = run(tmp_path, [tmp_path / "image.tif"], "all.tif", include_drafts=True)
    np.testing.assert_array_equal(labels, simple.labels.data)
    assert [(each.obj_id, each.n_pixels > 0) for each in job.objects] == [
        (1, True),
        (3, True),
        (9, False),
    ]
    assert job.notes == ()


def test_a_session_without_commits_says_so(simple, tmp_path):
    for objects, said in (
        ((), "holds no committed object."),
        ((simple.records[0].model_copy(update={"committed": False}),), "include drafts"),
    ):
        simple.save(tmp_path / "session.json", objects=objects)
        with pytest.raises(InputError, match=said):
            run(tmp_path, [tmp_path / "image.tif"])


def test_other_images_of_the_same_size(simple, stack, starter_model, tmp_path):
    """The prompts go to another stack with more planes, as if they had been drawn there."""
    other = blobs((6, *stack.shape[1:]), seed=8)
    window = Window([other], starter_model)
    for record in simple.records:
        window.commit(record.obj_id, record.plane, record.prompts.value())
    zarr.create_array(tmp_path / "other.zarr", data=other, chunks=(1, 64, 64))
    labels, _ = run(tmp_path, [tmp_path / "other.zarr"])
    assert labels.shape == other.shape
    np.testing.assert_array_equal(labels, window.labels.data)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((4, 210, 241), "prompts fit only where planes have the same size"),
        ((210, 240), "has 2 axes, but the session was made on 3: give an image with as many"),
        ((2, 2, 210, 240), "has 4 axes, but the session was made on 3"),
        ((2, 210, 240), "is on plane (2, None, None)"),
    ],
)
@pytest.mark.usefixtures("simple")
def test_images_that_do_not_fit_are_refused(shape, said, tmp_path):
    np.save(tmp_path / "other.npy", np.zeros(shape, np.uint8))
    with pytest.raises(InputError) as caught:
        run(tmp_path, [tmp_path / "other.npy"])
    assert said in str(caught.value)
    assert str(tmp_path / "other.npy") in str(caught.value)
    assert not (tmp_path / "labels.tif").exists()


@pytest.mark.parametrize("shape", [(1, 4, 1, 210, 240), (4, 210, 240), (1, 4, 210, 240)], ids=str)
def test_axes_of_length_one_may_be_there_or_not(shape, simple, stack, tmp_path):
    np.save(tmp_path / "other.npy", stack.reshape(shape))
    labels, _ = run(tmp_path, [tmp_path / "other.npy"])
    np.testing.assert_array_equal(labels, simple.labels.data)


def test_added_axes_are_read_in_parts(stack, tmp_path):
    file = ImageFile(tmp_path, (stack,))
    arrays = arrays_of(file, ImageRecord(name="", shape=(1, 4, 210, 1, 240)))
    (data,) = arrays.levels
    assert data.shape == (1, 4, 210, 1, 240)
    for index in [(0, 2, slice(3, 9), 0), (slice(None), 1), (0, slice(1, 3), 7, slice(0, 1), 4)]:
        np.testing.assert_array_equal(data[index], stack.reshape(data.shape)[index])


def test_other_channels_are_noted(simple, tmp_path):
    assert [image.name for image in simple.images] == ["channel 0"]
    changed = tuple(
        each.model_copy(update={"channels": channels})
        for each, channels in zip(simple.records, [("channel 0",), ("dapi", "actin")], strict=True)
    )
    simple.save(tmp_path / "session.json", objects=changed)
    _, job = run(tmp_path, [tmp_path / "image.tif"])
    assert job.notes == (
        "One object was made of the channels dapi, actin, but the session sees channel 0: masks "
        "may differ.",
    )


def test_another_model_is_noted(simple, tmp_path):
    image = [tmp_path / "image.tif"]
    changed = tuple(
        each.model_copy(update={"model": ModelRecord(name="starter", key="0-CPU-f32")})
        for each in simple.records
    )
    simple.save(tmp_path / "session.json", objects=changed)
    _, job = run(tmp_path, image)
    assert len(job.notes) == 1
    assert "is not the same as starter" in job.notes[0]

    elsewhere = ModelRecord(name="starter", key="0-GPU.3-f16", device="GPU.3", precision="f16")
    changed = tuple(each.model_copy(update={"model": elsewhere}) for each in simple.records)
    simple.save(tmp_path / "session.json", objects=changed)
    _, job = run(tmp_path, image, "elsewhere.tif")
    assert len(job.objects) == 2
    (note,) = job.notes
    assert "is not the same as starter (GPU.3, f16) of the session" in note

    gone = tuple(
        each.model_copy(update={"model": ModelRecord(name="gone")}) for each in simple.records
    )
    simple.save(tmp_path / "session.json", objects=gone)
    with pytest.raises(ModelNotFoundError, match="'gone'"):
        run(tmp_path, image, "other.tif")
    _, job = run(tmp_path, image, "other.tif", model="starter")
    assert len(job.objects) == 2


def test_a_recipe_that_names_no_region_finds_one(starter_model, tmp_path):
    """Written by hand: a region is chosen, and grows while the object goes on outside it."""
    large = np.full((3000, 2800), 20, np.uint8)
    rows, columns = np.mgrid[:3000, :2800]
    large[(rows - 1400) ** 2 + (columns - 1500) ** 2 < 180**2] = 200
    prompts = ObjectPrompts((Mark("path", ((1328, 1400), (1352, 1400))),))
    plane, options = PlaneIndex((None, None)), MaskOptions(-1.0)
    first = choose_region(large.shape, starter_model.image_size, prompts.bounds())
    second = grow(first, large.shape, starter_model.image_size)
    window = Window([large], starter_model)
    cut, _, _ = window.answer(plane, prompts, options, first)
    assert touches_border(cut, first, large.shape)
    window.commit(1, plane, prompts, options, region=second)
    unsaid = window.records[0].model_copy(update={"region": None})
    window.save(tmp_path / "session.json", objects=(unsaid,))
    labels, _ = run(tmp_path, [save_image(tmp_path, large)])
    np.testing.assert_array_equal(labels, window.labels.data)


@pytest.mark.usefixtures("simple")
def test_labels_never_replace_the_image(tmp_path):
    image = tmp_path / "image.tif"
    before = image.read_bytes()
    with pytest.raises(InputError, match="is an image that is read"):
        list(RecipeJob(tmp_path / "session.json", [image], image, overwrite=True).run())
    assert image.read_bytes() == before


@pytest.mark.usefixtures("simple")
def test_a_recipe_that_is_interrupted_leaves_nothing(tmp_path):
    before = sorted(tmp_path.iterdir())
    job = RecipeJob(
        tmp_path / "session.json", [tmp_path / "image.tif"], tmp_path / "labels.tif"
    ).run()
    assert next(job).stage == "Segmenting"
    next(job)
    job.close()
    assert sorted(tmp_path.iterdir()) == before


def test_a_thousand_objects_are_decoded_in_batches(starter_model, tmp_path):
    """Objects of a plane share their encode, and their decodes run side by side."""
    image = blobs((1, 400, 400))
    places = np.random.default_rng(0).integers(0, 400, (1000, 2))
    objects = tuple(
        ObjectRecord(
            obj_id=obj_id,
            plane=PlaneIndex((0, None, None)),
            prompts=PromptsRecord.of(ObjectPrompts((click(x, y),))),
            committed=True,
        )
        for obj_id, (x, y) in enumerate(places, start=1)
    )
    Window([image], starter_model).save(tmp_path / "session.json", objects=objects)
    calls = []
    decode, encode = Sam2Model.decode, Sam2Model.encode

    def count(name, function):
        return lambda self, *args, **options: calls.append(name) or function(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sam2Model, "decode", count("decode", decode))
        patch.setattr(Sam2Model, "encode", count("encode", encode))
        labels, job = run(tmp_path, [save_image(tmp_path, image)])
    assert calls.count("encode") == 1
    assert calls.count("decode") < 100
    assert len(job.objects) == 1000
    assert labels.any()


@pytest.mark.usefixtures("simple")
def test_progress_rises_to_the_end(tmp_path):
    job = RecipeJob(tmp_path / "session.json", [tmp_path / "image.tif"], tmp_path / "labels.tif")
    done = [progress.done for progress in job.run()]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 1

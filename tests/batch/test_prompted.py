"""Points and boxes of a table, on every plane, on some, or of some files."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from tests.batch.test_job import read
from typer.testing import CliRunner

from napari_sam2_openvino.batch.axes import name_axes
from napari_sam2_openvino.batch.job import BatchJob
from napari_sam2_openvino.batch.prompt_table import read_prompts
from napari_sam2_openvino.batch.prompted import PromptedObjects, _by_object
from napari_sam2_openvino.batch.segmenter import ModelRecipe
from napari_sam2_openvino.batch.stack import StackSettings
from napari_sam2_openvino.cli import app
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.image_predictor import SAM2ImagePredictor
from napari_sam2_openvino.core.marks import Mark
from napari_sam2_openvino.core.models import load_model

AXES = name_axes((4, 5, 60, 80), "", "tzyx")
DISCS = {1: (30, 25), 2: (70, 40)}


def image(n_planes=3):
    """Draw two discs, at (x, y), on each plane."""
    rows, columns = np.mgrid[:80, :100]
    plane = np.full((80, 100), 30, np.uint8)
    for x, y in DISCS.values():
        plane[(rows - y) ** 2 + (columns - x) ** 2 < 100] = 200
    return np.stack([plane] * n_planes)


def table(**columns):
    return pd.DataFrame(columns)


def placed(frame, axes=AXES, file="in.tif"):
    return [
        (each.position, each.obj_id, *each.prompts.marks)
        for each in read_prompts(frame, file, axes)
    ]


def point(x, y, is_positive=True):
    return Mark("point", ((float(x), float(y)),), is_positive)


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        (
            table(X=[1, 2], Y=[3, 4]),
            [((None, None), 1, point(1, 3)), ((None, None), 2, point(2, 4))],
        ),
        (
            table(x=[1, 2], y=[3, 4], z=[0, 4], obj_id=[7, 7]),
            [((None, 0), 7, point(1, 3)), ((None, 4), 7, point(2, 4))],
        ),
        (
            table(x=[1, 2], y=[3, 4], t=[3, 0], z=[1, 2], prompt=["positive", "negative"]),
            [((3, 1), 1, point(1, 3)), ((0, 2), 0, point(2, 4, is_positive=False))],
        ),
        (
            table(x0=[1], y0=[2], x1=[9], y1=[8], name=["a"]),
            [((None, None), 1, Mark("box", ((1.0, 2.0), (9.0, 8.0))))],
        ),
        # ImageJ's table of results, with the centre of the object too.
        (
            table(X=[5.0], Y=[5.0], BX=[1], BY=[2], Width=[8], Height=[6]),
            [((None, None), 1, Mark("box", ((1.0, 2.0), (9.0, 8.0))))],
        ),
        # As napari saves a Points layer.
        (
            pd.DataFrame(
                [[0, 3, 2, 5, 6]], columns=["index", "axis-0", "axis-1", "axis-2", "axis-3"]
            ),
            [((3, 2), 1, point(6, 5))],
        ),
        (table(**{"axis-0": [5], "axis-1": [6]}), [((None, None), 1, point(6, 5))]),
        (
            table(x=[1, 2, 5], y=[3, 4, 6], file=["a/in.tif", "other.tif", "b\\in.tif"]),
            [((None, None), 1, point(1, 3)), ((None, None), 3, point(5, 6))],
        ),
        # A row without a file is in every image, one without a plane on every plane.
        (
            table(x=[1, 2, 5, 6], y=[3, 4, 6, 7], file=["b.tif", None, "  ", " in.tif "]),
            [
                ((None, None), 2, point(2, 4)),
                ((None, None), 3, point(5, 6)),
                ((None, None), 4, point(6, 7)),
            ],
        ),
        (
            table(x=[1, 2], y=[3, 4], z=[2, None]),
            [((None, 2), 1, point(1, 3)), ((None, None), 2, point(2, 4))],
        ),
        (
            table(x=[1, 2], y=[3, 4], obj_id=["left", "right"]),
            [((None, None), 1, point(1, 3)), ((None, None), 2, point(2, 4))],
        ),
        (
            table(x=[1, 2], y=[3, 4], obj_id=[9, None]),
            [((None, None), 9, point(1, 3)), ((None, None), 10, point(2, 4))],
        ),
    ],
)
def test_a_table_says_what_is_where(frame, wanted):
    assert placed(frame) == wanted


def test_x_and_y_are_those_of_the_axes_where_x_comes_before_y():
    axes = name_axes((80, 60, 5), "", "xyz")
    wanted = [((4,), 1, point(70, 5))]
    assert placed(table(x=[70], y=[5], z=[4]), axes) == wanted
    assert placed(table(**{"axis-0": [70], "axis-1": [5], "axis-2": [4]}), axes) == wanted
    assert placed(table(**{"axis-0": [70], "axis-1": [5], "z": [4]}), axes) == wanted


def rectangles(*shapes):
    """Return a table as napari saves a Shapes layer, of squares at one place."""
    rows = [
        [shape, "rectangle", number, 1, 2, y, x]
        for shape in shapes
        for number, (y, x) in enumerate([(5, 6), (5, 16), (15, 16), (15, 6)])
    ]
    columns = ["index", "shape-type", "vertex-index", "axis-0", "axis-1", "axis-2", "axis-3"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("given", "wanted"), [([7, 9], [7, 9]), ([2, None], [2, 3]), (["a", "a"], [1, 1]), (None, None)]
)
def test_objects_of_rectangles_are_those_of_their_column(given, wanted):
    frame = rectangles(0, 1)
    if given is not None:
        frame["obj_id"] = pd.Series(np.repeat(np.array(given, object), 4))
    assert [obj_id for _, obj_id, _ in placed(frame)] == (wanted or [1, 2])


def test_signs_do_not_depend_on_the_file():
    """A column of labels that holds numbers of objects holds no signs for any file."""
    frame = table(x=[1, 2, 3], y=[3, 4, 5], label=[0, 1, 7], file=["in.tif", "in.tif", "b.tif"])
    assert [mark.is_positive for *_, mark in placed(frame)] == [True, True]
    frame["label"] = [0, 1, 1]
    assert [mark.is_positive for *_, mark in placed(frame)] == [False, True]


def test_rectangles_of_a_shapes_layer():
    frame = rectangles(3)
    assert placed(frame) == [((1, 2), 1, Mark("box", ((6.0, 5.0), (16.0, 15.0))))]
    frame["shape-type"] = "ellipse"
    with pytest.raises(InputError, match="rectangles are read"):
        placed(frame)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table(a=[1], b=[2]), "needs columns x and y"),
        (table(x=[], y=[]), "no row about in.tif"),
        (table(x=[1], y=[2], file=["other.tif"]), "no row about in.tif"),
        (table(x=[1], y=["a"]), "must hold numbers"),
        (table(x=[1], y=[2], z=[5]), "plane 5 of axis z, which has 0 to 4"),
        (table(x=[80], y=[2]), "outside planes of 80 x 60 pixels"),
        (table(x=[1], y=[2], prompt=["negative"]), "no positive prompt"),
        (table(**{"axis-0": [5], "axis-1": [6], "axis-2": [6]}), "on 3 axes, but the image has 4"),
        (
            table(x0=[1, 1], y0=[2, 2], x1=[9, 9], y1=[8, 8], prompt=["positive", "negative"]),
            "Row 2 of the table of prompts is a negative box",
        ),
        (
            rectangles(0, 1).assign(prompt=["positive"] * 4 + ["negative"] * 4),
            "Row 5 of the table of prompts is a negative box",
        ),
        # Rows are counted in the whole table, of other files too.
        (table(x=[1, 80], y=[2, 2], file=["b.tif", "in.tif"]), "Row 2 of the table"),
        (table(x=[1, "a"], y=[2, 2], file=["b.tif", "in.tif"]), "but row 2 is 'a'"),
        (table(x=[1, 2], y=[2, 2], z=[None, "a"]), "but row 2 is 'a'"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(frame, message):
    with pytest.raises(InputError, match=message):
        placed(frame)


def run(frame, stack, output):
    recipe = PromptedObjects(ModelRecipe.of("starter", precision="f32"), frame)
    job = BatchJob([(stack, output)], StackSettings(recipe), axes="zyx")
    for _ in job.run():
        pass
    assert job.report.is_whole, str(job.report)
    return read(output)[0]


def test_the_same_points_on_every_plane(tmp_path):
    xs, ys = zip(*DISCS.values(), strict=True)
    labels = run(table(x=xs, y=ys), image(), tmp_path / "labels.zarr")
    # One click is what the predictor answers with its best of three masks.
    predictor = SAM2ImagePredictor(load_model("starter", precision="f32"))
    predictor.set_image(image()[0])
    wanted = np.zeros((80, 100), np.uint32)
    for obj_id, (x, y) in DISCS.items():
        masks, scores, _ = predictor.predict([[x, y]], [1], multimask_output=True)
        wanted[masks[scores.argmax()] & (wanted == 0)] = obj_id
        assert (wanted == obj_id).sum() > 200
    for plane in labels:
        np.testing.assert_array_equal(plane, wanted)


def test_what_counts_for_all_comes_first_as_in_the_window():
    frame = table(x=[5, 7], y=[6, 8], obj_id=[3, 0], label=[1, 0])
    placed_prompts = read_prompts(frame, "in.tif", AXES)
    (own,) = _by_object(placed_prompts, (0, 0)).values()
    assert own.marks == (point(7, 8, is_positive=False), point(5, 6))


def test_each_plane_its_own_boxes(tmp_path):
    (x, y), (u, v) = DISCS.values()
    frame = table(
        x0=[x - 10, u - 10],
        y0=[y - 10, v - 10],
        x1=[x + 10, u + 10],
        y1=[y + 10, v + 10],
        z=[0, 2],
        obj_id=[5, 8],
    )
    labels = run(frame, image(), tmp_path / "labels.zarr")
    assert [np.unique(plane).tolist() for plane in labels] == [[0, 5], [0], [0, 8]]
    assert labels[0, y, x] == 5
    assert labels[2, v, u] == 8


def test_the_command_takes_a_table_for_a_folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.tif", "b.tif", "c.tif"):
        tifffile.imwrite(folder / name, image()[0])
    (x, y), (u, v) = DISCS.values()
    frame = table(x=[x, u], y=[y, v], file=["a.tif", "b.tif"], obj_id=[3, 4])
    frame.to_csv(tmp_path / "prompts.csv", index=False)
    arguments = ["segment", folder, "-o", tmp_path / "out", "--prompts", tmp_path / "prompts.csv"]
    answer = CliRunner().invoke(app, [*map(str, arguments)])
    assert answer.exit_code == 1
    assert "no row about c.tif" in answer.stderr
    assert np.unique(read(tmp_path / "out" / "a.tif")[0]).tolist() == [0, 3]
    assert np.unique(read(tmp_path / "out" / "b.tif")[0]).tolist() == [0, 4]
    # Other prompts are other labels.
    frame["x"] += 1
    frame.to_csv(tmp_path / "prompts.csv", index=False)
    answer = CliRunner().invoke(app, [*map(str, arguments), "--resume"])
    assert "prompts (" in answer.stderr

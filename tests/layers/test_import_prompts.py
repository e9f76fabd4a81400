"""Prompts from tables and from layers of the user's own."""

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Points, Shapes
from napari_builtins.io import napari_write_points, napari_write_shapes
from skimage.measure import regionprops_table

from napari_sam2_openvino._layers import drawing, marks_io
from napari_sam2_openvino._layers.import_prompts import marks_from_layer, marks_from_table
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark
from napari_sam2_openvino.core.prompt_columns import load_table
from napari_sam2_openvino.core.types import PlaneIndex

FLAT = PlaneIndex((None, None))
PLANE = PlaneIndex((2, None, None))


def make_image(shape: tuple[int, ...] = (60, 80), **place: Any) -> Image:
    return Image(np.zeros(shape, np.uint16), name="cells", **place)


def from_text(
    text: str, image: Image | None = None, plane: PlaneIndex = FLAT, **options: Any
) -> list[tuple[Any, ...]]:
    """Return (obj_id, kind, vertices, is_positive) of each mark, and hidden indices if any."""
    table = pd.read_csv(StringIO(text))
    return as_rows(marks_from_table(table, image or make_image(), plane, 5, **options))


def as_rows(placed: list[marks_io.PlacedMark]) -> list[tuple[Any, ...]]:
    rows = []
    for each in placed:
        hidden = [value for value in each.plane.index if value is not None]
        row = each.obj_id, each.mark.kind, each.mark.vertices, each.mark.is_positive
        rows.append((*row, *hidden))
    return rows


@pytest.mark.parametrize(
    "names",
    [
        "x,y",
        "X, Y",
        "column,row",
        "axis-1,axis-0",
        "centroid-1,centroid-0",
        "note,center_x,center_y",
    ],
)
def test_points_are_known_by_the_names_of_their_columns(names: str) -> None:
    first = "seen," if names.startswith("note") else ""
    assert from_text(f"{names}\n{first}3.5,4\n{first}7,8\n") == [
        (5, "point", ((3.5, 4),), True),
        (6, "point", ((7, 8),), True),
    ]


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("x0,y0,x1,y1", "3,4,20,30"),
        ("X1,Y1,X2,Y2", "20,30,3,4"),
        ("xmin,ymin,xmax,ymax", "3,4,20,30"),
        ("left,top,right,bottom", "3,4,20,30"),
        ("x,y,width,height", "3,4,17,26"),
        ("BX,BY,Width,Height", "3,4,17,26"),
        ("bbox-0,bbox-1,bbox-2,bbox-3", "4,3,31,21"),
    ],
)
def test_boxes_are_known_by_the_names_of_their_columns(names: str, values: str) -> None:
    assert from_text(f"{names}\n{values}\n") == [(5, "box", ((3, 4), (20, 30)), True)]


def test_the_box_of_regionprops_is_the_box_of_the_pixels() -> None:
    labels = np.zeros((60, 80), int)
    labels[10:20, 30:50] = 1
    table = pd.DataFrame(regionprops_table(labels, properties=("label", "bbox", "centroid")))
    placed = marks_from_table(table, make_image(), FLAT, 1)
    assert as_rows(placed) == [(1, "box", ((30, 10), (49, 19)), True)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_file_is_read_whatever_separates_its_columns(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "Zelle é 1.csv"
    rows = (("x", "y", "prompt"), ("3", "4", "positive"), ("7", "8", "negative"))
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    path.write_text("\ufeff" + text, encoding="utf-8")
    placed = marks_from_table(load_table(path), make_image(), FLAT, 5)
    assert [(each.obj_id, each.mark.is_positive) for each in placed] == [(5, True), (0, False)]


def test_commas_at_the_ends_of_lines_move_no_column(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("x,y\n3,4,\n7,8,\n")
    assert load_table(path).to_numpy().tolist() == [[3, 4], [7, 8]]


@pytest.mark.parametrize(
    ("name", "positive", "negative"),
    [
        ("prompt", "positive", "negative"),
        ("label", 1, 0),
        ("point_labels", 1, -1),
        ("polarity", "+", "-"),
        ("Positive", True, False),
        ("kind", "Foreground", "background"),
        ("label", "fg", "bg"),
    ],
)
def test_signs_are_recognised(name: str, positive: Any, negative: Any) -> None:
    text = f"x,y,{name}\n3,4,{positive}\n7,8,{negative}\n"
    assert [row[3] for row in from_text(text)] == [True, False]
    assert [row[0] for row in from_text(text)] == [5, 0]
    assert [row[0] for row in from_text(text, each_is_object=False)] == [5, 5]


@pytest.mark.parametrize("name", ["obj_id", "Object", "label", "id"])
def test_rows_of_one_object_stay_together_under_new_numbers(name: str) -> None:
    text = f"x,y,{name}\n1,1,70\n2,2,3\n3,3,70\n4,4,9\n"
    assert [row[0] for row in from_text(text)] == [5, 6, 5, 7]


def test_negative_points_of_no_object_count_for_all() -> None:
    text = "x,y,label,obj_id\n1,1,1,7\n2,2,0,7\n3,3,0,0\n4,4,0,\n5,5,1,\n"
    assert [row[0] for row in from_text(text)] == [5, 5, 0, 0, 6]


@pytest.mark.parametrize("name", ["plane", "z", "t", "slice", "depth"])
def test_rows_go_to_the_planes_that_they_name(name: str) -> None:
    image = make_image((5, 60, 80), axis_labels=("depth", "y", "x"))
    rows = from_text(f"x,y,{name}\n3,4,1\n7,8,4\n", image, PLANE)
    assert [row[4] for row in rows] == [1, 4]
    rows = from_text("x,y\n3,4\n", image, PLANE)
    assert [row[4] for row in rows] == [2]


def test_hidden_axes_are_told_apart_by_their_names() -> None:
    image = make_image((6, 5, 60, 80), axis_labels=("t", "z", "y", "x"))
    plane = PlaneIndex((1, 2, None, None), transposed=True)
    assert from_text("x,y,t\n3,4,5\n", image, plane) == [(5, "point", ((3, 4),), True, 5, 2)]


def test_of_several_columns_of_planes_the_one_that_changes_counts() -> None:
    image = make_image((5, 60, 80))
    rows = from_text("x,y,z,frame\n3,4,0,1\n7,8,0,4\n", image, PLANE)
    assert [row[4] for row in rows] == [1, 4]


@pytest.mark.parametrize("shape", [(5, 60, 80), (6, 5, 60, 80)])
def test_columns_of_planes_that_could_be_any_axis_are_refused(shape: tuple[int, ...]) -> None:
    image, plane = make_image(shape), PlaneIndex((*[0] * (len(shape) - 2), None, None))
    with pytest.raises(InputError, match="not clear which axis of cells"):
        from_text("x,y,z,t\n3,4,0,1\n7,8,1,2\n", image, plane)


def test_coordinates_on_all_axes_say_the_plane() -> None:
    image = make_image((5, 60, 80))
    text = "index,axis-0,axis-1,axis-2\n0,1,10,20\n1,4,11,21\n"
    assert from_text(text, image, PLANE) == [
        (5, "point", ((20, 10),), True, 1),
        (6, "point", ((21, 11),), True, 4),
    ]
    across = PlaneIndex((None, 7, None))
    assert from_text("axis-0,axis-1,axis-2\n1,10,20\n", image, across) == [
        (5, "point", ((20, 1),), True, 10)
    ]


def test_layers_that_napari_saved_are_read(tmp_path: Path) -> None:
    points = Points([[3.5, 4], [7, 8]], features={"prompt": ["positive", "negative"]})
    path = napari_write_points(str(tmp_path / "points.csv"), *points.as_layer_data_tuple()[:2])
    rows = as_rows(marks_from_table(load_table(Path(path)), make_image(), FLAT, 5))
    assert rows == [(5, "point", ((4, 3.5),), True), (0, "point", ((8, 7),), False)]
    kinds = ["rectangle", "polygon"]
    shapes = Shapes([[[1, 2], [9, 20]], [[1, 1], [1, 9], [9, 5]]], shape_type=kinds)
    path = napari_write_shapes(str(tmp_path / "shapes.csv"), *shapes.as_layer_data_tuple()[:2])
    rows = as_rows(marks_from_table(load_table(Path(path)), make_image(), FLAT, 5))
    assert rows == [
        (5, "box", ((2, 1), (20, 9)), True),
        (6, "polygon", ((1, 1), (9, 1), (5, 9)), True),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "needs columns x and y (points), x0, y0, x1 and y1 (boxes).*but has: a, b"),
        ("x,y\n1,two\n", "Column y must hold numbers, but row 1 is 'two'"),
        ("x,y\n1,1\n1,\n", "Column y must hold numbers, but row 2 is nan"),
        ("x,y\n1,1\n90,10\n", "Point 2 at x 90, y 10 is outside the image of 80 x 60"),
        ("x0,y0,x1,y1\n90,10,99,20\n", "The box lies outside the image of 80 x 60"),
        ("x,y,prompt\n1,1,maybe\n", "Column prompt must say positive or negative.*has 'maybe'"),
        ("x,y,prompt\n1,1,negative\n", "no positive prompt"),
        ("axis-0,axis-1,axis-2\n1,1,1\n", "coordinates on 3 axes, but cells has 2"),
        ("x,y\n", "The table has no rows"),
    ],
)
def test_tables_that_cannot_be_used_get_one_sentence(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words.replace("(", r"\(").replace(")", r"\)")):
        from_text(text)


def test_planes_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="Row 1 is on plane 5, but cells has planes 0 to 4"):
        from_text("x,y,z\n1,1,5\n", make_image((5, 60, 80)), PLANE)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\xff\xfe" * 50, b"\x93NUMPY" + bytes(90)])
def test_files_that_are_no_tables_get_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        marks_from_table(load_table(path), make_image(), FLAT, 1)


def test_a_file_that_is_gone_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv cannot be read"):
        load_table(tmp_path / "gone.csv")


@pytest.mark.parametrize("scale", [1, 0.25])
def test_any_points_layer_will_do(scale: float) -> None:
    image = make_image(scale=(2, 2), translate=(10, 20))
    points = Points(np.array([[30, 60], [40, 70]]) / scale, scale=(scale, scale))
    placed = marks_from_layer(points, image, FLAT, 5)
    assert as_rows(placed) == [(5, "point", ((20, 10),), True), (6, "point", ((25, 15),), True)]


def test_features_of_other_names_are_understood() -> None:
    features = {"my sign": ["Positive", "negative", "positive"], "object": ["a", "a", "b"]}
    points = Points([[1, 1], [2, 2], [3, 3]], features=features)
    rows = as_rows(marks_from_layer(points, make_image(), FLAT, 5))
    assert [(row[0], row[3]) for row in rows] == [(5, True), (5, False), (6, True)]


def test_columns_that_only_look_like_signs_are_none() -> None:
    features = {"edited": [True, False], "type": ["cell", "debris"]}
    points = Points([[1, 1], [2, 2]], features=features)
    assert all(row[3] for row in as_rows(marks_from_layer(points, make_image(), FLAT, 5)))


def test_shapes_of_all_kinds_are_understood() -> None:
    square = [[1, 1], [1, 20], [20, 20], [20, 1]]
    kinds = ["rectangle", "ellipse", "polygon", "path"]
    shapes = Shapes([square] * 4, shape_type=kinds)
    shapes.add_lines([[1, 1], [2, 2]])
    rows = as_rows(marks_from_layer(shapes, make_image(), FLAT, 5))
    assert [row[1] for row in rows] == ["box", "ellipse", "polygon", "path"]


def test_a_flat_layer_lies_on_the_plane_in_view() -> None:
    image = make_image((5, 60, 80), scale=(3, 2, 2))
    points = Points([[20, 40]])
    assert as_rows(marks_from_layer(points, image, PLANE, 5)) == [
        (5, "point", ((20, 10),), True, 2)
    ]
    for index, transposed in ((None, 7, None), False), ((None, 7, None), True):
        across = PlaneIndex(index, transposed)
        (placed,) = marks_from_layer(Points([[6, 40]]), image, across, 5)
        assert placed.plane == across
        (xy,) = placed.mark.vertices
        assert xy == ((2, 20) if transposed else (20, 2))
    deep = Points([[9, 6, 20, 40]])
    assert as_rows(marks_from_layer(deep, image, PLANE, 5))[0][4] == 2


def test_shapes_across_planes_and_empty_layers_are_refused() -> None:
    image = make_image((5, 60, 80))
    shapes = Shapes([[[1, 1, 1], [2, 20, 20]]], shape_type="path")
    with pytest.raises(InputError, match="Shape 1 does not lie on one plane"):
        marks_from_layer(shapes, image, PLANE, 5)
    with pytest.raises(InputError, match="is empty"):
        marks_from_layer(Points(ndim=3), image, PLANE, 5)


def test_what_was_imported_is_read_from_our_layers() -> None:
    image = make_image((5, 60, 80), scale=(3, 0.5, 0.5))
    layers = drawing.new_points_layer(image), drawing.new_shapes_layer(image)
    table = pd.DataFrame({"x": range(50), "y": range(50), "z": [0, 1, 2, 3, 4] * 10})
    marks_io.place_marks(*layers, image, marks_from_table(table, image, PLANE, 1))
    found = marks_io.objects_with_prompts(*layers, image, PLANE)
    counts = {plane.index[0]: len(objects) for plane, objects in found.items()}
    assert counts == dict.fromkeys(range(5), 10)
    marks = marks_io.read_marks(*layers, image, PLANE)
    assert marks[3] == (Mark("point", ((2, 2),)),)

"""The table of real Labels layers, through commits and napari's own undo."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from napari.layers import Labels

from napari_sam2_openvino._layers.features import FoldedText, ObjectRow, ObjectTable
from napari_sam2_openvino._layers.label_parts import MaskPrint, mask_print, object_prints
from napari_sam2_openvino._layers.targets import commit_masks
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.types import PlaneIndex

PLANE = PlaneIndex((1, None, None))
OTHER = PlaneIndex((2, None, None))


def make_labels(**options: Any) -> Labels:
    return Labels(np.zeros((3, 20, 30), np.uint16), **options)


def zarr_labels() -> Labels:
    return Labels(zarr.create_array({}, shape=(3, 20, 30), dtype=np.uint16, chunks=(1, 8, 8)))


def memmap_labels(path: Any) -> Labels:
    return Labels(np.memmap(path / "labels", np.uint16, "w+", shape=(3, 20, 30)))


def square(side: int, origin: tuple[int, int] = (0, 0)) -> MaskCut:
    return MaskCut(np.ones((side, side), bool), origin)


def row_of(obj_id: int, area: int = 4, plane: PlaneIndex = PLANE, **other: Any) -> ObjectRow:
    return ObjectRow(obj_id, plane, area, "starter", 0.75, '{"marks": []}', **other)


def commit(labels: Labels, table: ObjectTable, obj_id: int, cut: MaskCut, prompts: str) -> None:
    (result,) = commit_masks(labels, PLANE, [(obj_id, cut)])
    prints = {obj_id: mask_print(cut, PLANE, labels.data.shape)}
    table.add_rows([ObjectRow(obj_id, PLANE, result.n_pixels, "starter", 0.5, prompts)], prints)


def follow(labels: Labels, table: ObjectTable, plane: PlaneIndex = PLANE) -> None:
    table.follow({plane: object_prints(labels.data, plane)})


def count(table: ObjectTable, areas: dict[int, int], plane: PlaneIndex = PLANE) -> None:
    """Follow what is known by its area alone."""
    table.follow({plane: {obj_id: MaskPrint(area) for obj_id, area in areas.items()}})


def test_rows_are_read_as_they_were_written() -> None:
    table = ObjectTable(make_labels())
    rows = [row_of(3), row_of(70, 9, OTHER, class_name="nucleus"), ObjectRow(5)]
    table.add_rows(rows)
    assert table.rows() == {row.obj_id: row for row in rows}
    assert table.row(70) == rows[1]
    assert table.row(4) is None


def test_an_empty_layer_has_no_rows() -> None:
    assert ObjectTable(make_labels()).rows() == {}


def test_napari_shows_the_row_of_the_object_under_the_pointer() -> None:
    labels = make_labels()
    labels.data[0, 2, 3] = 70
    ObjectTable(labels).add_rows([row_of(70, class_name="nucleus"), row_of(2)])
    labels.refresh()
    status = labels.get_status((0, 2, 3), world=True)["value"]
    assert status.startswith("70; class_name: nucleus, model: starter, iou_prediction: 0.75")
    assert "marks" not in status


def test_prompts_are_folded_only_where_they_are_shown(tmp_path: Any) -> None:
    labels = make_labels()
    ObjectTable(labels).add_rows([row_of(2)])
    (prompts,) = labels.features["prompts"]
    assert isinstance(prompts, FoldedText)
    assert str(prompts) == "(13 characters)"
    assert json.loads(prompts) == {"marks": []}
    labels.features.to_csv(tmp_path / "table.csv")
    saved = pd.read_csv(tmp_path / "table.csv")
    assert saved["prompts"].tolist() == ['{"marks": []}']
    # A table that was saved and opened again says the same.
    assert ObjectTable(make_labels(features=saved)).rows() == {2: row_of(2)}


def test_columns_of_the_users_own_are_kept() -> None:
    own = pd.DataFrame({"index": [3, 9], "intensity": [1.5, 2.5], "n": [1, 2]})
    own["kind"] = pd.Categorical(["a", "b"])
    labels = make_labels(features=own)
    table = ObjectTable(labels)
    table.add_rows([row_of(9)])
    assert labels.features["n"].tolist() == [1, 2]
    assert labels.features["n"].dtype == int
    assert labels.features["kind"].dtype == "category"
    table.add_rows([row_of(4)])
    features = labels.features.set_index("index")
    assert features.loc[[3, 9], "intensity"].tolist() == [1.5, 2.5]
    assert features.loc[[3, 9], "n"].tolist() == [1, 2]
    assert features.loc[9, "model"] == "starter"
    assert features.loc[4, "n"] is None
    count(table, {})
    assert labels.features["index"].tolist() == [3]
    count(table, {9: 4})
    assert labels.features.set_index("index").loc[9, "n"] == 2


def test_in_a_table_without_labels_a_row_is_the_label() -> None:
    labels = make_labels(features={"name": ["background", "one", "two"]})
    ObjectTable(labels).add_rows([row_of(2)])
    assert labels.features["index"].tolist() == [0, 1, 2]
    assert labels.features["name"].tolist() == ["background", "one", "two"]
    assert labels.features["model"].tolist() == [None, None, "starter"]


def test_classes_are_set_and_taken_away() -> None:
    table = ObjectTable(make_labels())
    table.add_rows([row_of(3), row_of(4)])
    table.set_class([3, 8], "nucleus")
    assert {key: row.class_name for key, row in table.rows().items()} == {
        3: "nucleus",
        4: "",
        8: "nucleus",
    }
    table.add_rows([row_of(3, 5)])
    assert table.rows()[3].class_name == "nucleus"
    table.set_class([3], "")
    assert table.rows()[3] == row_of(3, 5)


@pytest.mark.parametrize("backing", ["numpy", "memmap", "zarr"])
def test_rows_follow_undo_and_redo(backing: str, tmp_path: Any) -> None:
    labels = {
        "numpy": make_labels,
        "memmap": lambda: memmap_labels(tmp_path),
        "zarr": zarr_labels,
    }[backing]()
    table = ObjectTable(labels)
    commit(labels, table, 1, square(3), "one")
    table.set_class([1], "nucleus")
    commit(labels, table, 2, square(2, (10, 10)), "two")
    both = table.rows()
    labels.undo()
    follow(labels, table)
    assert table.rows() == {1: both[1]}
    labels.undo()
    follow(labels, table)
    assert table.rows() == {}
    for _ in range(2):
        labels.redo()
    follow(labels, table)
    assert table.rows() == both


def test_undo_tells_masks_of_the_same_area_apart() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    for number in range(3):
        commit(labels, table, 1, square(3, (number, 2)), f"number {number}")
    for change, number in ((labels.undo, 1), (labels.undo, 0), (labels.redo, 1), (labels.redo, 2)):
        change()
        follow(labels, table)
        assert table.rows()[1].prompts == f"number {number}"


def test_a_mask_that_is_not_known_is_told_by_its_area() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    commit_masks(labels, PLANE, [(1, square(3))])
    table.add_rows([row_of(1, 9)])
    commit(labels, table, 1, square(3, (1, 1)), "second")
    labels.undo()
    follow(labels, table)
    assert table.rows()[1] == row_of(1, 9)


def test_undo_of_an_edit_brings_the_prompts_before_it_back() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    commit(labels, table, 1, square(3), "first")
    commit(labels, table, 1, square(5, (1, 1)), "second")
    table.set_class([1], "nucleus")
    for undo, prompts, area in ((labels.undo, "first", 9), (labels.redo, "second", 25)) * 2:
        undo()
        follow(labels, table)
        row = table.row(1)
        assert row is not None
        assert (row.prompts, row.area, row.class_name) == (prompts, area, "nucleus")


def test_an_object_that_is_gone_from_one_plane_has_the_row_of_another_and_its_class() -> None:
    table = ObjectTable(make_labels())
    table.add_rows([row_of(1, 4, PLANE)])
    table.add_rows([row_of(1, 9, OTHER)])
    table.set_class([1], "nucleus")
    table.bring_back([(1, PLANE)])
    assert table.row(1) == row_of(1, 9, OTHER, class_name="nucleus")
    count(table, {}, OTHER)
    table.bring_back([(1, PLANE)])
    assert table.row(1) == row_of(1, 4, PLANE, class_name="nucleus")
    table.bring_back([(2, PLANE)])
    assert table.row(2) is None


def test_what_a_search_has_measured_goes_with_the_mask_and_comes_back_with_it() -> None:
    own = pd.DataFrame({"index": [1, 2], "note": ["a", "b"], "solidity": [0.5, 0.5]})
    labels = make_labels(features=own)
    table = ObjectTable(labels)
    measures = {"stability_score": 1.0, "centroid-0": 2.0, "bbox-3": 4.0, "solidity": 1.0}
    table.add_rows([row_of(1, measures=measures)])

    def measured(obj_id: int) -> list[bool]:
        return labels.features.set_index("index").loc[obj_id, [*measures]].notna().tolist()

    table.add_rows([row_of(1, 9), row_of(2, 9)])
    assert measured(1) == [False] * 4
    assert labels.features["note"].tolist() == ["a", "b"]
    # No search has written this one.
    assert measured(2) == [False, False, False, True]
    count(table, {1: 4, 2: 9})
    assert measured(1) == [True] * 4
    count(table, {1: 3, 2: 9})
    assert measured(1) == [False] * 4
    assert table.rows()[1].area == 3


def test_areas_follow_what_is_painted() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    commit(labels, table, 1, square(3), "first")
    labels.data_setitem((np.array([1]), np.array([0]), np.array([0])), 0)
    follow(labels, table)
    assert table.rows()[1].area == 8
    assert table.rows()[1].prompts == "first"


def test_rows_of_other_planes_and_without_a_plane_stay() -> None:
    table = ObjectTable(make_labels())
    table.add_rows([row_of(1, plane=OTHER), row_of(2)])
    table.set_class([5], "mine")
    count(table, {})
    assert set(table.rows()) == {1, 5}


def test_nothing_is_written_when_nothing_changed() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    table.add_rows([row_of(1), ObjectRow(2, PLANE, 3)])
    events: list[Any] = []
    labels.events.features.connect(events.append)
    count(table, {1: 4, 2: 3, 9: 100})
    assert not events


def test_the_table_is_read_once_until_it_changes() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    table.add_rows([row_of(1), row_of(2)])
    rows = table.rows()
    assert table.rows() is rows
    table.follow({PLANE: {1: MaskPrint(4, 5), 2: MaskPrint(4, 6)}})
    assert table.rows() is rows
    # In place, which napari tells nobody of.
    labels.features.loc[0, "class_name"] = "nucleus"
    assert table.rows() == {1: row_of(1, class_name="nucleus"), 2: row_of(2)}
    table.set_class([1], "")
    assert table.rows() == rows


def test_another_programs_table_stands_beside_the_rows() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    measures = {"stability_score": 1.0, "solidity": 0.5}
    rows = [row_of(1, class_name="nucleus"), row_of(3, measures=measures), row_of(7)]
    table.add_rows(rows)
    before = table.rows()
    labels.features = pd.DataFrame({"label": [3, 1, 5], "area": [1.5, 2.5, 3.5], "mean": [1, 2, 3]})
    assert table.rows() == before | {5: ObjectRow(5, area=3)}
    # What was read is written when nobody is in the middle of writing.
    assert "plane" not in labels.features
    assert table.keep() == set()
    features = labels.features.set_index("index")
    assert features.loc[[1, 3, 5], "mean"].tolist() == [2, 1, 3]
    assert features["label"].tolist() == features.index.tolist()
    assert features.loc[3, "solidity"] == 0.5
    assert table.keep() is None
    assert ObjectTable(labels).rows() == table.rows()
    table.add_rows([row_of(9)])
    assert labels.features["label"].tolist() == labels.features["index"].tolist()


def test_a_class_of_another_programs_table_counts() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    table.add_rows([row_of(1, class_name="nucleus"), row_of(2, class_name="nucleus")])
    labels.features = {"label": [1, 2], "class_name": ["debris", ""]}
    assert [row.class_name for row in table.rows().values()] == ["debris", "nucleus"]


def test_a_table_without_rows_takes_none_away() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    table.add_rows([row_of(1), row_of(2)])
    rows = table.rows()
    labels.features = {}
    assert table.rows() == rows


def test_numbers_that_are_none_are_left_out() -> None:
    labels = make_labels(features={"index": [1], "area": ["large"], "iou_prediction": ["good"]})
    assert ObjectTable(labels).rows() == {1: ObjectRow(1)}


def test_labels_that_are_there_twice_say_of_no_row_what_it_is() -> None:
    labels = make_labels(features={"label": [5, 5], "mean": [1.0, 2.0]})
    assert sorted(ObjectTable(labels).rows()) == [0, 1]


def test_rows_that_were_removed_from_our_table_are_back_if_their_objects_are_there() -> None:
    labels = make_labels()
    table = ObjectTable(labels)
    table.add_rows([row_of(1), row_of(2, class_name="nucleus"), row_of(3, plane=OTHER)])
    labels.features = labels.features.iloc[:0]
    assert table.rows() == {}
    assert table.keep() == {PLANE, OTHER}
    count(table, {2: 4})
    assert table.rows() == {2: row_of(2, class_name="nucleus")}

"""Which labels objects have in which target."""

from napari_sam2_openvino._session.held_labels import HeldLabels


def test_objects_that_get_other_ids_keep_their_labels_in_every_target() -> None:
    held = HeldLabels()
    for target in ("first", "second"):
        held.set_target(target)
        held.note({1: 7, 2: 8})
    held.renumber({1: 2, 2: 3})
    for target in ("first", "second"):
        held.set_target(target)
        assert [held.of(obj_id) for obj_id in (1, 2, 3)] == [None, 7, 8]
    held.note({1: 9})
    assert held.of(1) == 9

"""Forms: from the description of a parameter set to widgets, and back to a value."""

from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from qtpy.QtCore import QLocale, QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDoubleSpinBox

from napari_sam2_openvino._qt.parameter_form import ParameterForm
from napari_sam2_openvino.core.parameters import MaskOptions, Normalization, describe


@pytest.fixture
def form(qtbot: Any) -> ParameterForm[MaskOptions]:
    form = ParameterForm(MaskOptions)
    qtbot.addWidget(form)
    return form


def heard(form: ParameterForm[Any]) -> list[Any]:
    values: list[Any] = []
    form.changed.connect(values.append)
    return values


@pytest.mark.parametrize("parameter_set", [MaskOptions, Normalization])
def test_there_is_one_entry_for_each_parameter_with_its_title_tip_and_limits(
    qtbot: Any, parameter_set: Any
) -> None:
    form = ParameterForm(parameter_set)
    qtbot.addWidget(form)
    parameters = describe(parameter_set)
    assert list(form.entries) == list(parameters)
    for name, entry in form.entries.items():
        assert entry.label == parameters[name].title
        assert parameters[name].tip in unescape(entry.native.toolTip())
        if limits := parameters[name].limits:
            assert (entry.min, entry.max) == limits
    assert form.value == parameter_set()


def test_setting_the_value_is_silent_and_comes_back_unchanged(
    form: ParameterForm[MaskOptions], qtbot: Any
) -> None:
    values = heard(form)
    options = MaskOptions(-3.25, 120, 7, 4)
    form.value = options
    qtbot.wait(150)
    assert form.value == options
    assert values == []


def test_of_many_quick_edits_the_last_is_told_once(
    form: ParameterForm[MaskOptions], qtbot: Any
) -> None:
    values = heard(form)
    for step in range(20):
        form.entries["mask_threshold"].value = step * 0.25
    qtbot.waitUntil(lambda: bool(values))
    qtbot.wait(150)
    assert values == [MaskOptions(mask_threshold=4.75)]


def test_an_edit_that_is_taken_back_before_it_settles_is_not_told(
    form: ParameterForm[MaskOptions], qtbot: Any
) -> None:
    values = heard(form)
    form.entries["smoothing"].value = 3
    form.entries["smoothing"].value = 0
    qtbot.wait(150)
    assert values == []


def test_a_refused_value_is_explained_and_the_one_before_is_kept(qtbot: Any) -> None:
    form = ParameterForm(Normalization)
    qtbot.addWidget(form)
    values = heard(form)
    form.entries["low_percentile"].value = 99.9
    qtbot.waitUntil(lambda: bool(form.problem_label.text()))
    assert "below the upper one" in form.problem_label.text()
    assert not form.problem_label.isHidden()
    assert form.value == Normalization()
    form.entries["low_percentile"].value = 2.0
    qtbot.waitUntil(lambda: bool(values))
    assert values == [Normalization(low_percentile=2.0)]
    assert form.problem_label.isHidden()


def test_reset_is_told_at_once_but_only_if_it_changes_something(
    form: ParameterForm[MaskOptions],
) -> None:
    values = heard(form)
    form.reset()
    assert values == []
    form.value = MaskOptions(fill_holes=10)
    form.reset()
    assert values == [MaskOptions()]
    assert form.value == MaskOptions()


def test_parameters_that_are_not_shown_keep_their_values(qtbot: Any) -> None:
    form = ParameterForm(MaskOptions, names=["smoothing", "mask_threshold"])
    qtbot.addWidget(form)
    assert list(form.entries) == ["smoothing", "mask_threshold"]
    form.value = MaskOptions(fill_holes=40)
    form.entries["smoothing"].value = 2
    assert form.value == MaskOptions(fill_holes=40, smoothing=2)


def test_a_hidden_row_keeps_its_value(form: ParameterForm[MaskOptions]) -> None:
    form.value = MaskOptions(smoothing=5)
    form.set_row_visible("smoothing", False)
    assert not form.is_row_visible("smoothing")
    assert form.value.smoothing == 5


def test_the_wheel_passes_over_an_entry_that_has_no_focus(
    form: ParameterForm[MaskOptions],
) -> None:
    form.show()
    number = form.entries["fill_holes"].native
    where = QPointF(number.rect().center())
    wheel = QWheelEvent(
        where,
        QPointF(number.mapToGlobal(number.rect().center())),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    number.clearFocus()
    QApplication.sendEvent(number, wheel)
    assert form.value.fill_holes == 0
    assert not wheel.isAccepted()


def test_it_fits_into_a_narrow_dock(form: ParameterForm[MaskOptions]) -> None:
    assert form.minimumSizeHint().width() <= 300


def test_a_live_form_tells_of_a_slider_while_it_is_dragged(qtbot: Any) -> None:
    told = {}
    for is_live in (True, False):
        form = ParameterForm(MaskOptions, is_live=is_live)
        qtbot.addWidget(form)
        values = told[is_live] = heard(form)
        for step in range(12):
            form.entries["mask_threshold"].value = step * 0.25
            qtbot.wait(10)
        qtbot.wait(100)
        assert values[-1].mask_threshold == 11 * 0.25
    assert len(told[False]) == 1
    assert len(told[True]) >= 4


@pytest.fixture
def german() -> Iterator[None]:
    before = QLocale()
    QLocale.setDefault(QLocale("de_DE"))
    yield
    QLocale.setDefault(before)


@pytest.mark.usefixtures("german")
@pytest.mark.parametrize("typed", ["0,5", "0.5"])
def test_point_and_comma_are_both_the_decimal_sign(qtbot: Any, typed: str) -> None:
    form = ParameterForm(MaskOptions)
    qtbot.addWidget(form)
    entry = form.entries["mask_threshold"]
    (number,) = entry.native.findChildren(QDoubleSpinBox)
    number.selectAll()
    QTest.keyClicks(number, typed)
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert number.text() == "0,50"
    assert form.value.mask_threshold == 0.5


@pytest.mark.usefixtures("german")
def test_a_number_that_is_pasted_is_never_taken_for_another(qtbot: Any) -> None:
    form = ParameterForm(MaskOptions)
    qtbot.addWidget(form)
    (number,) = form.entries["mask_threshold"].native.findChildren(QDoubleSpinBox)
    number.lineEdit().selectAll()
    number.lineEdit().insert("0.5")
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert form.value.mask_threshold == 0

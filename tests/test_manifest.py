"""What ``npe2 validate`` checks, and what it does not."""

import importlib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari._app_model.constants import MenuId
from npe2 import PluginManifest

from napari_sam2_openvino._qt.actions import ACTIONS

NAME = "napari-sam2-openvino"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution(NAME)


def commands(manifest: PluginManifest) -> dict[str, Any]:
    return {command.id: command for command in manifest.contributions.commands}


def test_napari_finds_a_manifest_of_the_distributions_name(manifest: PluginManifest) -> None:
    assert manifest.name == NAME == distribution(NAME).metadata["Name"]
    manifest.validate_imports()


def test_the_file_at_the_top_is_the_one_in_the_package() -> None:
    import napari_sam2_openvino

    inside = Path(napari_sam2_openvino.__file__).with_name("napari.yaml")
    top = Path(__file__).parents[1] / "napari.yaml"
    assert PluginManifest.from_file(inside).name == NAME
    assert top.resolve() == inside.resolve()


def test_every_command_can_be_imported_and_is_used(manifest: PluginManifest) -> None:
    used = set()
    contributions = manifest.contributions
    for contribution in (
        *contributions.widgets,
        *contributions.sample_data,
        *contributions.writers,
    ):
        used.add(contribution.command)
    for items in (contributions.menus or {}).values():
        used.update(item.command for item in items if hasattr(item, "command"))
    assert used == set(commands(manifest))
    for command in commands(manifest).values():
        assert command.id.startswith(f"{NAME}.")
        module, _, attribute = command.python_name.partition(":")
        assert callable(getattr(importlib.import_module(module), attribute))


def test_menus_are_those_that_plugins_may_use_and_our_own(manifest: PluginManifest) -> None:
    menus = manifest.contributions.menus
    assert menus
    own = {submenu.id for submenu in manifest.contributions.submenus or ()}
    assert set(menus) - own <= {menu.value for menu in MenuId.contributables()}
    assert own <= set(menus)
    shown = {item.submenu for items in menus.values() for item in items if hasattr(item, "submenu")}
    assert shown == own


def test_there_is_a_command_for_each_action_that_needs_no_number(manifest: PluginManifest) -> None:
    actions = {each.verb: each for each in ACTIONS if len(each.keys) <= 1}
    titles = {
        each.id.removeprefix(f"{NAME}."): each.title for each in manifest.contributions.commands
    }
    assert {verb: titles.get(verb) for verb in actions} == {
        verb: each.title for verb, each in actions.items()
    }


def test_there_is_a_preference_for_each_key_that_can_be_changed(manifest: PluginManifest) -> None:
    properties = manifest.contributions.configurations["keys"].properties
    assert {name: (each.title, each.default) for name, each in properties.items()} == {
        each.verb: (each.title, each.keys[0]) for each in ACTIONS if len(each.keys) == 1
    }


def test_defaults_of_preferences_are_within_their_limits(manifest: PluginManifest) -> None:
    for category in manifest.contributions.configurations.values():
        for name, each in category.properties.items():
            assert isinstance(each.default, each.python_type), name
            assert each.minimum is None or each.minimum <= each.default, name
            assert each.maximum is None or each.default <= each.maximum, name


def test_each_sample_is_an_image_with_its_ground_truth(manifest: PluginManifest) -> None:
    from napari_sam2_openvino._sample_data import example_prompts

    assert len(manifest.contributions.sample_data) == 3
    for sample in manifest.contributions.sample_data:
        python_name = commands(manifest)[sample.command].python_name
        module, _, attribute = python_name.partition(":")
        layers = getattr(importlib.import_module(module), attribute)()
        (image, about, kind), (labels, about_labels, kind_labels) = layers
        assert (kind, kind_labels) == ("image", "labels")
        assert labels.shape == (image.shape[:-1] if about["rgb"] else image.shape)
        assert about["scale"] == about_labels["scale"]
        assert about["units"] == about_labels["units"]
        assert len(about["scale"]) == labels.ndim
        assert not about_labels["visible"]
        assert labels.max() >= 5
        plane = labels if labels.ndim == 2 else labels[len(labels) // 2]
        for obj_id, prompts in example_prompts(plane, count=4).items():
            x, y = prompts.point_coords[0].astype(int)
            assert plane[y, x] == obj_id
        assert np.array_equal(getattr(importlib.import_module(module), attribute)()[0][0], image)

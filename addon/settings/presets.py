# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets: the parts of a recipe that can be used in several scenes, as TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ...engine.plugin.contract import KINDS
from ...engine.recipe.writing import toml_value
from .migration import current_spelling
from .properties import list_attribute, parameters_of
from .recipe import fill_table, is_set_up, table_of

FOLDER = "twinset"
"""Folder in Blender's preset folders."""

PRESET_PATH = Path(__file__).resolve().parents[1] / "presets"
"""The presets that come with Twinset, in a folder of the above name."""

_DEFAULT = "Objects_on_Surfaces.toml"
"""The preset for new scenes."""

_SCENE_SPECIFIC = ("class", "object", "zone", "collection")
"""Meanings of parameters with names of one scene, which presets do not contain."""


def preset_text(scene: bpy.types.Scene) -> str:
    """A preset with the current settings: plugins without names of this scene's data, rendering, output."""
    table = table_of(scene)
    kept = {key: table[key] for key in ("images", "render", "output")}
    for kind in KINDS:
        kept[kind] = [_without_names(use, values) for use, values in _stack_values(scene, table, kind)]
    lines = [f"{key} = {toml_value(value)}" for key, value in kept.items()]
    return "\n".join(lines) + "\n"


def apply_preset(scene: bpy.types.Scene, path: Path) -> None:
    """Load a preset; classes, room, real dataset and names of the scene's data are kept.

    Raises
    ------
    OSError, tomllib.TOMLDecodeError
        The file cannot be read, or is not valid TOML.
    """
    preset = current_spelling(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    before = {kind: _stack_values(scene, table_of(scene), kind) for kind in KINDS}
    for kind in set(KINDS) & set(preset):
        preset[kind] = [{**values, **_names_of(before[kind], values)} for values in preset[kind]]
    fill_table(scene, preset)


def set_up(scene: bpy.types.Scene) -> None:
    """Load the default preset into a scene that is not set up yet."""
    if not is_set_up(scene):
        apply_preset(scene, PRESET_PATH / FOLDER / _DEFAULT)


def _stack_values(scene: bpy.types.Scene, table: dict[str, Any], kind: str) -> list[tuple[Any, dict[str, Any]]]:
    return list(zip(getattr(scene.twinset, list_attribute(kind)), table[kind], strict=True))


def _scene_specific_params(use: Any) -> set[str]:
    """Names of the parameters of a stack entry that name data of this scene."""
    group = parameters_of(use)
    if group is None:
        return set()
    return {field.param.name for field in group.twinset_fields if field.param.means in _SCENE_SPECIFIC}


def _without_names(use: Any, values: dict[str, Any]) -> dict[str, Any]:
    excluded = _scene_specific_params(use)
    return {key: value for key, value in values.items() if key not in excluded}


def _names_of(uses: list[tuple[Any, dict[str, Any]]], values: Mapping[str, Any]) -> dict[str, Any]:
    """The names that the first stack entry with the same plugin has."""
    for use, previous in uses:
        if use.plugin == values.get("plugin"):
            params = _scene_specific_params(use)
            return {key: value for key, value in previous.items() if key in params and value}
    return {}

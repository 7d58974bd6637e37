# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets: the parts of a recipe that serve more than one scene, as TOML files in Blender's preset folders."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bpy
from bl_ui.utils import PresetPanel

from ...engine.plugin.contract import KINDS
from ...engine.recipe.writing import toml_value
from ..settings.fields import touched
from ..settings.properties import list_attribute, parameters_of
from ..settings.recipe import fill_table, is_set_up, table_of
from .exchange import is_editable

FOLDER = "twinset"
FIRST = "Objects_on_Surfaces.toml"
"""The preset that a new scene begins with."""

_SHIPPED = Path(__file__).resolve().parents[1] / "presets"
_OF_SCENE = ("class", "object", "zone", "collection")
"""Meanings of names that belong to one scene and stay there."""


def preset_text(scene: bpy.types.Scene) -> str:
    """What a preset keeps of the settings: plugins without the names of this scene's things, rendering, labels."""
    table = table_of(scene)
    kept = {key: table[key] for key in ("images", "render", "output")}
    for kind in KINDS:
        kept[kind] = [_without_names(use, values) for use, values in _uses(scene, table, kind)]
    lines = [f"{key} = {toml_value(value)}" for key, value in kept.items()]
    return "\n".join(lines) + "\n"


def apply_preset(scene: bpy.types.Scene, path: Path) -> None:
    """Show a preset; classes, room, real dataset and the names of things stay as they are.

    Raises
    ------
    OSError, tomllib.TOMLDecodeError
        The file cannot be read, or is no TOML.
    """
    given = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    before = {kind: _uses(scene, table_of(scene), kind) for kind in KINDS}
    for kind in set(KINDS) & set(given):
        rows = [given[kind]] if isinstance(given[kind], Mapping) else given[kind]
        given[kind] = [{**values, **_names_of(before[kind], values)} for values in rows]
    fill_table(scene, given)
    touched()


def _uses(scene: bpy.types.Scene, table: dict[str, Any], kind: str) -> list[tuple[Any, dict[str, Any]]]:
    return list(zip(getattr(scene.twinset, list_attribute(kind)), table[kind], strict=True))


def _is_name(use: Any) -> Callable[[str], bool]:
    group = parameters_of(use)
    own = {f.param.name for f in group.twinset_fields if f.param.means in _OF_SCENE} if group is not None else set()
    return own.__contains__


def _without_names(use: Any, values: dict[str, Any]) -> dict[str, Any]:
    is_name = _is_name(use)
    return {key: value for key, value in values.items() if not is_name(key)}


def _names_of(uses: list[tuple[Any, dict[str, Any]]], values: Mapping[str, Any]) -> dict[str, Any]:
    """The names that the first use of the same plugin had."""
    for use, had in uses:
        if use.plugin == values.get("plugin"):
            is_name = _is_name(use)
            return {key: value for key, value in had.items() if is_name(key) and value}
    return {}


class TWINSET_PT_presets(PresetPanel, bpy.types.Panel):
    """Settings to begin with, and your own"""

    bl_label = "Twinset Presets"
    preset_subdir = FOLDER
    preset_extensions = {".toml"}
    preset_operator = "twinset.preset_load"
    preset_add_operator = "twinset.preset_add"


class TWINSET_OT_preset_load(bpy.types.Operator):
    """Use these settings; classes, surfaces, room and real dataset stay"""

    bl_idname = "twinset.preset_load"
    bl_label = "Load Preset"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}
    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE", "HIDDEN"})
    menu_idname: bpy.props.StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        path = Path(self.filepath)
        try:
            apply_preset(context.scene, path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.report({"ERROR"}, f"The preset {path.name} cannot be used: {error}")
            return {"CANCELLED"}
        TWINSET_PT_presets.bl_label = bpy.path.display_name(path.stem)
        return {"FINISHED"}


class TWINSET_OT_preset_add(bpy.types.Operator):
    """Keep the present settings as a preset, or remove one"""

    bl_idname = "twinset.preset_add"
    bl_label = "Add Preset"
    bl_options = {"INTERNAL"}
    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})
    remove_name: bpy.props.BoolProperty(options={"SKIP_SAVE", "HIDDEN"})
    remove_active: bpy.props.BoolProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        stem = bpy.path.clean_name(self.name.strip()) if self.name.strip() else ""
        if not stem:
            self.report({"INFO"}, "Give the preset a name.")
            return {"CANCELLED"}
        folder = Path(bpy.utils.user_resource("SCRIPTS", path=f"presets/{FOLDER}", create=True))
        path = folder / f"{stem}.toml"
        try:
            if self.remove_name or self.remove_active:
                found = path if path.is_file() else folder / f"{self.name}.toml"
                if not found.is_file():
                    self.report({"INFO"}, "Presets that come with Twinset stay.")
                    return {"CANCELLED"}
                found.unlink()
            else:
                path.write_text(preset_text(context.scene), encoding="utf-8")
        except OSError as error:
            self.report({"ERROR"}, f"{path} cannot be changed: {error.strerror}.")
            return {"CANCELLED"}
        return {"FINISHED"}


class TWINSET_OT_set_up(bpy.types.Operator):
    """Begin a dataset of this scene, with settings that suit things standing on surfaces"""

    bl_idname = "twinset.set_up"
    bl_label = "Set Up Dataset"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return is_editable(cls, context)

    def execute(self, context: Any) -> set[str]:
        set_up(context.scene)
        return {"FINISHED"}


def set_up(scene: bpy.types.Scene) -> None:
    """Fill the panels of a scene that never was; any other is left as it is."""
    if not is_set_up(scene):
        apply_preset(scene, _SHIPPED / FOLDER / FIRST)


_CLASSES = (TWINSET_PT_presets, TWINSET_OT_preset_load, TWINSET_OT_preset_add, TWINSET_OT_set_up)


def register() -> None:
    """Add operators and panel, and show the presets that come with Twinset."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.utils.register_preset_path(str(_SHIPPED.parent))


def unregister() -> None:
    """Take them back."""
    bpy.utils.unregister_preset_path(str(_SHIPPED.parent))
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)

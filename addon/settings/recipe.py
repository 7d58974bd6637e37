# SPDX-License-Identifier: GPL-3.0-or-later
"""Converts the scene's settings to a recipe and back, exactly."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from ...engine.errors import RecipeError
from ...engine.float32 import shortest_decimal
from ...engine.plugin.contract import KINDS
from ...engine.plugin.params import describe
from ...engine.recipe.paths import absolute_path
from ...engine.recipe.settings import LISTS, TABLES, JobSettings, Recipe
from ...engine.recipe.writing import dump_recipe, relative, toml_value
from .fields import fill, values_of
from .plugins import folder_of_plugin
from .properties import VERSION, list_attribute, parameters_of

_JOB = [p.name for p in describe(JobSettings)]
_LINE = re.compile(r" \(line \d+\)")


def recipe_of(
    scene: bpy.types.Scene, folder: Path | None = None, *, blend: Path | None = None, check_files: bool = False
) -> Recipe:
    """The recipe of a scene's settings, validated.

    Parameters
    ----------
    scene : bpy.types.Scene
    folder : Path, optional
        Folder that relative paths start from; default is that of the .blend file.
    blend : Path, optional
        The file with the scene if that is not the open one but a copy of it.
    check_files : bool
        Whether the files that it names must exist.

    Raises
    ------
    RecipeError
        With all problems; also if the file was never saved.
    """
    from ...engine.recipe.reading import loads_recipe

    folder = Path(folder or blend_folder()).resolve()
    if scene.twinset.room == "THIS" and blend is None and not bpy.data.filepath:
        raise RecipeError(["Save the file first: the recipe refers to the .blend file."])
    table = table_of(scene, folder, blend=blend)
    text = "\n".join(f"{key} = {toml_value(value)}" for key, value in table.items())
    try:
        return loads_recipe(text, folder, "Twinset", check_files=check_files)
    except RecipeError as error:
        # The line numbers refer to a text that the user does not see.
        raise RecipeError([_LINE.sub("", p).removeprefix("Twinset: ") for p in error.problems]) from None


def recipe_text(scene: bpy.types.Scene, folder: Path, *, blend: Path | None = None) -> str:
    """The recipe as TOML for a file in ``folder``; raises as :func:`recipe_of` does."""
    return dump_recipe(recipe_of(scene, folder, blend=blend), [f"Written by Twinset in Blender, scene '{scene.name}'."])


def export_recipe(scene: bpy.types.Scene, path: Path) -> None:
    """Write the recipe to a file for the headless command; RecipeError if it is invalid, OutputError if that fails."""
    from ...dataset.atomic_files import write_atomic

    write_atomic(path, recipe_text(scene, path.parent).encode())


def import_recipe(scene: bpy.types.Scene, path: Path) -> None:
    """Load a recipe file into the settings; RecipeError lists its problems."""
    from ...engine.recipe.reading import load_recipe

    fill_scene(scene, load_recipe(path, check_files=False))


def fill_scene(scene: bpy.types.Scene, recipe: Recipe) -> None:
    """Load a recipe into the settings; it replaces all of them."""
    table = tomllib.loads(dump_recipe(recipe))
    fill_table(scene, {key: [] if key in LISTS or key in KINDS else {} for key in (*TABLES, *LISTS, *KINDS)})
    scene.twinset.rest = ""
    fill_table(scene, table, recipe.folder)
    file = recipe.scene.file
    is_own = bool(file and bpy.data.filepath) and recipe.path(file) == Path(bpy.data.filepath).resolve()
    # Another scene of the same file counts as another room.
    scene.twinset.room = "THIS" if is_own and recipe.scene.scene in ("", scene.name) else "OTHER"


def fill_table(scene: bpy.types.Scene, table: Mapping[str, Any], folder: Path | None = None) -> None:
    """Load the given tables of a recipe into the settings; others are kept, such as the classes for a preset.

    Parameters
    ----------
    scene : bpy.types.Scene
    table : mapping
        Part of a recipe as in TOML; plugins may also have ``enabled = false``.
    folder : Path, optional
        Folder that its relative paths start from; None if paths are as in the panels.
    """
    settings = scene.twinset
    settings.version = VERSION
    if folder is not None:
        settings.origin = str(folder)
    fill_group = partial(fill, path_in=None if folder is None else partial(_path_in, folder))
    rest = json.loads(settings.rest or "{}")
    if any(key in table for key in _JOB):
        fill_group(settings.job, values_of(settings.job) | {key: table[key] for key in _JOB if key in table})
    for key, values in table.items():
        if key in TABLES:
            fill_group(getattr(settings, key), {k: v for k, v in values.items() if k != "models"})
            if key == "scene":
                _fill_list(settings.models, values.get("models", []), fill_group)
        elif key in LISTS:
            _fill_list(getattr(settings, list_attribute(key)), values, fill_group)
        elif key in KINDS:
            stack = getattr(settings, list_attribute(key))
            stack.clear()
            for use in [values] if isinstance(values, Mapping) and values else values:
                _fill_use(stack.add(), use, fill_group)
        elif key not in _JOB:
            rest[key] = values
    settings.rest = json.dumps(rest, ensure_ascii=False) if rest else ""


def table_of(scene: bpy.types.Scene, folder: Path | None = None, *, blend: Path | None = None) -> dict[str, Any]:
    """The recipe as TOML values, not validated, without plugins that are switched off.

    Without a folder, all settings: paths as in the panels, and all plugins, with ``enabled``.
    """
    settings = scene.twinset
    is_same_folder = folder is not None and settings.origin == str(folder)
    read_values = partial(
        values_of, path_out=None if folder is None else partial(_path_out, folder, is_same_folder=is_same_folder)
    )
    out = read_values(settings.job)
    for kind in KINDS:
        uses = [use for use in getattr(settings, list_attribute(kind)) if use.enabled or folder is None]
        if folder is not None:
            _add_plugin_folders(out, kind, uses)
        if kind != "target" or folder is None:
            out[kind] = [_use_table(use, kind, read_values, folder) for use in uses]
        elif uses:
            out[kind] = _use_table(uses[0], kind, read_values, folder)
    for key in TABLES:
        out[key] = read_values(getattr(settings, key))
    if folder is not None and not out["real"].get("annotations"):
        del out["real"]
    out["scene"]["models"] = [read_values(model) for model in settings.models]
    for key in LISTS:
        out[key] = [read_values(entry) for entry in getattr(settings, list_attribute(key))]
    if folder is not None and imported_tables(scene, "room"):
        del out["scene"]
    elif folder is not None and settings.room == "THIS":
        _set_this_scene(out["scene"], scene, folder, blend)
    return out | json.loads(settings.rest or "{}")


def is_set_up(scene: bpy.types.Scene) -> bool:
    """Whether the scene has settings."""
    return bool(scene.twinset.version)


def imported_tables(scene: bpy.types.Scene, key: str) -> list[dict[str, Any]]:
    """The tables ``variant`` or ``room`` of an imported recipe, which the panels keep unchanged."""
    return list(json.loads(scene.twinset.rest or "{}").get(key, []))


def remove_imported_tables(scene: bpy.types.Scene, key: str) -> None:
    """Remove the variants or rooms of an imported recipe, so that all frames use the settings of the panels."""
    rest = json.loads(scene.twinset.rest or "{}")
    rest.pop(key, None)
    scene.twinset.rest = json.dumps(rest, ensure_ascii=False) if rest else ""


def blend_folder() -> Path:
    """The folder of the open file, or the current folder if it was never saved."""
    return Path(bpy.data.filepath).resolve().parent if bpy.data.filepath else Path.cwd()


def _fill_list(entries: Any, rows: Any, fill_group: Callable[..., None]) -> None:
    entries.clear()
    for row in rows:
        fill_group(entries.add(), row)


def _fill_use(use: Any, values: Mapping[str, Any], fill_group: Callable[..., None]) -> None:
    use.plugin = values["plugin"]
    use.enabled = values.get("enabled", True)
    weight = values.get("weight", 1.0)
    use.weight = weight
    shown = shortest_decimal(use.weight)
    use.weight_kept = json.dumps([weight, shown]) if shown != weight else ""
    own = {k: v for k, v in values.items() if k not in ("plugin", "enabled", "weight")}
    group = parameters_of(use)
    if group is None:
        use.raw = json.dumps(own, ensure_ascii=False)
    else:
        fill_group(group, own)


def _use_table(
    use: Any, kind: str, read_values: Callable[[Any], dict[str, Any]], folder: Path | None
) -> dict[str, Any]:
    out: dict[str, Any] = {"plugin": use.plugin}
    if kind == "camera":
        kept = json.loads(use.weight_kept) if use.weight_kept else [1.0, None]
        shown = shortest_decimal(use.weight)
        out["weight"] = kept[0] if kept[1] == shown else shown
    if folder is None:
        out["enabled"] = use.enabled
    group = parameters_of(use)
    return out | (json.loads(use.raw or "{}") if group is None else read_values(group))


def _add_plugin_folders(out: dict[str, Any], kind: str, uses: list[Any]) -> None:
    """Add the preferences' plugin folders that the recipe's plugins need."""
    for use in uses:
        folder = folder_of_plugin(kind, use.plugin)
        known = [absolute_path(Path(), text) for text in out["plugin_folders"]]
        if folder is not None and folder.resolve() not in known:
            out["plugin_folders"] = [*out["plugin_folders"], str(folder)]


def _set_this_scene(table: dict[str, Any], scene: bpy.types.Scene, folder: Path, blend: Path | None) -> None:
    path = Path(blend or bpy.data.filepath).resolve()
    current = table.get("file", "")
    if not current or absolute_path(folder, current) != path:
        table["file"] = relative(str(path), folder)
    table |= dict.fromkeys(("builtin", "blenderproc", "dataset"), "")
    if table.get("scene", "") != scene.name:
        table["scene"] = scene.name if len(bpy.data.scenes) > 1 else ""


def _path_in(folder: Path, text: str) -> str:
    """A path of a recipe as in the panels: relative to the .blend file if that is saved."""
    if _is_absolute(text):
        return text
    path = str(absolute_path(folder, text))
    if not bpy.data.filepath:
        return path
    try:
        return bpy.path.relpath(path)
    except ValueError:  # another drive
        return path


def _path_out(folder: Path, exact: str | None, shown: str, *, is_same_folder: bool) -> str:
    """A path of a panel as in a recipe in ``folder``."""
    if exact is not None and (is_same_folder or _is_absolute(exact)):
        return exact
    if shown.startswith("//"):
        return relative(bpy.path.abspath(shown), folder)
    return shown if exact is None else relative(shown, folder)


def _is_absolute(text: str) -> bool:
    """Whether a path does not depend on the folder of the recipe."""
    return text.startswith(("~", "$", "//")) or os.path.isabs(text)

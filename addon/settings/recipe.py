# SPDX-License-Identifier: GPL-3.0-or-later
"""From the scene's settings to a recipe and back; what goes in comes out exactly."""

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
from ...engine.float32 import shortest
from ...engine.plugin.contract import KINDS
from ...engine.plugin.params import describe
from ...engine.recipe.settings import LISTS, TABLES, JobSettings, Recipe, absolute
from ...engine.recipe.writing import dump_recipe, relative, toml_value
from .fields import fill, values_of
from .properties import VERSION, folder_of_plugin, list_attribute, parameters_of

_JOB = [p.name for p in describe(JobSettings)]
_LINE = re.compile(r" \(line \d+\)")


def recipe_of(
    scene: bpy.types.Scene, folder: Path | None = None, *, blend: Path | None = None, files_too: bool = False
) -> Recipe:
    """The recipe that the panels of a scene show, checked.

    Parameters
    ----------
    scene : bpy.types.Scene
    folder : Path, optional
        Where its relative paths are to start; default is the folder of the .blend.
    blend : Path, optional
        The file that holds the scene, where that is not the open one: a copy saved elsewhere.
    files_too : bool
        Whether the files that it names must be there.

    Raises
    ------
    RecipeError
        With all problems; among them that the file was never saved.
    """
    from ...engine.recipe.reading import loads_recipe

    folder = Path(folder or blend_folder()).resolve()
    if scene.twinset.room == "THIS" and blend is None and not bpy.data.filepath:
        raise RecipeError(["Save the file first: a recipe names the .blend that it renders."])
    table = table_of(scene, folder, blend=blend)
    text = "\n".join(f"{key} = {toml_value(value)}" for key, value in table.items())
    try:
        return loads_recipe(text, folder, "Twinset", files_too=files_too)
    except RecipeError as error:
        # Lines of a text that nobody sees say nothing.
        raise RecipeError([_LINE.sub("", p).removeprefix("Twinset: ") for p in error.problems]) from None


def recipe_text(scene: bpy.types.Scene, folder: Path, *, blend: Path | None = None) -> str:
    """The recipe as TOML for a file in ``folder``; raises as :func:`recipe_of` does."""
    return dump_recipe(recipe_of(scene, folder, blend=blend), [f"Written by Twinset in Blender, scene '{scene.name}'."])


def export_recipe(scene: bpy.types.Scene, path: Path) -> None:
    """Write the recipe into a file that the headless command takes; RecipeError, or OutputError where it cannot be."""
    from ...dataset.atomic_files import write_atomic

    write_atomic(path, recipe_text(scene, path.parent).encode())


def import_recipe(scene: bpy.types.Scene, path: Path) -> None:
    """Show a recipe file in the panels; RecipeError lists what is wrong with it."""
    from ...engine.recipe.reading import load_recipe

    fill_scene(scene, load_recipe(path, files_too=False))


def fill_scene(scene: bpy.types.Scene, recipe: Recipe) -> None:
    """Show a recipe in the panels; nothing of what they showed before stays."""
    table = tomllib.loads(dump_recipe(recipe))
    fill_table(scene, {key: [] if key in LISTS or key in KINDS else {} for key in (*TABLES, *LISTS, *KINDS)})
    scene.twinset.rest = ""
    fill_table(scene, table, recipe.folder)
    file = recipe.scene.file
    is_own = bool(file and bpy.data.filepath) and recipe.path(file) == Path(bpy.data.filepath).resolve()
    # A scene of the file that is not this one stays the other one.
    scene.twinset.room = "THIS" if is_own and recipe.scene.scene in ("", scene.name) else "OTHER"


def fill_table(scene: bpy.types.Scene, table: Mapping[str, Any], folder: Path | None = None) -> None:
    """Show the tables that are given, as TOML has them; others stay as they are, such as the classes with a preset.

    Parameters
    ----------
    scene : bpy.types.Scene
    table : mapping
        Part of a recipe. A plugin may have ``enabled = false``, which no recipe has.
    folder : Path, optional
        Where its relative paths start; None where paths are as panels show them.
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
    """The recipe as TOML values, unchecked; what is switched off is left out.

    Without a folder, all there is: paths as panels show them, and plugins that are switched off with ``enabled``.
    """
    settings = scene.twinset
    same = folder is not None and settings.origin == str(folder)
    take = partial(values_of, path_out=None if folder is None else partial(_path_out, folder, same=same))
    out = take(settings.job)
    for kind in KINDS:
        uses = [use for use in getattr(settings, list_attribute(kind)) if use.enabled or folder is None]
        if folder is not None:
            _name_folders(out, kind, uses)
        if kind != "target" or folder is None:
            out[kind] = [_use_table(use, kind, take, folder) for use in uses]
        elif uses:
            out[kind] = _use_table(uses[0], kind, take, folder)
    for key in TABLES:
        out[key] = take(getattr(settings, key))
    if folder is not None and not out["real"].get("annotations"):
        del out["real"]
    out["scene"]["models"] = [take(model) for model in settings.models]
    for key in LISTS:
        out[key] = [take(entry) for entry in getattr(settings, list_attribute(key))]
    if folder is not None and kept_of(scene, "room"):
        del out["scene"]
    elif folder is not None and settings.room == "THIS":
        _name_this_scene(out["scene"], scene, folder, blend)
    return out | json.loads(settings.rest or "{}")


def is_set_up(scene: bpy.types.Scene) -> bool:
    """Whether the panels of a scene were ever filled."""
    return bool(scene.twinset.version)


def kept_of(scene: bpy.types.Scene, key: str) -> list[dict[str, Any]]:
    """The tables ``variant`` or ``room`` of an imported recipe, which panels keep as they are."""
    return list(json.loads(scene.twinset.rest or "{}").get(key, []))


def remove_kept(scene: bpy.types.Scene, key: str) -> None:
    """Let all frames have the plugins, or the room, as the panels show them."""
    rest = json.loads(scene.twinset.rest or "{}")
    rest.pop(key, None)
    scene.twinset.rest = json.dumps(rest, ensure_ascii=False) if rest else ""


def blend_folder() -> Path:
    """The folder of the open file, or the current one where it was never saved."""
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
    use.weight_kept = json.dumps([weight, shortest(use.weight)]) if shortest(use.weight) != weight else ""
    own = {k: v for k, v in values.items() if k not in ("plugin", "enabled", "weight")}
    group = parameters_of(use)
    if group is None:
        use.raw = json.dumps(own, ensure_ascii=False)
    else:
        fill_group(group, own)


def _use_table(use: Any, kind: str, take: Callable[[Any], dict[str, Any]], folder: Path | None) -> dict[str, Any]:
    out: dict[str, Any] = {"plugin": use.plugin}
    if kind == "camera":
        kept = json.loads(use.weight_kept) if use.weight_kept else [1.0, None]
        shown = shortest(use.weight)
        out["weight"] = kept[0] if kept[1] == shown else shown
    if folder is None:
        out["enabled"] = use.enabled
    group = parameters_of(use)
    return out | (json.loads(use.raw or "{}") if group is None else take(group))


def _name_folders(out: dict[str, Any], kind: str, uses: list[Any]) -> None:
    """Add the folders of plugins in use that are named in the preferences and not in the recipe."""
    for use in uses:
        folder = folder_of_plugin(kind, use.plugin)
        known = [absolute(Path(), text) for text in out["plugin_folders"]]
        if folder is not None and folder.resolve() not in known:
            out["plugin_folders"] = [*out["plugin_folders"], str(folder)]


def _name_this_scene(table: dict[str, Any], scene: bpy.types.Scene, folder: Path, blend: Path | None) -> None:
    path = Path(blend or bpy.data.filepath).resolve()
    written = table.get("file", "")
    if not written or absolute(folder, written) != path:
        table["file"] = relative(str(path), folder)
    table |= dict.fromkeys(("builtin", "blenderproc", "dataset"), "")
    if table.get("scene", "") != scene.name:
        table["scene"] = scene.name if len(bpy.data.scenes) > 1 else ""


def _path_in(folder: Path, text: str) -> str:
    """A path of a recipe as panels show it: relative ones from the .blend, where that is saved."""
    if _is_rooted(text):
        return text
    path = str(absolute(folder, text))
    if not bpy.data.filepath:
        return path
    try:
        return bpy.path.relpath(path)
    except ValueError:  # another drive
        return path


def _path_out(folder: Path, exact: str | None, shown: str, *, same: bool) -> str:
    """A path of a panel as a recipe in ``folder`` writes it."""
    if exact is not None and (same or _is_rooted(exact)):
        return exact
    if shown.startswith("//"):
        return relative(bpy.path.abspath(shown), folder)
    return shown if exact is None else relative(shown, folder)


def _is_rooted(text: str) -> bool:
    """Whether a path means the same wherever the recipe lies."""
    return text.startswith(("~", "$", "//")) or os.path.isabs(text)

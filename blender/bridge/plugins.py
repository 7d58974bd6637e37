# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a recipe of the bridge's plugins, given as part of a recipe in TOML or as Python objects."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...engine.errors import RecipeError
from ...engine.plugin.registry import default
from ...engine.recipe.reading import default_ids, loads_recipe
from ...engine.recipe.settings import OutputSettings, PluginUse, Recipe, RenderSettings, SceneSettings
from ...engine.recipe.tables.classes import ClassSettings, DistractorSettings
from ...engine.recipe.writing import toml_value

_TABLES = ("placement", "camera", "target", "real", "variant", "plugin_folders")

_NO_EFFECTS = "Effects change pictures that Twinset renders; change those of the script where it writes them."

_REMEDIES = {
    "effect": _NO_EFFECTS,
    "camera_model": "The bridge poses a plain pinhole camera; the lens is a parameter of [[camera]].",
    "class": "Objects and their classes are the argument 'objects'.",
    "distractor": 'Distractors are the objects of the class "".',
    "output": "The script's resolution is the size of the images.",
    "seed": "The seed is the argument 'seed'.",
    "sequence": "Each frame of the script is one of its own.",
    "rig": "Each frame of the script has one camera.",
}


def recipe_from_plugins(
    plugins: str | Path | Sequence[Any], classes: Sequence[str], seed: int, max_attempts: int, size: tuple[int, int]
) -> Recipe:
    """The recipe with these plugins, whose assets are in the collections that :func:`collection_name` gives.

    Parameters
    ----------
    plugins : str, Path, or sequence of plugins
        TOML text, a TOML file, or plugins made in Python.
    classes : sequence of str
        Class names; "" for distractors.
    seed, max_attempts : int
    size : (width, height)
        Image size in pixels.

    Raises
    ------
    RecipeError
        With all problems.
    """
    if not isinstance(plugins, str | Path):
        return _of_instances(list(plugins), classes, seed, max_attempts, size)
    name = str(plugins) if isinstance(plugins, Path) else "plugins"
    try:
        text = plugins.read_text(encoding="utf-8-sig") if isinstance(plugins, Path) else plugins
        keys = tomllib.loads(text).keys()
    except OSError as error:
        raise RecipeError([f"{name}: cannot be read: {error.strerror}. Name a file with plugins."]) from None
    except tomllib.TOMLDecodeError:
        keys = {}.keys()  # reading it as a recipe reports the line
    others = [key for key in keys if key not in _TABLES]
    if others:
        text = f"the bridge does not take {_listed(others)}, only {', '.join(_TABLES)}; the script sets the rest."
        raise RecipeError([" ".join([f"{name}: {text}", *(_REMEDIES[key] for key in others if key in _REMEDIES)])])
    for entry in classes:
        lines = [f"[[{'class' if entry else 'distractor'}]]", f"collection = {toml_value(collection_name(entry))}"]
        text += "\n".join(["", *lines, f"name = {toml_value(entry)}", ""])
    given = {"seed": seed, "scene.builtin": "hall", "render.max_attempts": max_attempts, "render.device": "cpu"}
    folder = plugins.resolve().parent if isinstance(plugins, Path) else Path.cwd()
    return loads_recipe(text, folder, name, given | {"output.width": size[0], "output.height": size[1]})


def _of_instances(
    plugins: list[Any], classes: Sequence[str], seed: int, max_attempts: int, size: tuple[int, int]
) -> Recipe:
    uses: dict[str, tuple[PluginUse, ...]] = {kind: () for kind in ("appearance", "metric", "target")}
    for plugin in plugins:
        kind = getattr(plugin, "plugin_kind", "")
        if kind not in ("placement", "camera"):
            remedy = _NO_EFFECTS if kind == "effect" else "Give targets as TOML, with the [real] table that they fit."
            raise RecipeError([f"{plugin!r} is not a placement or camera. {remedy}"])
        uses[kind] = (*uses.get(kind, ()), PluginUse(kind, plugin.plugin_id, plugin))
    for kind in ("placement", "camera", "filter"):
        ids = default_ids(kind, default(), has_target=False)
        uses.setdefault(kind, tuple(PluginUse(kind, id, default().find(kind, id)()) for id in ids))
    return Recipe(
        classes=tuple(ClassSettings(name, collection=collection_name(name)) for name in classes if name),
        distractors=tuple(DistractorSettings(collection=collection_name(name)) for name in classes if not name),
        scene=SceneSettings(builtin="hall"),
        folder=Path.cwd(),
        seed=seed,
        render=RenderSettings(max_attempts=max_attempts, device="cpu"),
        output=OutputSettings(width=size[0], height=size[1]),
        plugins=uses,
    )


def _listed(keys: Sequence[str]) -> str:
    *others, last = [f"'{key}'" for key in keys]
    return f"{', '.join(others)} and {last}" if others else last


def collection_name(class_name: str) -> str:
    """Name of the collection with the objects of a class."""
    return f"Twinset bridge: {class_name}"

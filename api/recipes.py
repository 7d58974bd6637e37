# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes read from TOML or built in Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ..engine.errors import RecipeError
from ..engine.plugin.params import build, plain, shorten
from ..engine.recipe.reading import load_recipe as read_recipe
from ..engine.recipe.reading import recipe_from_tables
from ..engine.recipe.settings import JobSettings, PluginUse, RenderSettings
from ..engine.recipe.settings import Recipe as RecipeSettings

PathLike = str | os.PathLike[str]
Table = Mapping[str, Any] | Any
"""Keys and values of a recipe's table, or the settings object or plugin that has them."""

_DOTTED = {"samples": "render.samples"}


class _RecipeType(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, RecipeSettings)


class Recipe(metaclass=_RecipeType):
    """Build a recipe in Python, with the defaults, checks and messages of a TOML file.

    Tables are mappings with the keys of the TOML tables. A plugin is an instance such as
    ``OnSurface(surfaces=["Floor"])``, a mapping with the key ``plugin``, or an id; it must be found by its id, like the
    plugins of TOML files.

    Parameters
    ----------
    scene : mapping or path, optional
        The ``[scene]`` table, or a .blend file; omitted only if there are ``rooms``.
    classes : sequence of mappings
        The ``[[class]]`` tables.
    real : mapping or path, optional
        The ``[real]`` table, or the COCO file.
    target : plugin, optional
    placements, appearances, cameras, metrics, filters, writers : sequence of plugins, optional
        Kinds that are omitted have the default plugins of TOML recipes. A mapping of a camera may have a ``weight``.
    images, seed, views : int, optional
    folder : path, optional
        Base of relative paths. Default: the working directory.
    plugin_folders : sequence of paths
        Folders with plugins of your own; they run only if trusted, see ``twinset --plugins``.
    render, output, split, sequence : mapping, optional
    distractors, goals, rig, rooms, variants : sequence of mappings
        ``rig`` has the cameras beside the first one.

    Returns
    -------
    Recipe
        Immutable; ``attrs.evolve(recipe, images=10)`` makes a changed copy.

    Raises
    ------
    TwinsetError
        With all problems at once.
    """

    def __new__(  # type: ignore[misc]  # a recipe has one type, however it was made
        cls,
        *,
        scene: Table | PathLike | None = None,
        classes: Sequence[Table],
        real: Table | PathLike | None = None,
        target: Table | str | None = None,
        placements: Sequence[Table | str] | None = None,
        appearances: Sequence[Table | str] | None = None,
        cameras: Sequence[Table | str] | None = None,
        metrics: Sequence[Table | str] | None = None,
        filters: Sequence[Table | str] | None = None,
        writers: Sequence[Table | str] | None = None,
        images: int | None = None,
        seed: int | None = None,
        views: int | None = None,
        folder: PathLike | None = None,
        plugin_folders: Sequence[PathLike] = (),
        render: Table | None = None,
        output: Table | None = None,
        split: Table | None = None,
        sequence: Table | None = None,
        distractors: Sequence[Table] = (),
        goals: Sequence[Table] = (),
        rig: Sequence[Table] = (),
        rooms: Sequence[Table] = (),
        variants: Sequence[Table] = (),
    ) -> RecipeSettings:
        tables: dict[str, Any] = {
            "seed": seed,
            "images": images,
            "views": views,
            "plugin_folders": _sequence(plugin_folders, "plugin_folders") or None,
            "scene": _file_or_table(scene, "file"),
            "real": _file_or_table(real, "annotations"),
            "class": _tables(classes, "classes"),
            "target": None if target is None else _plugin(target),
            "placement": _plugins(placements, "placements"),
            "appearance": _plugins(appearances, "appearances"),
            "camera": _plugins(cameras, "cameras"),
            "metric": _plugins(metrics, "metrics"),
            "filter": _plugins(filters, "filters"),
            "writer": _plugins(writers, "writers"),
            "render": _table(render),
            "output": _table(output),
            "split": _table(split),
            "sequence": _table(sequence),
            "distractor": _tables(distractors, "distractors") or None,
            "goal": _tables(goals, "goals") or None,
            "rig": _tables(rig, "rig") or None,
            "room": _tables(rooms, "rooms") or None,
            "variant": _tables(variants, "variants") or None,
        }
        given = {key: _toml_value(value) for key, value in tables.items() if value is not None}
        return recipe_from_tables(given, Path.cwd() if folder is None else Path(folder), "Recipe")


def load_recipe(path: PathLike, overrides: Mapping[str, Any] | None = None) -> RecipeSettings:
    """Read a recipe from a TOML file.

    Parameters
    ----------
    path : path
    overrides : mapping, optional
        Values that replace those of the file, by dotted key: ``{"images": 10, "render.samples": 4}``.

    Raises
    ------
    TwinsetError
        With all problems at once, each with its line.
    """
    return read_recipe(Path(path), overrides)


def as_recipe(recipe: RecipeSettings | PathLike, **changes: Any) -> RecipeSettings:
    """A recipe, or the one in a file, with some values replaced; None leaves a value as it is."""
    given = {key: _toml_value(value) for key, value in changes.items() if value is not None}
    if not isinstance(recipe, RecipeSettings):
        return load_recipe(recipe, {_DOTTED.get(key, key): value for key, value in given.items()})
    samples = {key: given.pop(key) for key in ("samples",) if key in given}
    job = {"seed": recipe.seed, "images": recipe.images}
    checked, problems = build(JobSettings, job | given, "the recipe")
    render, more = build(RenderSettings, plain(recipe.render) | samples, "table [render]")
    if problems or more:
        raise RecipeError([*problems, *more])
    return attrs.evolve(recipe, seed=checked.seed, images=checked.images, render=render if samples else recipe.render)


def _sequence(values: Any, name: str) -> list[Any]:
    if isinstance(values, str | os.PathLike | Mapping) or not isinstance(values, Iterable):
        raise RecipeError([f"Recipe: {name} must be a sequence, such as a list. Got {shorten(values)} instead."])
    return list(values)


def _toml_value(value: Any) -> Any:
    """A value as TOML has it: paths as strings, numbers of numpy as Python's, sequences as lists."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _toml_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_toml_value(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _table(values: Any) -> Any:
    return plain(values) if attrs.has(type(values)) else dict(values) if isinstance(values, Mapping) else values


def _tables(values: Any, name: str) -> list[Any]:
    return [_table(value) for value in _sequence(values, name)]


def _file_or_table(values: Any, key: str) -> Any:
    return {key: os.fspath(values)} if isinstance(values, str | os.PathLike) else _table(values)


def _plugins(values: Any, name: str) -> list[Any] | None:
    return None if values is None else [_plugin(value) for value in _sequence(values, name)]


def _plugin(value: Any) -> Any:
    if isinstance(value, str):
        return {"plugin": value}
    if isinstance(value, PluginUse):
        return {**_plugin(value.plugin), **({"weight": value.weight} if value.kind == "camera" else {})}
    if isinstance(value, Mapping):
        instance = value.get("plugin")
        return {**value, **_plugin(instance)} if hasattr(instance, "plugin_id") else dict(value)
    return {"plugin": value.plugin_id, **plain(value)} if hasattr(value, "plugin_id") else value

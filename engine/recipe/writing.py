# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes recipes as TOML with all defaults, so that reading them back gives the same recipe."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..plugin.params import plain
from .paths import absolute_pattern, map_paths
from .settings import TABLES, JobSettings, PluginUse, Recipe, Room, Variant
from .variants import parameter, split_key

RESOLVED = "Resolved by Twinset"
"""How the comment at the top of the recipe in an output folder begins."""

T = TypeVar("T")

_NO_DEFAULTS = ("target", "writer")
"""Kinds of which a recipe that names none has none."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def dump_recipe(recipe: Recipe, header: Sequence[str] = (), *, anchor: bool = False) -> str:
    """The resolved recipe as TOML; ``loads_recipe(dump_recipe(r), r.folder, name) == r``.

    Parameters
    ----------
    recipe : Recipe
        The recipe to write.
    header : sequence of str
        Lines for the comment at the top.
    anchor : bool
        Write absolute paths, so that the text can be moved anywhere on this machine.
    """
    job = JobSettings(recipe.seed, recipe.images, recipe.empty_share, recipe.views, list(recipe.plugin_folders))

    def moved(text: str) -> str:
        return Path(absolute_pattern(recipe.folder, text)).as_posix() if anchor else text

    def values(instance: Any) -> dict[str, Any]:
        return plain(map_paths(instance, moved))

    lines = [comment(line) for line in header]
    lines += _pairs(values(job))
    # An empty stack is not the same as none: none means the defaults.
    lines += [f"{kind} = []" for kind, uses in recipe.plugins.items() if kind not in _NO_DEFAULTS and not uses]
    for key in TABLES:
        settings = getattr(recipe, key)
        if settings is not None and not (key == "scene" and recipe.rooms):
            lines += _section(f"[{key}]", values(settings))
        if key == "scene":
            for model in recipe.models:
                lines += _section("[[scene.models]]", values(model))
    for room in recipe.rooms:
        lines += [*_section("[[room]]", values(room)), *_changes(recipe, room, anchor)]
        for model in room.models:
            lines += _section("[[room.models]]", values(model))
    for entry in recipe.classes:
        lines += _section("[[class]]", values(entry))
    for distractor in recipe.distractors:
        lines += _section("[[distractor]]", values(distractor))
    for goal in recipe.goals:
        lines += _section("[[goal]]", values(goal))
    for camera in recipe.rig:
        lines += _section("[[rig]]", values(camera))
    for kind, uses in recipe.plugins.items():
        for use in uses:
            title = "[target]" if kind == "target" else f"[[{kind}]]"
            lines += _section(title, _plugin_values(use, None if anchor else recipe.folder))
    return "\n".join(lines) + "\n" + dump_variants(recipe, anchor=anchor)


def dump_variants(recipe: Recipe, *, anchor: bool = False) -> str:
    """Only the variants of a recipe, as TOML that can be appended to the rest."""
    lines: list[str] = []
    for variant in recipe.variants:
        lines += [*_section("[[variant]]", plain(variant)), *_changes(recipe, variant, anchor)]
    return "".join(f"{line}\n" for line in lines)


def relative(path: str, folder: Path) -> str:
    """An absolute path or pattern relative to ``folder``, with forward slashes; unchanged if on another drive."""
    is_pattern = glob.has_magic(path) and not os.path.exists(path)
    start = glob.escape(str(folder)) if is_pattern else str(folder)
    try:
        return Path(os.path.relpath(path, start)).as_posix()
    except ValueError:
        return Path(path).as_posix()


def one_line(text: str) -> str:
    """A text for one line of TOML: control characters, which end a comment or are forbidden in it, become spaces."""
    return _CONTROL.sub(" ", text)


def comment(text: str) -> str:
    """A line of comment."""
    return f"# {one_line(text)}".rstrip()


def toml_value(value: Any) -> str:
    """A plain value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which only TOML forbids.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    return "[" + ", ".join(toml_value(v) for v in value) + "]"


def _plugin_values(use: PluginUse, folder: Path | None) -> dict[str, Any]:
    # Plugins hold absolute paths; relative ones make a recipe portable.
    own = plain(use.plugin if folder is None else map_paths(use.plugin, lambda text: relative(text, folder)))
    weight = {"weight": use.weight} if use.kind == "camera" else {}
    return {"plugin": use.id, **weight, **own}


def _changes(recipe: Recipe, variant: Variant | Room, anchor: bool) -> list[str]:
    lines = []
    for key, value in sorted(variant.changes.items()):
        if parameter(recipe.plugins, key).path and value and not anchor:
            value = (
                relative(value, recipe.folder)
                if isinstance(value, str)
                else [relative(v, recipe.folder) for v in value]
            )
        lines.append(f"{'.'.join(_key(part) for part in split_key(key))} = {toml_value(value)}")
    return lines


def _section(title: str, values: Mapping[str, Any]) -> list[str]:
    return ["", title, *_pairs(values)]


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {toml_value(value)}" for key, value in values.items()]


def _key(text: str) -> str:
    return text if _BARE_KEY.fullmatch(text) else toml_value(text)

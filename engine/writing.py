# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes written as TOML, every default spelt out, so that reading them back gives the same recipe."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .params import plain
from .settings import TABLES, JobSettings, PluginUse, Recipe, anchored, with_paths

T = TypeVar("T")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def dump_recipe(recipe: Recipe, folder: Path | None = None, header: Sequence[str] = ()) -> str:
    """The resolved recipe as TOML.

    Parameters
    ----------
    recipe : Recipe
        What to write.
    folder : pathlib.Path, optional
        The folder that the text will lie in; relative paths are rewritten to start there. Default: where they start
        now, and then ``loads_recipe(dump_recipe(r), r.folder, name) == r``.
    header : sequence of str
        Lines for the comment at the top.
    """
    job = JobSettings(recipe.seed, recipe.images, list(recipe.plugin_folders))
    target_folder = recipe.folder if folder is None else Path(folder).resolve()

    def moved(text: str) -> str:
        if os.path.isabs(text) or target_folder == recipe.folder:
            return text
        return relative(anchored(recipe.folder, text), target_folder)

    def values(instance: Any) -> dict[str, Any]:
        return plain(with_paths(instance, moved))

    lines = [f"# {line}".rstrip() for line in header]
    lines += _pairs(values(job))
    # An empty stack is not the same as none: none means the defaults.
    lines += [f"{kind} = []" for kind, uses in recipe.plugins.items() if kind != "target" and not uses]
    for key in TABLES:
        settings = getattr(recipe, key)
        if settings is not None:
            lines += _section(f"[{key}]", values(settings))
        if key == "scene":
            for model in recipe.models:
                lines += _section("[[scene.models]]", values(model))
    for entry in recipe.classes:
        lines += _section("[[class]]", values(entry))
    for distractor in recipe.distractors:
        lines += _section("[[distractor]]", values(distractor))
    for kind, uses in recipe.plugins.items():
        for use in uses:
            title = "[target]" if kind == "target" else f"[[{kind}]]"
            lines += _section(title, _plugin_values(use, target_folder))
    return "\n".join(lines) + "\n"


def relative(path: str, folder: Path) -> str:
    """An absolute path or pattern as seen from ``folder``, with forward slashes; as it is on another drive."""
    is_pattern = glob.has_magic(path) and not os.path.exists(path)
    start = glob.escape(str(folder)) if is_pattern else str(folder)
    try:
        return Path(os.path.relpath(path, start)).as_posix()
    except ValueError:
        return Path(path).as_posix()


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


def _plugin_values(use: PluginUse, folder: Path) -> dict[str, Any]:
    # Plugins hold absolute paths; a recipe is more use to others with relative ones.
    own = plain(with_paths(use.plugin, lambda text: relative(text, folder)))
    weight = {"weight": use.weight} if use.kind == "camera" else {}
    return {"plugin": use.id, **weight, **own}


def _section(title: str, values: Mapping[str, Any]) -> list[str]:
    return ["", title, *_pairs(values)]


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {toml_value(value)}" for key, value in values.items()]


def _key(text: str) -> str:
    return text if _BARE_KEY.fullmatch(text) else toml_value(text)

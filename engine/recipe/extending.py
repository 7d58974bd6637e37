# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes on top of other recipes: what ``extends`` and ``without`` mean, and where each value was written."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ..errors import RecipeError
from ..plugin.contract import KINDS
from ..plugin.params import param, parse, unknown
from ..regular_files import read_regular_text, real_path
from .paths import ENVIRONMENT_VARIABLE, absolute_path
from .toml_lines import KeyPath, LineNumbers

IDENTITIES = {"class": "name", "distractor": "name", "goal": "column", "room": "name", "variant": "name"} | {
    kind: "plugin" for kind in KINDS
}
"""By which key tables of an array are the same in two recipes."""


MAX_TEXT_BYTES = 2**24
"""Larger recipes are refused."""

MAX_KEY_PARTS = 32

_KEY_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![\w\"'-]){_KEY_PART}(?:\.[ \t]*+{_KEY_PART}){{{MAX_KEY_PARTS}}}")


@attrs.frozen
class ExtendingSettings:
    """The recipe that a recipe changes."""

    extends: str = param(
        "", path=True, doc="Recipe that this one changes; relative paths start at the folder of the file that names it"
    )
    without: list[str] = param(
        [], doc="What to leave out of that recipe, such as 'target', 'camera.orbit', 'class.chair.height'"
    )


@attrs.frozen
class Layer:
    """One file of a recipe that extends others: its plain values, their lines, and where its relative paths start."""

    data: dict[str, Any]
    lines: LineNumbers
    folder: Path
    name: str
    text: str = ""


@attrs.frozen
class Place:
    """Where a value was written. ``line`` is None if the file does not have it."""

    layer: Layer
    line: int | None


class Places:
    """Where the values of a recipe were written.

    Parameters
    ----------
    top : Layer
        The recipe itself, which has everything that ``origins`` does not list.
    origins : mapping
        Layer and key path there, by the key path in the recipe.
    """

    def __init__(self, top: Layer, origins: Mapping[KeyPath, tuple[Layer, KeyPath]] | None = None) -> None:
        self.top = top
        self._origins = dict(origins or {})

    def find(self, key_path: KeyPath) -> Place:
        """The place of a key path, or of the closest table around it."""
        layer, there = self._origin(key_path)
        return Place(layer, layer.lines.line(there))

    def rename(self, old: KeyPath, new: KeyPath) -> None:
        """Make a key path, and all below it, known by another key path, too."""
        layer, there = self._origin(old)
        if there[-1:] == old[-1:]:
            layer.lines.rename(there, (*there[: len(there) - 1], new[-1]))
        for key_path, origin in list(self._origins.items()):
            if key_path[: len(old)] == old:
                self._origins.setdefault((*new, *key_path[len(old) :]), origin)

    def _origin(self, key_path: KeyPath) -> tuple[Layer, KeyPath]:
        for length in range(len(key_path), 0, -1):
            if origin := self._origins.get(key_path[:length]):
                return origin[0], (*origin[1], *key_path[length:])
        return self.top, key_path


def read_layers(top: Layer) -> list[Layer]:
    """The recipes that one extends, directly or not, the last first, and itself at the end.

    Raises
    ------
    RecipeError
        If one cannot be read, or extends itself.
    """
    layers, seen = [top], [real_path(top.name)]
    while True:
        layer = layers[0]
        settings, problems = parse(ExtendingSettings, _own_keys(layer.data), "the recipe")
        if settings is None or problems:
            raise RecipeError([_at(layer, problem.key, problem.text) for problem in problems])
        if not settings.extends:
            if settings.without:
                text = "'without' needs 'extends', the recipe that has what is left out."
                raise RecipeError([_at(layer, "without", text)])
            return layers
        path = absolute_path(layer.folder, settings.extends)
        if path in seen:
            text = f"The recipe extends itself by way of {path}. Remove one of these 'extends'."
            raise RecipeError([_at(layer, "extends", text)])
        seen.append(path)
        layers.insert(0, _read(path, layer))


def _read(path: Path, owner: Layer) -> Layer:
    try:
        text = read_regular_text(path, MAX_TEXT_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"cannot be read: {error.strerror}"
        unset = [name for name in ENVIRONMENT_VARIABLE.findall(str(path)) if name not in os.environ]
        remedy = f"Correct the path, which starts at {owner.folder}."
        if unset:
            remedy = f"The environment variable {unset[0]} is not set: export {unset[0]}=/path/to/it."
        sentence = f"The recipe {path} {reason}. {remedy}"
        raise RecipeError([_at(owner, "extends", sentence)]) from None
    return layer_of(text, path.parent, os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path))


def layer_of(text: str, folder: Path, name: str) -> Layer:
    """The layer of a TOML text; raises RecipeError where it is not valid."""
    if _LONG_KEY.search(text):
        # Its tables would be nested so deeply that reading them takes minutes and gigabytes.
        raise RecipeError([f"{name}: a dotted key has more than {MAX_KEY_PARTS} parts. Recipes need no more than six."])
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of too many digits, and brackets without end, as well
        raise RecipeError([syntax_problem(name, str(error), text)]) from None
    return Layer(data, LineNumbers(text), real_path(folder), name, text)


def merge_layers(layers: Sequence[Layer]) -> tuple[dict[str, Any], Places]:
    """The values of all layers as those of one recipe, without ``extends``, and where each was written.

    Tables are merged key by key; the later layer wins. In arrays of tables, a table that has the name, column or plugin
    of one in the earlier layers changes that one, and others are appended. A target of another plugin replaces the
    earlier one. What ``without`` lists is removed from the earlier layers first.

    Raises
    ------
    RecipeError
        If ``without`` lists what is not there, a table may change several, or several may change one.
    """
    merged = _tree(layers[0].data, layers[0], ())
    for layer in layers[1:]:
        for dotted in layer.data.get("without", []):
            if not _remove(merged, str(dotted)):
                raise RecipeError([_at(layer, "without", _not_there(merged, str(dotted)))])
        merged = _merged_tables(merged, _tree(layer.data, layer, ()), top=True)
    for key in _own_keys(merged.value):
        del merged.value[key]
    origins: dict[KeyPath, tuple[Layer, KeyPath]] = {}
    return _plain(merged, (), origins), Places(layers[-1], origins)


@attrs.frozen
class _Node:
    """A value with its place; tables hold nodes by key, arrays of tables hold a list of nodes."""

    value: Any
    layer: Layer
    key_path: KeyPath


def _tree(value: Any, layer: Layer, key_path: KeyPath) -> _Node:
    if isinstance(value, Mapping):
        value = {key: _tree(one, layer, (*key_path, key)) for key, one in value.items()}
    elif _is_array_of_tables(value):
        value = [_tree(one, layer, (*key_path, number)) for number, one in enumerate(value)]
    return _Node(value, layer, key_path)


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _plain(node: _Node, key_path: KeyPath, origins: dict[KeyPath, tuple[Layer, KeyPath]]) -> Any:
    if key_path:
        origins[key_path] = (node.layer, node.key_path)
    if isinstance(node.value, dict):
        return {key: _plain(one, (*key_path, key), origins) for key, one in node.value.items()}
    if _is_array_of_nodes(node):
        return [_plain(one, (*key_path, number), origins) for number, one in enumerate(node.value)]
    return node.value


def _is_array_of_nodes(node: _Node) -> bool:
    return isinstance(node.value, list) and bool(node.value) and isinstance(node.value[0], _Node)


def _merged(base: _Node, own: _Node, key: str) -> _Node:
    if isinstance(base.value, dict) and isinstance(own.value, dict):
        return _merged_tables(base, own)
    if _is_array_of_nodes(base) and _is_array_of_nodes(own):
        return _merged_arrays(base, own, IDENTITIES.get(key, "name"))
    return own


def _merged_tables(base: _Node, own: _Node, *, top: bool = False) -> _Node:
    values = dict(base.value)
    for key, node in own.value.items():
        is_replaced = key not in values or (top and key == "target" and _is_other_plugin(values[key], node))
        values[key] = node if is_replaced else _merged(values[key], node, key)
    return _Node(values, own.layer, own.key_path)


def _is_other_plugin(base: _Node, own: _Node) -> bool:
    ids = [node.value.get("plugin") if isinstance(node.value, dict) else None for node in (base, own)]
    return ids[1] is not None and (ids[0] is None or ids[0].value != ids[1].value)


def _merged_arrays(base: _Node, own: _Node, identity: str) -> _Node:
    out, known = list(base.value), len(base.value)
    changed: set[int] = set()
    for node in own.value:
        same = [n for n in range(known) if _identity(node, identity) and _matches(out[n], node, identity)]
        kind, name = str(own.key_path[-1]), _identity(node, identity)
        problem = ""
        if len(same) > 1:
            problem = (
                f"The extended recipe has {len(same)} {kind} tables of {identity} '{name}', so this may change any"
            )
            problem += " of them."
        elif same and same[0] in changed:
            problem = f"This is another {kind} table of {identity} '{name}', of which the extended recipe has one, so"
            problem += " this may change it or join it."
        if problem:
            text = f'{problem} Write without = ["{kind}"] at the top, and all of them here.'
            raise RecipeError([_at_path(node.layer, node.key_path, text)])
        if same:
            changed.add(same[0])
            out[same[0]] = _merged_tables(out[same[0]], node)
        else:
            out.append(node)
    return _Node(out, own.layer, own.key_path)


def _identity(node: _Node, identity: str) -> Any:
    value = node.value.get(identity)
    return value.value if value is not None else None


def _matches(base: _Node, own: _Node, identity: str) -> bool:
    return bool(_identity(base, identity) == _identity(own, identity))


def _remove(node: _Node, dotted: str) -> bool:
    """Remove what a dotted key means; False if there is no such thing. Names may have dots of their own."""
    for step, rest in _steps(dotted):
        for key in _children(node, step):
            child = node.value[key]
            if not rest:
                if isinstance(node.value, dict) and key in _own_keys(node.value):
                    continue
                del node.value[key]
                return True
            if _remove(child, rest):
                if child.value == []:  # as if it had never been there: plugins of its kind have their defaults
                    del node.value[key]
                return True
    return False


def _steps(dotted: str) -> Iterator[tuple[str, str]]:
    parts = dotted.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length]), ".".join(parts[length:])


def _children(node: _Node, step: str) -> list[Any]:
    """Key or positions of what ``step`` names in a table or an array of tables: its name, or its number from 1."""
    if isinstance(node.value, dict):
        return [step] if step in node.value else []
    if not _is_array_of_nodes(node):
        return []
    identity = IDENTITIES.get(str(node.key_path[-1]), "name")
    named = [n for n, one in enumerate(node.value) if _identity(one, identity) == step]
    is_number = step.isascii() and step.isdigit() and 1 <= int(step) <= len(node.value)
    return named[:1] or ([int(step) - 1] if is_number else [])


def _not_there(merged: _Node, dotted: str) -> str:
    known = [key for key in merged.value if key not in _own_keys(merged.value)]
    first = dotted.split(".")[0]
    if first in known:
        return f"The extended recipe has no '{dotted}'. Name a key of '{first}' that it has, or remove this one."
    return unknown("The extended recipe has no", dotted, known)


def _own_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: data[key] for key in ("extends", "without") if key in data}


def _at(layer: Layer, key: str, text: str) -> str:
    return _at_path(layer, (key,), text)


def _at_path(layer: Layer, key_path: KeyPath, text: str) -> str:
    line = layer.lines.line(key_path)
    where = f" (line {line})" if line else ""
    return f"{layer.name}: {key_path[0]}{where}: {text}"


def syntax_problem(name: str, message: str, text: str) -> str:
    """A syntax error of tomllib as one sentence with line and column."""
    match = re.search(r"^(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", message, re.DOTALL)
    if not match:
        return f"{name}: not valid TOML: {message}."
    what, line, column = match.groups()
    if line is None:
        line, column = str(text.count("\n") + 1), str(len(text.rsplit("\n", 1)[-1]) + 1)
    return f"{name} (line {line}, column {column}): not valid TOML: {what[:1].lower()}{what[1:]}."

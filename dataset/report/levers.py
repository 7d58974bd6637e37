# SPDX-License-Identifier: GPL-3.0-or-later
"""Advice for a recipe: which parameters would move a metadata column, by what plugins declare of their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from ...alignment.columns.registry import find_column
from ...engine.plugin.params import Param, describe
from ...engine.plugin.registry import Registry, default
from ...engine.recipe.settings import Recipe

_KIND_ORDER = ("target", "camera", "placement", "appearance", "effect", "metric", "filter")
"""Kinds in the order of advice: what says the goals first, what only leaves things out last."""


@attrs.frozen
class Lever:
    """A parameter that moves a column.

    Attributes
    ----------
    plugin : type
        The plugin class.
    param : Param
        The parameter.
    sign : int
        1: higher values of the parameter give higher ones of the column, -1: lower ones, 0: it depends.
    """

    plugin: type
    param: Param
    sign: int

    @property
    def kind(self) -> str:
        """The plugin's kind."""
        return self.plugin.plugin_kind  # type: ignore[attr-defined]

    @property
    def id(self) -> str:
        """The plugin's id."""
        return self.plugin.plugin_id  # type: ignore[attr-defined]


def levers(column: str, plugins: Iterable[type]) -> list[Lever]:
    """The parameters of some plugin classes that move a column, in the order of advice.

    A column of whole images (``image_brightness``) has those of the same statistic of boxes, too.
    """
    names = (column, find_column(column).synonym_of or column, column.removeprefix("image_"))
    out = []
    for cls in sorted(set(plugins), key=_rank):
        for param in describe(cls):
            direction = next((param.moves[name] for name in names if name in param.moves), "")
            if direction:
                out.append(Lever(cls, param, {"+": 1, "-": -1}.get(direction, 0)))
    return out


def _rank(cls: type) -> tuple[int, str, str]:
    kind, id = cls.plugin_kind, cls.plugin_id  # type: ignore[attr-defined]
    return _KIND_ORDER.index(kind) if kind in _KIND_ORDER else len(_KIND_ORDER), kind, id


@attrs.frozen
class Advice:
    """What to change.

    Attributes
    ----------
    place : str
        Where in the recipe, ``[[camera]] framed``.
    param : str
        The parameter.
    action : str
        ``raise``, ``lower``, ``change``, or ``add`` for a plugin that the recipe does not use.
    value : str
        What the recipe says now, or the default, with its unit; "" for nothing.
    doc : str
        What the parameter is.
    """

    place: str
    param: str
    action: str
    value: str
    doc: str


def advice(
    column: str, class_name: str, direction: int, recipe: Recipe | None, registry: Registry | None = None
) -> list[Advice]:
    """What in a recipe would move a column towards the real values, plugins that the recipe uses first.

    Parameters
    ----------
    column : str
        Metadata column.
    class_name : str
        The class whose column it is; plugins for other classes are left out.
    direction : int
        1 where synthetic values are too high, -1 too low, 0 where it is neither.
    recipe : Recipe, optional
        The recipe of the synthetic dataset, where there is one.
    registry : Registry, optional
        Where plugins are described; the default one.

    Returns
    -------
    list of Advice
        Empty for columns that no known parameter moves.
    """
    uses = [use.plugin for uses in recipe.plugins.values() for use in uses] if recipe is not None else []
    used, missing = [], []
    for lever in levers(column, [*map(type, uses), *(registry or default()).catalogue()]):
        param, place = lever.param, f"[{lever.kind}]" if lever.kind == "target" else f"[[{lever.kind}]]"
        place = f"{place} {lever.id}"
        plugins = _of_class(lever, uses, class_name)
        if plugins and _has_no_effect(lever, plugins[0], recipe, class_name):
            continue
        if plugins:
            action = {0: "change", 1: "raise", -1: "lower"}[-lever.sign * direction]
            values = dict.fromkeys(_shown(param, getattr(plugin, param.name)) for plugin in plugins)
            value = " and ".join(filter(None, values))
            used.append(Advice(place, param.name, action, value, param.doc))
        elif recipe is None or not (lever.kind in ("target", "camera") and recipe.plugins.get(lever.kind)):
            # A recipe with a camera has settled that question; what it has none of may be added.
            value = "" if param.required else _shown(param, param.default)
            missing.append(Advice(place, param.name, "add", value, param.doc))
    return used + missing


def _of_class(lever: Lever, plugins: Sequence[Any], class_name: str) -> list[Any]:
    """The plugins of a recipe that a lever belongs to, those for other classes left out."""
    own: list[Any] = [plugin for plugin in plugins if type(plugin) == lever.plugin]  # noqa: E721 - mypy narrows "is"
    if lever.param.means == "class":
        return own
    return [plugin for plugin in own if class_name in plugin.handled_classes([class_name])]


def _has_no_effect(lever: Lever, plugin: Any, recipe: Recipe | None, class_name: str) -> bool:
    """Whether a parameter is already as it helps most, or is not used."""
    value = getattr(plugin, lever.param.name)
    if lever.param.means == "class":
        return not value or class_name in value  # it is among them
    if lever.param.unused_with:
        return bool(recipe is not None and recipe.plugins.get(lever.param.unused_with))
    return value is True


def _shown(param: Param, value: Any) -> str:
    if value is None or value in ("", [], ()):
        return ""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, tuple) and len(value) == 2:
        text = " to ".join(map(_number, value))
    elif isinstance(value, list | tuple):
        text = f"{len(value)} entries" if len(value) > 2 else ", ".join(map(_number, value))
    else:
        text = _number(value)
    return f"{text} {param.unit}".rstrip()


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)

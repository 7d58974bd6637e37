# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parameters of which plugins move a metadata column, and which way: advice for a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from ...engine.errors import PluginError
from ...engine.plugin.params import Param, describe
from ...engine.plugin.registry import Registry, default
from ...engine.recipe.settings import Recipe


@attrs.frozen
class Lever:
    """A parameter that moves a column.

    Attributes
    ----------
    kind, id, param : str
        The plugin and its parameter.
    sign : int
        1: higher values of the parameter give higher ones of the column, -1: lower ones, 0: neither way by itself.
    """

    kind: str
    id: str
    param: str
    sign: int = 0


def _levers(*lines: str) -> tuple[Lever, ...]:
    """``"camera/framed lens +"`` and so on."""
    found = []
    for line in lines:
        plugin, param, *sign = line.split()
        kind, id = plugin.split("/")
        found.append(Lever(kind, id, param, {"+": 1, "-": -1}[sign[0]] if sign else 0))
    return tuple(found)


_SIZE = _levers(
    "target/bbox_area_gmm classes",
    "camera/framed area +",
    "camera/framed lens +",
    "camera/close_up fill +",
    "camera/orbit distance -",
    "camera/orbit lens +",
    "camera/keep zoom +",
    "placement/on_surface cluster_radius -",
    "placement/on_surface count_without_main",
    "filter/min_pixels pixels +",
)
_PLACE = _levers(
    "target/bbox_area_gmm match_center",
    "camera/orbit off_axis",
    "camera/close_up shift",
    "placement/on_surface count_without_main",
)
_LIGHT = _levers("appearance/world strength_range +", "appearance/lights factor_range +")
_DETAIL = _levers(
    "appearance/background probability",
    "appearance/background image_folder",
    "appearance/world hdri_folder",
    "appearance/distractors count_range +",
)

LEVERS: dict[str, tuple[Lever, ...]] = {
    "sqrt_area": _SIZE,
    "area": _SIZE,
    "center_x": _PLACE,
    "center_y": (*_PLACE, *_levers("camera/framed pitch +", "camera/framed height +", "camera/orbit elevation")),
    "log_aspect": _levers(
        "camera/framed height -", "camera/framed pitch", "camera/orbit elevation", "placement/on_surface yaw"
    ),
    "boxes_per_image": _levers(
        "placement/on_surface count +",
        "placement/on_surface cluster_radius -",
        "camera/framed lens -",
        "filter/min_pixels pixels -",
    ),
    "depth": _levers("camera/framed lens +", "camera/orbit distance +", "camera/close_up fill -"),
    "touches_border": _levers(
        "placement/on_surface count +",
        "placement/on_surface cluster_radius +",
        "camera/close_up fill +",
        "camera/orbit off_axis +",
        "target/bbox_area_gmm match_center",
    ),
    "visible_share": _levers(
        "placement/on_surface count -",
        "placement/on_surface gap +",
        "appearance/distractors count_range -",
        "camera/framed min_visible_share +",
        "filter/min_pixels min_visible_share +",
    ),
    "occluded_share": _levers(
        "placement/on_surface count +",
        "placement/on_surface gap -",
        "appearance/distractors count_range +",
        "camera/framed min_visible_share -",
    ),
    "truncated_share": _levers("camera/close_up fill +", "camera/orbit off_axis +"),
    "background_similarity": _levers(
        "appearance/background image_folder",
        "appearance/background probability",
        "appearance/world strength_range",
        "appearance/lights factor_range",
    ),
    "brightness": _LIGHT,
    "contrast": _levers(
        "appearance/lights extra_range -", "appearance/lights extra_radius -", "appearance/world strength_range -"
    ),
    "entropy": _DETAIL,
    "sharpness": _DETAIL,
    "blur": _levers("appearance/background probability"),
}
"""By column. Columns of whole images (``image_brightness``) have the levers of the same statistic of boxes."""


@attrs.frozen
class Advice:
    """What to change.

    Attributes
    ----------
    place : str
        Where in the recipe, ``[[camera]] framed``.
    param : str
        The parameter.
    words : str
        ``raise``, ``lower``, ``change``, or ``add`` for a plugin that the recipe lacks.
    value : str
        What the recipe says now, or the default, with its unit; "" for nothing.
    doc : str
        What the parameter is.
    """

    place: str
    param: str
    words: str
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
    known = LEVERS.get(column) or LEVERS.get(column.removeprefix("image_"), ())
    used, missing = [], []
    for lever in known:
        plugins = _used(recipe, lever, class_name)
        if plugins and _is_idle(recipe, lever, plugins[0], class_name):
            continue
        param = _param(registry or default(), lever)
        if param is None:
            continue
        place = f"[{lever.kind}]" if lever.kind == "target" else f"[[{lever.kind}]]"
        place = f"{place} {lever.id}"
        if plugins:
            words = {0: "change", 1: "raise", -1: "lower"}[-lever.sign * direction]
            values = dict.fromkeys(_shown(param, getattr(plugin, lever.param)) for plugin in plugins)
            value = " and ".join(filter(None, values))
            used.append(Advice(place, lever.param, words, value, param.doc))
        elif recipe is None or not (lever.kind in ("target", "camera") and recipe.plugins.get(lever.kind)):
            # A recipe with a camera has settled that question; what it lacks altogether may be added.
            value = "" if param.required else _shown(param, param.default)
            missing.append(Advice(place, lever.param, "add", value, param.doc))
    return used + missing


def _used(recipe: Recipe | None, lever: Lever, class_name: str) -> Sequence[Any]:
    """The recipe's plugins that a lever belongs to, those for other classes left out."""
    uses = recipe.plugins.get(lever.kind, ()) if recipe is not None else ()
    plugins = [use.plugin for use in uses if use.id == lever.id and hasattr(use.plugin, lever.param)]
    return [
        p for p in plugins if lever.param == "classes" or class_name in (getattr(p, "classes", None) or [class_name])
    ]


def _is_idle(recipe: Recipe | None, lever: Lever, plugin: Any, class_name: str) -> bool:
    """Whether a parameter is already as it helps most, or is not looked at."""
    value = getattr(plugin, lever.param)
    if lever.param == "classes":
        return not value or class_name in value  # it is among them
    if lever.kind == "camera" and lever.param == "area":
        return bool(recipe is not None and recipe.plugins.get("target"))  # the target says the areas
    return value is True


def _param(registry: Registry, lever: Lever) -> Param | None:
    try:
        params = describe(registry.find(lever.kind, lever.id))
    except PluginError:
        return None
    return next((p for p in params if p.name == lever.param), None)


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

# SPDX-License-Identifier: GPL-3.0-or-later
"""A recipe that renders more of what a detector missed: more such real boxes, goals, weights of assets, variants."""

from __future__ import annotations

import copy
import glob
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.registry import find_column
from ...alignment.evaluation.slices import Slice
from ...engine.errors import DataError
from ...engine.plugin.columns import declared_columns
from ...engine.plugin.registry import default
from ...engine.recipe.settings import GoalSettings, PluginUse, RealSettings, Recipe, Variant
from ...engine.recipe.variants import with_changes
from ..analysis.detector_errors import COVERED, LOOKS, DetectorErrors
from ..formats.coco import CocoFile, by_image
from ..report.levers import levers

BOOST = 3
"""How many times a box of a missed slice counts."""

_BY_TARGET = {"bbox_area", "aspect", "center_x", "center_y", "touches_border", "boxes_per_image", "class", LOOKS}
"""Columns that a target matches through the boxes that it learns from."""

_VARIANT = "missed"

SUGGESTED_BY = ("slices", "boxes")
"""What counts several times: boxes of slices that are missed significantly more often, or every missed box."""


@attrs.frozen(eq=False)
class SuggestedRecipe:
    """What to write.

    Attributes
    ----------
    recipe : Recipe
    real : dict
        The COCO dataset that its target learns from: all real images, and again those with missed boxes.
    table : dict of str to list
        The columns that its goals follow, boxes of missed slices several times.
    reasons : list of str
        A sentence for each change.
    """

    recipe: Recipe
    real: dict[str, Any]
    table: dict[str, list[Any]]
    reasons: list[str]


def suggest_recipe(
    recipe: Recipe,
    coco: CocoFile,
    errors: DetectorErrors,
    real_path: Path,
    table_path: Path,
    *,
    boost: int = BOOST,
    by: str = "slices",
) -> SuggestedRecipe:
    """Change a recipe so that it renders more boxes like those in the leading slices of missed ones, or like these.

    Parameters
    ----------
    recipe : Recipe
    coco : CocoFile
        The real dataset that the detector was tested on.
    errors : DetectorErrors
    real_path, table_path : Path
        Where the real boxes and the table will be written.
    boost : int
        How many times a box counts that is missed, or is of a missed slice; 2 or more.
    by : str
        One of :data:`SUGGESTED_BY`.

    Raises
    ------
    DataError
        If there is nothing to suggest, see :func:`nothing_to_suggest`.
    """
    if nothing := nothing_to_suggest(errors, by):
        raise DataError(nothing)
    times = np.ones(len(errors.missed), dtype=int)
    slices: list[Slice] = []
    if by == "boxes":
        times[errors.missed] = boost
        columns = ["bbox_area"]
        reasons = [f"{int(errors.missed.sum())} of {errors.boxes} boxes are missed, and count {boost} times."]
    else:
        slices = errors.leading()
        for one in slices:
            times[one.members] = boost
        columns = [one.column for one in slices]
        reasons = [f"Boxes of {_listed(slices)} count {boost} times: {', '.join(map(_figures, slices))}."]
    targets = recipe.plugins.get("target", ())
    whole = any(use.plugin.draws_layouts for use in targets)
    real = _repeated_boxes(coco, errors, times, whole)
    images = recipe.real.images if recipe.real is not None else ""
    changed = attrs.evolve(recipe, real=RealSettings(str(real_path), images))
    changed = _with_goals(changed, columns, table_path, solved=bool(targets), reasons=reasons)
    changed = _with_shape_weights(changed, slices, boost, reasons)
    changed = _with_variant(changed, slices, reasons)
    return SuggestedRecipe(changed, real, _repeated_rows(errors, times), reasons)


def nothing_to_suggest(errors: DetectorErrors, by: str) -> str:
    """Why there is nothing to suggest, in a sentence with a remedy; "" if there is something."""
    if by == "slices" and not errors.significant():
        return (
            "No group of boxes is missed significantly more often than the others, so there is nothing to suggest. "
            "Test on more images, or let each missed box count with --suggest-by boxes."
        )
    if by == "boxes" and errors.missed.all():
        return "All boxes are missed, so none counts more than another: there is nothing to suggest. Lower --min-score."
    if by == "boxes" and not errors.missed.any():
        return "No box is missed, so there is nothing to suggest. Test on more images."
    return ""


def _figures(one: Slice) -> str:
    return f"{one.title} missed {one.share:.0%} instead of {one.rest:.0%}"


def _listed(slices: Sequence[Slice]) -> str:
    return f"{len(slices)} slice{'s' if len(slices) > 1 else ''}"


def _repeated_boxes(coco: CocoFile, errors: DetectorErrors, times: np.ndarray, whole: bool) -> dict[str, Any]:
    """The dataset with further images: of missed boxes only, or whole ones where a target learns whole layouts."""
    images, annotations = copy.deepcopy(coco.images), copy.deepcopy(coco.annotations)
    next_image = max((i["id"] for i in images), default=0) + 1
    next_id = max((a["id"] for a in annotations), default=0) + 1
    more = {int(id): int(n) - 1 for id, n in zip(errors.columns["id"], times, strict=True)}
    of_image = by_image(a for a in coco.annotations if not a.get("iscrowd"))
    for image in coco.images:
        own = of_image.get(image["id"], [])
        for number in range(max((more.get(a["id"], 0) for a in own), default=0)):
            images.append({**image, "id": next_image})
            for annotation in own:
                if whole or number < more.get(annotation["id"], 0):
                    annotations.append({**annotation, "id": next_id, "image_id": next_image})
                    next_id += 1
            next_image += 1
    return {**coco.about, "images": images, "annotations": annotations, "categories": coco.categories}


def _repeated_rows(errors: DetectorErrors, times: np.ndarray) -> dict[str, list[Any]]:
    """The columns with a row for each time that a box counts; repeated rows are of images of their own."""
    rows = np.repeat(np.arange(len(times)), times)
    table = {name: [_plain(values[i]) for i in rows] for name, values in errors.columns.items()}
    first = np.concatenate([[True], rows[1:] != rows[:-1]])
    repeat = np.arange(len(rows)) - np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
    names = [f"{image} {number}" for image, number in zip(table["image_id"], repeat, strict=True)]
    table["image_id"] = [int(n) for n in np.ravel(np.unique(names, return_inverse=True)[1])]
    table["id"] = list(range(len(rows)))
    return table


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_goals(
    recipe: Recipe, columns: Sequence[str], table_path: Path, *, solved: bool, reasons: list[str]
) -> Recipe:
    """The recipe with a goal for each column that its target does not match, and the metrics that measure them."""
    goals, metrics = list(recipe.goals), list(recipe.plugins.get("metric", ()))
    for column in dict.fromkeys(columns):
        if column in (COVERED, LOOKS, "class", "boxes_per_image") or find_column(column).kind == "category":
            continue
        if solved and column in _BY_TARGET:
            continue
        provider = metric_for(column, [type(use.plugin) for use in metrics])
        if provider is None:
            reasons.append(f"No metric measures {column} in renders, so there is no goal for it.")
            continue
        if all(type(use.plugin) is not provider for use in metrics):
            metrics.append(PluginUse("metric", provider.plugin_id, provider()))  # type: ignore[attr-defined]
        goals = [goal for goal in goals if goal.column != column]
        goals.append(GoalSettings(column=column, real=str(table_path)))
        reasons.append(f"A goal lets {find_column(column).in_words} follow the repeated boxes.")
    return attrs.evolve(recipe, goals=tuple(goals), plugins={**recipe.plugins, "metric": tuple(metrics)})


def metric_for(column: str, used: Sequence[type]) -> type | None:
    """The metric that measures a column, one of the recipe if possible; None if there is none that needs no setting."""
    names = {column, column.removeprefix("image_")}
    known = [cls for cls in default().catalogue(builtin=True) if cls.plugin_kind == "metric"]  # type: ignore[attr-defined]
    for cls in (*used, *known):
        if names & {c.name for c in declared_columns(cls)}:
            try:
                cls()
            except TypeError:  # it has settings without defaults
                if cls not in used:
                    continue
            return cls
    return None


def _with_shape_weights(recipe: Recipe, slices: Sequence[Slice], boost: int, reasons: list[str]) -> Recipe:
    """The recipe with higher weights of the assets whose shape real boxes are missed with."""
    shapes = [one.name for one in slices if one.column == "shape"]
    if not shapes:
        return recipe
    more = {glob.escape(name): float(boost) for name in shapes}
    classes = tuple(attrs.evolve(c, weights={**c.weights, **more}) for c in recipe.classes)
    reasons.append(f"Assets of the shapes {', '.join(shapes)} are placed {boost} times as often.")
    return attrs.evolve(recipe, classes=classes)


def _with_variant(recipe: Recipe, slices: Sequence[Slice], reasons: list[str]) -> Recipe:
    """The recipe with a variant in which intervals of parameters are moved towards what was missed."""
    if recipe.variants:
        reasons.append("The recipe has variants already, so none was added.")
        return recipe
    changes: dict[str, Any] = {}
    for one in slices:
        direction = {"low": -1, "high": 1}.get(one.name, 0)
        for kind in ("appearance", "effect"):
            uses = recipe.plugins.get(kind, ())
            for lever in levers(one.column, [type(use.plugin) for use in uses]):
                key, value = _moved(lever, kind, uses, direction * lever.sign)
                if key and key not in changes and _is_possible(recipe, {key: value}):
                    changes[key] = value
                    reasons.append(f"A variant has {key} = {value}: {one.title}.")
    if not changes:
        return recipe
    variants = (Variant(name="as before"), Variant(name=_VARIANT, changes=changes))
    return attrs.evolve(recipe, variants=variants)


def _moved(lever: Any, kind: str, uses: Sequence[PluginUse], sign: int) -> tuple[str, Any]:
    """Dotted key and new interval of a parameter that is one; an empty key where it cannot be moved."""
    same = [k for k, use in enumerate(uses) if type(use.plugin) is lever.plugin]
    value = getattr(uses[same[0]].plugin, lever.param.name)
    interval = isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, float) for v in value)
    if not sign or not interval or len(same) > 1:
        return "", None
    low, high = value
    if low > 0:  # by its logarithm: from half an interval beyond its end to a quarter of it
        span = math.log(high / low) or math.log(4.0)
        new = [low * math.exp(-span / 2), low * math.exp(span / 4)] if sign < 0 else []
        new = new or [high * math.exp(-span / 4), high * math.exp(span / 2)]
    else:
        span = (high - low) or 1.0
        new = [low, low + span / 4] if sign < 0 else [high - span / 4, high + span / 2]
    least = -math.inf if lever.param.min is None else lever.param.min
    most = math.inf if lever.param.max is None else lever.param.max
    return f"{kind}.{lever.id}.{lever.param.name}", [float(f"{min(max(v, least), most):.4g}") for v in new]


def _is_possible(recipe: Recipe, changes: Mapping[str, Any]) -> bool:
    try:
        with_changes(recipe, changes)
    except ValueError:
        return False
    return True

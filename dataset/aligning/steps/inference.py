# SPDX-License-Identifier: GPL-3.0-or-later
"""Infers what photos do not state, such as depth, and adds goals for what differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from ....alignment.columns.registry import find_column
from ....alignment.distances.comparison import compare_measured
from ....alignment.distances.verdict import verdict
from ....engine.errors import DataError
from ....engine.recipe.settings import GoalSettings, PluginUse, Recipe
from ...analysis.inference import InferenceResult, Outcome, infer
from ...analysis.measure import measure
from ...analysis.models import DEFAULT_MODELS, open_models
from ...formats.dataset_folder import open_dataset
from ...formats.metadata_table import has_parquet, write_columns
from ...jobs.suggested_recipe import metric_for
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, TrialStep

THRESHOLD = 0.5
"""Least R² or accuracy of what is predicted."""
MAX_OUTSIDE = 0.05
"""Greatest share of real boxes unlike the rendered ones with which predictions become a goal."""


class Infer(TrialStep):
    """A table of what the photos do not state, and goals for columns that differ from it significantly."""

    name = "infer"
    title = "Infer what photos do not state"
    needs_photos = True

    def inputs(self, work: Workspace) -> dict[str, str]:
        return {
            **fingerprints.of_recipe(work.recipe),
            "the photos": work.exposed_fingerprint,
            "the images rendered before": fingerprints.of_dataset(work.latest),
            "--class": ", ".join(work.classes),
            "--model": fingerprints.of_model(work.options.model),
            "--seed": str(work.options.seed),
            **self.trial_inputs(work),
        }

    def run(self, work: Workspace) -> Result:
        if work.latest is None:
            return {"reason": "there are no rendered images yet to learn from", "goals": [], "columns": []}
        if not _rendered_classes(work.latest, work.classes):
            listed = " or ".join(work.classes)
            return {"reason": f"the images rendered before show no {listed}", "goals": [], "columns": []}
        try:
            found = _inferred(work, work.latest)
        except DataError as error:
            return {"reason": str(error).rstrip("."), "goals": [], "columns": []}
        trusted = [outcome for outcome in found.outcomes if outcome.model]
        if trusted:
            write_columns(_table(work), found.table)
        goals = [goal for outcome in trusted if (goal := _goal(work, work.latest, found, outcome))]
        scored = any(outcome.scores for outcome in found.outcomes)
        result = {
            "reason": "" if scored else _reason(found.outcomes),
            "table": _table(work).name if trusted else "",
            "columns": [_values(outcome) for outcome in found.outcomes if outcome.scores],
            "goals": goals,
            "rendered": bool(goals),
        }
        if goals:
            work.render_trial(self.name, work.checked(_recipe(work, result)))
        return result

    def outputs(self, work: Workspace, result: Result) -> Sequence[Path]:
        return [work.out / result["table"]] if result.get("table") else []

    def apply(self, work: Workspace, result: Result) -> None:
        if result["goals"]:
            work.recipe = _recipe(work, result)
        self.add_trial(work, result)

    def sentences(self, result: Result) -> list[str]:
        if result["reason"]:
            return [f"Nothing is inferred: {result['reason']}."]
        lines = []
        for one in result["columns"]:
            used = "predicted" if one["used"] else f"not predicted, below {THRESHOLD:g}"
            outside = f"; {one['outside']:.0%} of the real boxes look unlike the rendered ones" if one["used"] else ""
            lines.append(f"{one['column']} of {one['class']}: {one['kind']} {one['score']:.2f}, {used}{outside}.")
        listed = ", ".join(f"{goal['column']} of {goal['class']}" for goal in result["goals"])
        lines.append(
            f"Added [[goal]] for {listed}, which differ significantly."
            if listed
            else "No goal is added: nothing that can be trusted and controlled differs significantly."
        )
        return lines


def _inferred(work: Workspace, synth: Path) -> InferenceResult:
    model = work.options.model
    names = DEFAULT_MODELS if model is None else (str(model), f"{model}+box")
    return infer(
        open_dataset(synth),
        work.exposed_photos,
        open_models(names, work.options.threads, work.options.workers),
        classes=_rendered_classes(synth, work.classes),
        threshold=THRESHOLD,
        workers=work.options.workers,
        seed=work.options.seed,
        progress=work.progress,
    )


def _reason(outcomes: Sequence[Outcome]) -> str:
    """Why nothing could be learned."""
    return next((outcome.reason.rstrip(".") for outcome in outcomes if outcome.reason), "no column can be learned")


def _rendered_classes(synth: Path, classes: Sequence[str]) -> list[str]:
    counts = open_dataset(synth).coco.classes()
    return [name for name in classes if counts.get(name)]


def _table(work: Workspace) -> Path:
    return work.out / ("inferred.parquet" if has_parquet() else "inferred.csv")


def _values(outcome: Outcome) -> dict[str, Any]:
    best = outcome.scores[outcome.model] if outcome.model else max(outcome.scores.values(), key=lambda s: s.value)
    return {
        "class": outcome.class_name,
        "column": outcome.column,
        "kind": "R²" if best.kind == "r2" else best.kind,
        "score": best.value,
        "used": bool(outcome.model),
        "outside": outcome.outside,
    }


def _goal(work: Workspace, synth: Path, found: InferenceResult, outcome: Outcome) -> dict[str, Any] | None:
    """The goal for a column whose predictions can be trusted, that probes measure, and that differs significantly."""
    column = find_column(outcome.column)
    if column.kind == "category" or "pixels" in column.needs or outcome.outside > MAX_OUTSIDE:
        return None
    if metric_for(outcome.column, [type(use.plugin) for use in work.recipe.plugins.get("metric", ())]) is None:
        return None
    if any((goal.column, goal.class_name) in _same(outcome) for goal in work.recipe.goals):
        return None
    known = [i for i, value in enumerate(found.table[outcome.column]) if value is not None]
    real = {key: [found.table[key][i] for i in known] for key in ("image_id", "id", "class", outcome.column)}
    columns = measure(open_dataset(synth).coco, None).columns
    if outcome.column not in columns:
        return None
    rendered = {key: columns[key] for key in ("image_id", "id", "class", outcome.column)}
    compared = compare_measured(real, rendered, outcome.class_name, work.options.seed)
    if not any(one.column == outcome.column and not one.main for one in verdict(compared).significant):
        return None
    return {"column": outcome.column, "class": outcome.class_name}


def _same(outcome: Outcome) -> tuple[tuple[str, str], ...]:
    return (outcome.column, ""), (outcome.column, outcome.class_name)


def _recipe(work: Workspace, result: Result) -> Recipe:
    """The recipe with the goals, and with the metrics that measure them."""
    goals, metrics = list(work.recipe.goals), list(work.recipe.plugins.get("metric", ()))
    for goal in result["goals"]:
        provider = metric_for(goal["column"], [type(use.plugin) for use in metrics])
        if provider is not None and all(type(use.plugin) is not provider for use in metrics):
            metrics.append(PluginUse("metric", provider.plugin_id, provider()))  # type: ignore[attr-defined]
        goals.append(GoalSettings(column=goal["column"], class_name=goal["class"], real=result["table"]))
    return attrs.evolve(work.recipe, goals=tuple(goals), plugins={**work.recipe.plugins, "metric": tuple(metrics)})

# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the 3D models that look least like the real objects [Zhang2023, §5]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from ....alignment.features.curation import GroupScore, group_scores
from ....engine.recipe.settings import without_assets
from ....engine.rng import stream
from ...analysis.feature_scores import group_names, read_densities
from ...formats.dataset_folder import open_dataset
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, TrialStep

MAX_REMOVED = 2
"""Shapes of a class that are removed at most, as in the method's source."""
MIN_LEFT = 3
"""Shapes of a class that stay at least."""
MIN_BOXES = 5
"""Shapes with fewer rendered boxes are not judged."""


class Shapes(TrialStep):
    """A recipe without the worst shapes."""

    name = "shapes"
    title = "Remove shapes that look least real"
    needs = ("features",)
    needs_photos = True

    def inputs(self, work: Workspace) -> dict[str, str]:
        return {
            **fingerprints.of_recipe(work.recipe),
            **fingerprints.of_files(work.out, work.features),
            "the images rendered before": fingerprints.of_dataset(work.latest),
            "--seed": str(work.options.seed),
            **self.trial_inputs(work),
        }

    def run(self, work: Workspace) -> Result:
        if work.latest is None or not work.features:
            reason = "there are no features of real boxes" if work.latest else "there are no rendered images yet"
            return {"reason": reason, "shapes": [], "removed": {}}
        dataset = open_dataset(work.latest)
        densities, _ = read_densities(work.features)
        scores = work.score_boxes(dataset, densities)
        by, names = group_names(dataset.coco, scores)
        if by != "shape":
            return {"reason": "the rendered boxes state no shape", "shapes": [], "removed": {}}
        groups = group_scores(scores.typicality, names, stream(work.options.seed, "curate"), images=scores.image)
        owner = {str(name): str(scores.class_name[names == name][0]) for name in np.unique(names.astype(str))}
        removed = {one.name: owner[one.name] for one in _worst(groups, owner)}
        result = {
            "reason": "",
            "shapes": [{**attrs.asdict(one), "class": owner[one.name]} for one in groups],
            "removed": removed,
            "rendered": bool(removed),
        }
        if removed:
            work.render_trial(self.name, work.checked(without_assets(work.recipe, removed)))
        return result

    def apply(self, work: Workspace, result: Result) -> None:
        if result["removed"]:
            work.recipe = without_assets(work.recipe, result["removed"])
        self.add_trial(work, result)

    def sentences(self, result: Result) -> list[str]:
        if result["reason"]:
            return [f"No shape is judged: {result['reason']}."]
        if not result["removed"]:
            return [f"None of {len(result['shapes'])} shapes is removed."]
        means = {one["name"]: one["mean"] for one in result["shapes"]}
        listed = ", ".join(f"{name} (typicality {means[name]:.2f})" for name in result["removed"])
        return [f"Removed from {len(result['shapes'])} shapes: {listed}."]


def _worst(groups: Sequence[GroupScore], owner: dict[str, Any]) -> list[GroupScore]:
    """The groups to remove: significantly worse than the others, the worst first, a few of each class."""
    chosen: list[GroupScore] = []
    for class_name in dict.fromkeys(owner.values()):
        own = [one for one in groups if owner[one.name] == class_name]
        worse = [one for one in own if one.worse and one.images > 1 and one.count >= MIN_BOXES]
        chosen += worse[: max(min(MAX_REMOVED, len(own) - MIN_LEFT), 0)]
    return chosen

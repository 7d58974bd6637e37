# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders what the recipe gives before anything is aligned."""

from __future__ import annotations

import attrs

from ....engine.recipe.settings import Recipe
from ....engine.recipe.variants import changed_kinds
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, TrialStep


class Baseline(TrialStep):
    """Images of the recipe without its target."""

    name = "baseline"
    title = "Render a baseline"

    def inputs(self, work: Workspace) -> dict[str, str]:
        return {**fingerprints.of_recipe(_recipe(work)), **self.trial_inputs(work)}

    def run(self, work: Workspace) -> Result:
        work.render_trial(self.name, _recipe(work))
        target = bool(work.given.plugins.get("target")) and not _recipe(work).plugins.get("target")
        return {"rendered": True, "without_target": target}

    def apply(self, work: Workspace, result: Result) -> None:
        self.add_trial(work, result)

    def sentences(self, result: Result) -> list[str]:
        return ["The recipe without its target." if result.get("without_target") else "The recipe as it is."]


def _recipe(work: Workspace) -> Recipe:
    """The recipe without what step ``areas`` brings.

    Cameras that pose whole layouts need theirs, so that such a target is never removed; nor is one that variants or
    rooms change.
    """
    targets = work.given.plugins.get("target", ())
    is_needed = any(use.plugin.draws_layouts for use in targets) or "target" in changed_kinds(work.given)
    if "areas" in work.options.skip or is_needed:
        return work.given
    return attrs.evolve(work.given, plugins={k: v for k, v in work.given.plugins.items() if k != "target"})

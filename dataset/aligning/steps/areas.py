# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the boxes follow the sizes and positions of the real ones."""

from __future__ import annotations

from typing import Any

import attrs

from ....alignment.mixtures.fit_report import fit_report
from ....engine.errors import DataError
from ....engine.plugin.hooks import defines
from ....engine.plugin.registry import default
from ....engine.recipe.settings import PluginUse, Recipe
from ....engine.recipe.variants import changed_kinds
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, TrialStep

TARGET, CAMERA = "bbox_area_gmm", "framed"


class Areas(TrialStep):
    """A target for the areas of boxes, if the recipe has none, and a camera that reaches it."""

    name = "areas"
    title = "Fit the sizes of boxes"

    def inputs(self, work: Workspace) -> dict[str, str]:
        return {
            **fingerprints.of_recipe(_recipe(work)),
            "--class": ", ".join(work.classes),
            "--seed": str(work.options.seed),
            **self.trial_inputs(work),
        }

    def run(self, work: Workspace) -> Result:
        recipe = work.checked(_recipe(work))
        work.render_trial(self.name, recipe)
        own = work.given.plugins.get("target", ())
        cameras = [use.id for use in work.given.plugins.get("camera", ())]
        replaced = cameras if cameras != [use.id for use in recipe.plugins["camera"]] else []
        return {
            "rendered": True,
            "target": [use.id for use in recipe.plugins["target"]],
            "added": not own,
            "replaced_cameras": replaced,
            "mixtures": {name: _mixture(work, name) for name in work.classes},
        }

    def apply(self, work: Workspace, result: Result) -> None:
        work.recipe = _recipe(work)
        self.add_trial(work, result)

    def sentences(self, result: Result) -> list[str]:
        lines = []
        if result["added"]:
            lines.append(f"Added [target] {TARGET}, which draws the sizes of boxes from a mixture of the real ones.")
        else:
            lines.append(f"The recipe's own target ({', '.join(result['target'])}) is kept.")
        if result["replaced_cameras"]:
            lines.append(
                f"Camera '{CAMERA}' takes the place of {', '.join(result['replaced_cameras'])}: it reaches goals."
            )
        for name, found in result["mixtures"].items():
            lines.append(f"{found['boxes']} real boxes of {name} make {found['components']} components of area.")
        return lines


def _mixture(work: Workspace, name: str) -> dict[str, Any]:
    assert work.exposed is not None
    boxes = work.exposed.boxes(name)
    _, report = fit_report(boxes, seed=work.options.seed)
    return {"boxes": len(boxes), "components": len(report["components"])}


def _recipe(work: Workspace) -> Recipe:
    """The recipe with a target; and with a camera that solves for goals, if none of its own does.

    Raises DataError if its cameras must be replaced, but cannot.
    """
    plugins = dict(work.given.plugins)
    if plugins.get("target"):
        return work.given
    plugins["target"] = (PluginUse("target", TARGET, default().find("target", TARGET)(classes=list(work.classes))),)
    if not any(defines(use.plugin, "reachable_boxes") for use in plugins["camera"]):
        if "camera" in changed_kinds(work.given):
            own = ", ".join(use.id for use in plugins["camera"])
            raise DataError(
                f"No camera of the recipe ({own}) reaches goals, and none can be replaced, because variants or rooms "
                f"change them. Use camera '{CAMERA}' in the recipe, or skip step 'areas'."
            )
        plugins["camera"] = (PluginUse("camera", CAMERA, default().find("camera", CAMERA)()),)
    return attrs.evolve(work.given, plugins=plugins)

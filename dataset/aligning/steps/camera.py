# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates the camera of the photos, and gives the pictures its noise, tones, sharpness and compression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from ....engine.plugin.registry import default
from ....engine.recipe.settings import PluginUse, Recipe
from ....engine.recipe.variants import with_numbered_keys
from ...camera.camera_fit import fit_camera, write_camera_fit
from ...camera.photos import photo_paths
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, TrialStep

FILE = "camera.json"

EFFECTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("vignette", {}),
    ("exposure", {"match": "lab"}),
    ("blur", {}),
    ("noise", {}),
    ("sharpen", {}),
    ("jpeg", {}),
)
"""The effects that imitate a camera, in the order of light on its way through it, each with its parameters."""


class Camera(TrialStep):
    """A camera file, and the effects that draw from it."""

    name = "camera"
    title = "Fit the camera of the photos"
    needs_photos = True

    def inputs(self, work: Workspace) -> dict[str, str]:
        return {
            **fingerprints.of_recipe(work.recipe),
            "the photos": work.exposed_fingerprint,
            "--seed": str(work.options.seed),
            **self.trial_inputs(work),
        }

    def run(self, work: Workspace) -> Result:
        own = _fitted(work.recipe)
        photos = work.exposed_photos
        found = fit_camera(
            photo_paths([photos.coco.path], photos.images),
            seed=work.options.seed,
            progress=lambda done, total: work.progress("Measuring photos", done, total),
        )
        write_camera_fit(work.out / FILE, found.fit)
        statistics = {name: attrs.asdict(one) for name, one in found.fit.statistics.items()}
        result = {"statistics": statistics, "photos": len(found.fit.photos), "own": own, "rendered": not own}
        if not own:
            work.render_trial(self.name, work.checked(_recipe(work)))
        return result

    def outputs(self, work: Workspace, result: Result) -> Sequence[Path]:
        return [work.out / FILE]

    def apply(self, work: Workspace, result: Result) -> None:
        if not result["own"]:
            work.recipe = _recipe(work)
        self.add_trial(work, result)

    def sentences(self, result: Result) -> list[str]:
        if result["own"]:
            return [
                f"The recipe has effects with a camera file already ({', '.join(result['own'])}), so none is added."
            ]
        return [f"{result['photos']} photos in {FILE}; effects {', '.join(id for id, _ in EFFECTS)} imitate them."]


def _fitted(recipe: Recipe) -> list[str]:
    """The effects of a recipe that draw from a camera file."""
    return [use.id for use in recipe.plugins.get("effect", ()) if getattr(use.plugin, "fit", "")]


def _recipe(work: Workspace) -> Recipe:
    """The recipe with the effects after its own; pictures are then compressed by the effect alone."""
    effects = tuple(
        PluginUse("effect", id, default().find("effect", id)(fit=str(work.out / FILE), **more)) for id, more in EFFECTS
    )
    own = work.recipe.plugins.get("effect", ())
    is_twice = {use.id for use in own} & {use.id for use in effects}
    recipe = with_numbered_keys(work.recipe, "effect") if is_twice else work.recipe
    plugins = {**recipe.plugins, "effect": (*own, *effects)}
    return attrs.evolve(recipe, plugins=plugins, output=attrs.evolve(recipe.output, quality=100))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Paints the recipe's classes out of the photos, and puts half of the frames' objects on what is left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from ....engine.errors import DataError
from ....engine.plugin.registry import default
from ....engine.recipe.settings import PluginUse, Recipe
from ...images.emptied_photos import EmptyingRules, empty_photos
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, TrialStep

FOLDER = "backgrounds"
EFFECT = "replace_background"
SHARE = 0.5
"""Of the frames, that get a photo; on photos, objects cast no shadows."""


class Backgrounds(TrialStep):
    """A folder of emptied photos, and the effect that puts rendered objects on them."""

    name = "backgrounds"
    title = "Put objects on the places of the photos"
    needs_photos = True

    def inputs(self, work: Workspace) -> dict[str, str]:
        return {
            **fingerprints.of_recipe(work.recipe),
            "the photos": work.exposed_fingerprint,
            **self.trial_inputs(work),
        }

    def run(self, work: Workspace) -> Result:
        if any(use.id == EFFECT for use in work.recipe.plugins.get("effect", ())):
            return {"reason": f"The recipe has '{EFFECT}' already, so none is added."}
        photos = work.exposed_photos
        counts = photos.coco.classes()
        classes = [entry.name for entry in work.recipe.classes if counts.get(entry.name)]
        work.remove(work.out / FOLDER)
        try:
            made = empty_photos(
                photos,
                work.out / FOLDER,
                EmptyingRules(classes),
                lambda done, total: work.progress("Painting objects out of photos", done, total),
            )
        except DataError as error:
            return {"reason": str(error)}
        work.render_trial(self.name, work.checked(_recipe(work)))
        files = [photo.file for photo in made if photo.file]
        return {"reason": "", "files": files, "photos": len(made), "classes": classes, "rendered": True}

    def outputs(self, work: Workspace, result: Result) -> Sequence[Path]:
        return [work.out / FOLDER / name for name in result.get("files", ())]

    def apply(self, work: Workspace, result: Result) -> None:
        if not result["reason"]:
            work.recipe = _recipe(work)
        self.add_trial(work, result)

    def remove(self, work: Workspace) -> None:
        super().remove(work)
        work.remove(work.out / FOLDER)

    def sentences(self, result: Result) -> list[str]:
        if result["reason"]:
            return [result["reason"]]
        names, count = " and ".join(result["classes"]), len(result["files"])
        return [
            f"{count} of {result['photos']} photos without {names} in {FOLDER}.",
            f"The objects of {SHARE:.0%} of the frames are put on one of them.",
        ]


def _recipe(work: Workspace) -> Recipe:
    """The recipe with the effect after its own, since photos show the traces of their camera already."""
    values = {"image_folder": str(work.out / FOLDER), "probability": SHARE}
    effect = PluginUse("effect", EFFECT, default().find("effect", EFFECT)(**values))
    plugins = {**work.recipe.plugins, "effect": (*work.recipe.plugins.get("effect", ()), effect)}
    return attrs.evolve(work.recipe, plugins=plugins)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the aligned dataset."""

from __future__ import annotations

from ....engine.recipe.settings import Recipe
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, Step

FOLDER = "dataset"


class FinalDataset(Step):
    """As many images of the aligned recipe as it says; more of them are added to those that exist."""

    name = "dataset"
    title = "Render the aligned dataset"

    def inputs(self, work: Workspace) -> dict[str, str]:
        return fingerprints.of_recipe(work.recipe)

    def run(self, work: Workspace) -> Result:
        recipe = _recipe(work)
        images = work.render(recipe, work.out / FOLDER, "Rendering the dataset")
        return {"frames": recipe.images, "images": images}

    def is_complete(self, work: Workspace, result: Result) -> bool:
        frames = _recipe(work).images
        return result.get("frames") == frames and work.is_rendered(work.out / FOLDER, range(frames))

    def apply(self, work: Workspace, result: Result) -> None:
        work.datasets[self.name] = work.out / FOLDER

    def remove(self, work: Workspace) -> None:
        work.remove(work.out / FOLDER)

    def sentences(self, result: Result) -> list[str]:
        return [f"{result['images']} images in {FOLDER}."]


def _recipe(work: Workspace) -> Recipe:
    return work.checked(work.recipe)

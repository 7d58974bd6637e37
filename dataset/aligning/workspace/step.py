# SPDX-License-Identifier: GPL-3.0-or-later
"""A step of an alignment: what it depends on, what it makes, and how it changes the recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from .folder import Workspace

Result = Mapping[str, Any]
"""What a step has found, as JSON values."""


class Step:
    """A step of an alignment.

    Class attributes
    ----------------
    name : str
        What users skip it by.
    title : str
        What it does, as a heading.
    needs : tuple of str
        Steps without which it is skipped.
    needs_photos : bool
        Whether it is skipped if only the annotations of photos are there.
    is_derived : bool
        Whether it is simply done again if its inputs have changed, because nothing is rendered for it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    needs_photos: ClassVar[bool] = False
    is_derived: ClassVar[bool] = False

    def inputs(self, work: Workspace) -> dict[str, str]:
        """A fingerprint of everything that the result depends on, by names that users know."""
        raise NotImplementedError

    def run(self, work: Workspace) -> Result:
        """Make the files of the step and return what was found; continues what an earlier call has begun."""
        raise NotImplementedError

    def outputs(self, work: Workspace, result: Result) -> Sequence[Path]:
        """The files that were made, rendered folders aside."""
        return ()

    def is_complete(self, work: Workspace, result: Result) -> bool:
        """Whether everything rendered for the step is still there."""
        return True

    def apply(self, work: Workspace, result: Result) -> None:
        """Change the workspace by a result: the recipe, the photos, or the datasets."""

    def remove(self, work: Workspace) -> None:
        """Remove what was rendered for the step with other inputs."""
        work.remove(work.folder_of(self.name))

    def sentences(self, result: Result) -> list[str]:
        """What was found, for the user."""
        return []


class TrialStep(Step):
    """A step that changes the recipe, after which a few images are rendered to measure the change."""

    def is_complete(self, work: Workspace, result: Result) -> bool:
        folder = work.folder_of(self.name)
        return not result.get("rendered") or work.is_rendered(folder, range(work.options.trial_images))

    def add_trial(self, work: Workspace, result: Result) -> None:
        """Add the images rendered for the step to the datasets."""
        if result.get("rendered"):
            work.datasets[self.name] = work.folder_of(self.name)

    @staticmethod
    def trial_inputs(work: Workspace) -> dict[str, str]:
        """What the images rendered for a step depend on beside the recipe."""
        return {"--trial-images": str(work.options.trial_images)}

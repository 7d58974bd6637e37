# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the instances of the scene."""

from __future__ import annotations

import numpy as np

from ...engine.errors import StageError
from ...engine.goals import Goals
from ...engine.plugin import param, plugin
from ...engine.stage import Stage


@plugin("placement")
class Keep:
    """Keep the instances that the scene contains at their positions, and annotate them."""

    classes: list[str] = param([], means="class", doc="Classes to keep; default is all annotated classes")

    keeps_scene_instances = True
    runs_first = True
    """Others place around what is kept, not the other way round."""

    used_by_default = "always"

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Put the scene's own instances of the classes on the stage. Raises StageError where there are none."""
        class_names = [name for name in stage.assets if name]
        for name in self.classes:
            if name not in class_names:
                raise StageError(
                    f"Placement 'keep' names the class '{name}', but no asset has it. "
                    f"Classes with assets: {', '.join(class_names) or 'none'}."
                )
        # In random order, since cameras that solve for goals only try the first few.
        if not stage.keep(self.classes or class_names, rng):
            wanted = ", ".join(self.classes or class_names) or "any class"
            raise StageError(
                f"Placement 'keep' finds no instance of {wanted} in the scene. Take the assets from its objects or "
                "collections, or use placement 'on_surface'."
            )

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
        known = [name for name in stage.assets if name]
        for name in self.classes:
            if name not in known:
                raise StageError(
                    f"Placement 'keep' is to keep '{name}', but no asset has that class. "
                    f"Classes with assets: {', '.join(known) or 'none'}."
                )
        # In an order of this frame's own: cameras that solve for goals look at the first few alone.
        if not stage.keep(self.classes or known, rng):
            raise StageError(
                f"Placement 'keep' finds nothing of {', '.join(self.classes or known) or 'any class'} standing in the "
                "scene. Take the assets from its objects or collections, or use placement 'on_surface'."
            )

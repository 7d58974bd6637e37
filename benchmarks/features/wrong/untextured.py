# SPDX-License-Identifier: GPL-3.0-or-later
"""A deliberate mistake: things without materials, in the grey that Blender gives them then."""

from __future__ import annotations

import bpy
import numpy as np

from ...engine.plugin import plugin
from ...engine.stage import Stage


@plugin("appearance")
class Untextured:
    """Show all instances without their materials; the room keeps its own."""

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        for collection in bpy.data.collections["Twinset instances"].children:
            for part in collection.objects:
                for slot in part.material_slots:
                    slot.link, slot.material = "OBJECT", None

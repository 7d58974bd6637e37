# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of surface normals in the frame of the world."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...engine.stage import Shot
from .normals import Normals, world_normals


class WorldNormals(Normals):
    """Unit normals of surfaces in the frame of the world, whose z is up; otherwise like ``normals``."""

    key = folder = "world_normals"
    doc = "Surface normals in the world's frame, whose z is up: 16-bit PNG of (n + 1) / 2, or EXR"

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        return world_normals(shot)

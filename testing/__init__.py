# SPDX-License-Identifier: GPL-3.0-or-later
"""Help for tests of Twinset and of plugins: a stage in plain numpy, meshes of known shape, brute-force geometry."""

from .meshes import asset, box, heightfield, join, legged, plane
from .scene import scene
from .stage import BruteStage

__all__ = ["BruteStage", "asset", "box", "heightfield", "join", "legged", "plane", "scene"]

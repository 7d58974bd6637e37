# SPDX-License-Identifier: GPL-3.0-or-later
"""Help for tests of Twinset and of plugins: the conformance kit, a stage in plain numpy, meshes of known shape."""

from .conformance import check_plugin, plugin_checks
from .meshes import asset, box, heightfield, join, legged, plane
from .scene import scene
from .stage import BruteStage

__all__ = [
    "BruteStage",
    "asset",
    "box",
    "check_plugin",
    "heightfield",
    "join",
    "legged",
    "plane",
    "plugin_checks",
    "scene",
]

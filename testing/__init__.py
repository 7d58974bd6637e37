# SPDX-License-Identifier: GPL-3.0-or-later
"""Help for tests of Twinset and of plugins: the conformance kit, a stage in plain numpy, meshes of known shape."""

from .conformance.checks import check_plugin, plugin_checks
from .fixtures.meshes import asset, box, heightfield, join, legged, plane
from .fixtures.shots import make_shot
from .fixtures.stage import BruteStage
from .scene import scene

__all__ = [
    "BruteStage",
    "asset",
    "box",
    "check_plugin",
    "heightfield",
    "join",
    "legged",
    "make_shot",
    "plane",
    "plugin_checks",
    "scene",
]

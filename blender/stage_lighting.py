# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods of the stage in Blender that change world, lights and exposure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy

from .scene import lighting


class LightingMethods:
    """The part of :class:`..engine.stage.Stage` about light, for a stage that has its scene as ``_scene``."""

    _scene: bpy.types.Scene

    def set_world(self, **settings: Any) -> None:
        lighting.set_world(self._scene, **settings)

    def scale_lights(self, factor: float, tint: Sequence[float]) -> None:
        lighting.scale_lights(self._scene, factor, tint)

    def add_light(self, position: Sequence[float], **light: Any) -> None:
        lighting.add_light(self._scene, position, **light)

    def set_sky(self, **settings: Any) -> None:
        lighting.set_sky(self._scene, **settings)

    def add_lamp(self, kind: str, **lamp: Any) -> None:
        lighting.add_lamp(self._scene, kind, **lamp)

    def set_exposure(self, stops: float) -> None:
        lighting.set_exposure(self._scene, stops)

    def set_background(self, image: Path | None) -> None:
        lighting.set_background(self._scene, image)

# SPDX-License-Identifier: GPL-3.0-or-later
"""World, lights and background of a scene: changed for a frame, and restored exactly.

The user's world is never changed: a copy replaces it. Data-blocks that Twinset adds carry a custom property, so that
restoring needs no list of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import attrs
import bpy

from . import lights, world
from .lights import add_lamp, add_light, remove_animation, scale_lights
from .ownership import OWNED
from .world import set_background, set_sky, set_world

__all__ = [
    "CHANGES",
    "LightingState",
    "add_lamp",
    "add_light",
    "capture",
    "remove_animation",
    "restore",
    "scale_lights",
    "set_background",
    "set_exposure",
    "set_sky",
    "set_world",
]

_EXPOSURE = "twinset_exposure"
"""Custom property of a scene whose exposure is changed: its own."""


@attrs.frozen(eq=False)
class LightingState:
    """What :func:`restore` needs to know about the original scene."""

    world: bpy.types.World | None
    film_transparent: bool
    exposure: float | None = None


def capture(scene: bpy.types.Scene) -> LightingState:
    """Note the original lighting of a scene, before any change."""
    return LightingState(scene.world, scene.render.film_transparent, scene.view_settings.exposure)


def set_exposure(scene: bpy.types.Scene, stops: float) -> None:
    """Expose pictures by so many stops more than the scene's own setting; a second call replaces the first."""
    if _EXPOSURE not in scene:
        scene[_EXPOSURE] = scene.view_settings.exposure
    scene.view_settings.exposure = scene[_EXPOSURE] + stops


def restore(scene: bpy.types.Scene, state: LightingState, *, keep_cache: bool = False) -> None:
    """Restore world, lights and background exactly.

    Parameters
    ----------
    scene, state
        The argument and the result of :func:`capture`.
    keep_cache : bool
        Keep the working copy of the world and its loaded pictures for the next frame, so that a picture used again is
        not read again. This is at most one world and two pictures; the next full restore removes them.
    """
    lights.remove_changes()
    _restore_settings(scene, state)
    world.remove_changes(keep_cache=keep_cache)


def restore_scene(scene: bpy.types.Scene, state: LightingState, *, keep: Collection[bpy.types.Light]) -> None:
    """Restore world, lights and background of one of several scenes; the caller removes the working copy of the world.

    Lights to ``keep``, since other scenes use them, stay changed; those among them that were added leave this scene.
    """
    own = list(lights.lights_of(scene))
    kept = {light for light in own if light in keep and light.get(OWNED)}
    for holder in [o for o in scene.collection.objects if kept and o.type == "LIGHT" and o.data in kept]:
        scene.collection.objects.unlink(holder)
    lights.remove_changes(light for light in own if light not in keep)
    _restore_settings(scene, state)


def original_exposure(scene: bpy.types.Scene) -> float:
    """The scene's own exposure, without that of a sample."""
    return float(scene.get(_EXPOSURE, scene.view_settings.exposure))


def _restore_settings(scene: bpy.types.Scene, state: LightingState) -> None:
    scene.world = state.world
    scene.render.film_transparent = state.film_transparent
    if _EXPOSURE in scene:
        scene.view_settings.exposure = scene[_EXPOSURE] if state.exposure is None else state.exposure
        del scene[_EXPOSURE]


CHANGES: dict[str, Callable[..., Any]] = {
    "set_world": set_world,
    "scale_lights": scale_lights,
    "add_light": add_light,
    "add_lamp": add_lamp,
    "set_background": set_background,
    "set_sky": set_sky,
    "set_exposure": set_exposure,
}
"""What appearance plugins can do to the lighting, by the names that records give."""

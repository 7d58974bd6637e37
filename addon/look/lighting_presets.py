# SPDX-License-Identifier: GPL-3.0-or-later
"""Lighting presets: settings of the appearance plugins that light the scene, and a small picture of each."""

from __future__ import annotations

import math
from typing import Any

import attrs
import bpy
import numpy as np

from ...alignment.camera.color_temperature import blackbody
from ..settings.fields import fill, values_of
from ..settings.properties import parameters_of
from ..widgets import icons

LIGHT_PLUGINS = ("lights", "world", "sky")
"""Plugins that a preset replaces. Materials, clutter and so on stay as they are."""

_SIDE = 96


@attrs.frozen
class LightingPreset:
    """Settings by plugin, and how their light looks: its temperature in K, hardness and share of the sky in [0, 1]."""

    name: str
    description: str
    plugins: dict[str, dict[str, Any]]
    temperature: float
    hardness: float
    sky: float


PRESETS = (
    LightingPreset(
        "Scene Lights",
        "The lights of the scene, a little brighter or darker, and a little warmer or cooler",
        {"lights": {"factor_range": [0.6, 1.6], "temperature_range": [4000.0, 7500.0]}},
        5500.0,
        0.6,
        0.3,
    ),
    LightingPreset(
        "Daylight",
        "A clear sky with its sun, at any time of the day",
        {
            "sky": {"elevation_range": [20.0, 65.0], "sun_disc": True},
            "lights": {"factor_range": [0.5, 1.5], "temperature_range": [5500.0, 7500.0]},
        },
        6200.0,
        1.0,
        0.5,
    ),
    LightingPreset(
        "Overcast",
        "A bright sky without a sun: soft shadows",
        {
            "world": {
                "color_low": [0.75, 0.8, 0.85],
                "color_high": [0.95, 1.0, 1.0],
                "strength_range": [0.6, 1.4],
            },
            "lights": {"factor_range": [0.3, 0.8], "temperature_range": [6000.0, 7500.0]},
        },
        7000.0,
        0.15,
        0.8,
    ),
    LightingPreset(
        "Evening",
        "A low sun, or a dim sky",
        {
            "sky": {"elevation_range": [1.0, 12.0], "dust_range": [1.0, 5.0]},
            "lights": {"factor_range": [0.4, 1.2], "temperature_range": [2700.0, 4500.0]},
        },
        3200.0,
        0.9,
        0.25,
    ),
    LightingPreset(
        "Night",
        "No light from outside, some warm lamps",
        {
            "world": {"color_low": [0.0, 0.0, 0.0], "color_high": [0.01, 0.01, 0.02], "strength_range": [0.5, 1.0]},
            "lights": {
                "factor_range": [0.5, 1.5],
                "temperature_range": [2400.0, 3500.0],
                "extra_range": [1, 3],
                "extra_power_range": [20.0, 80.0],
            },
        },
        2700.0,
        0.7,
        0.02,
    ),
    LightingPreset(
        "Studio",
        "Several large, soft and neutral lights",
        {
            "world": {"color_low": [0.3, 0.3, 0.3], "color_high": [0.5, 0.5, 0.5], "strength_range": [0.7, 1.3]},
            "lights": {
                "factor_range": [0.7, 1.4],
                "extra_range": [2, 4],
                "extra_radius": 0.5,
                "extra_power_range": [60.0, 150.0],
            },
        },
        6500.0,
        0.25,
        0.45,
    ),
)


def apply_preset(scene: bpy.types.Scene, preset: LightingPreset) -> None:
    """Replace the settings of the plugins that light the scene; other appearance plugins stay."""
    uses = scene.twinset.appearances
    for index in reversed(range(len(uses))):
        if uses[index].plugin in LIGHT_PLUGINS and uses[index].plugin not in preset.plugins:
            uses.remove(index)
    for plugin, values in preset.plugins.items():
        use = next((use for use in uses if use.plugin == plugin), None)
        if use is None:
            use = uses.add()
            use.plugin = plugin
        use.enabled = True
        group = parameters_of(use)
        # A folder of skies is the user's own and stays.
        kept = {key: value for key, value in values_of(group).items() if key in ("hdri_folder", "hdri_files")}
        fill(group, {**kept, **values})
    scene.twinset.appearance_index = max(0, min(scene.twinset.appearance_index, len(uses) - 1))


def is_active(scene: bpy.types.Scene, preset: LightingPreset) -> bool:
    """Whether the scene has the settings of a preset."""
    uses = {use.plugin: use for use in scene.twinset.appearances if use.enabled and use.plugin in LIGHT_PLUGINS}
    if set(uses) != set(preset.plugins):
        return False
    for plugin, wanted in preset.plugins.items():
        values = values_of(parameters_of(uses[plugin]))
        if any(not np.allclose(values[key], value) for key, value in wanted.items()):
            return False
    return True


def icon_of(preset: LightingPreset) -> int:
    """The icon of a preset: a ball in its light."""
    return icons.icon_of(f"light {preset.name}", preset.name, lambda: picture(preset))


def picture(preset: LightingPreset) -> np.ndarray:
    """A ball in the light of a preset, (side, side, 4) float32 RGBA, top row first."""
    x, y = np.meshgrid(*2 * [np.linspace(-1.15, 1.15, _SIDE)])
    radius = np.hypot(x, y)
    z = np.sqrt(np.clip(1.0 - radius**2, 0.0, None))
    normal = np.stack([x, -y, z], -1)
    to_light = np.array([-0.5, 0.6, 0.62])
    facing = normal @ (to_light / np.linalg.norm(to_light))
    wrap = 1.0 - preset.hardness
    direct = np.clip((facing + wrap) / (1.0 + wrap), 0.0, 1.0) ** (1.0 + preset.hardness)
    glint = preset.hardness * np.clip(facing, 0.0, 1.0) ** 40
    tint = np.array(blackbody(preset.temperature))
    sky = preset.sky * (0.55 + 0.45 * normal[..., 1:2]) * np.array([0.75, 0.85, 1.0])
    color = 0.75 * direct[..., None] * tint / tint.max() + 0.45 * sky + 0.5 * glint[..., None]
    out = np.zeros((_SIDE, _SIDE, 4), np.float32)
    out[..., 3] = np.clip((1.0 - radius) * _SIDE / 2.3 + 0.5, 0.0, 1.0)
    out[..., :3] = np.clip(color, 0.0, 1.0) ** (1.0 / math.sqrt(2.2)) * out[..., 3:]
    return out

# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of materials, clutter, skies, lamps and exposure; see pictures.py, which runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pictures import FRONT, OUTDOORS, ROW, picture, placed, plugin, rng, shoot, stage_of
from sheet import Panel
from twinset.engine.stage import CameraPose, Stage

CLUTTER = '[[distractor]]\nname = "clutter"\nbuiltin = "clutter"\n'


def drawn(
    appearance: Any, seeds: Sequence[int], titles: Sequence[str], make: Callable[[], Stage], pose: CameraPose = FRONT
) -> list[Panel]:
    """The same things under several draws of an appearance that runs after the camera is posed."""
    panels = []
    for seed, title in zip(seeds, titles, strict=True):
        stage = make()
        stage.pose_camera(pose)
        appearance.vary(stage, rng(seed))
        panels.append((title, shoot(stage, pose).image))
    return panels


@picture("appearance/materials", "As modelled; with colours of a list; and with procedural wood, fabric and metal.")
def materials() -> list[Panel]:
    listed = plugin("appearance", "materials", colors=["#1d1b1a", "#8a5a33", "#c9b79a"], vary_by="target")
    patterns = plugin("appearance", "materials", patterns=["wood", "fabric", "metal"], colors=["#6b4a2f", "#7d8894"])
    panels = [("as modelled", shoot(placed(stage_of())).image)]
    panels += drawn(listed, (1,), ("colors",), lambda: placed(stage_of()))
    return panels + drawn(patterns, (5,), ("patterns",), lambda: placed(stage_of()))


@picture("appearance/clutter", "Without, and two draws with things on tables, chairs and the platform.")
def clutter() -> list[Panel]:
    def tables() -> Stage:
        return placed(stage_of(more=CLUTTER), classes=["chair", "table"], count=(4, 4))

    varying = plugin("appearance", "clutter", surfaces=["Dais"], count_range=(9, 12), carried_share=0.7)
    panels = [("without", shoot(tables(), ROW).image)]
    return panels + drawn(varying, (1, 3), ("clutter, draw 1", "clutter, draw 3"), tables, ROW)


@picture("appearance/sky", "The sun low in the west, high in the south, and behind haze.")
def sky() -> list[Panel]:
    panels = []
    for title, values in (
        ("sun 12 degrees high", {"elevation_range": (12.0, 12.0), "azimuth_range": (270.0, 270.0)}),
        ("sun 55 degrees high", {"elevation_range": (55.0, 55.0), "azimuth_range": (180.0, 180.0)}),
        ("haze", {"elevation_range": (35.0, 35.0), "dust_range": (9.0, 9.0), "sun_disc": False}),
    ):
        varying = plugin("appearance", "sky", strength_range=(0.12, 0.12), **values)
        panels += drawn(varying, (0,), (title,), lambda: placed(stage_of(OUTDOORS)))
    return panels


@picture("appearance/lamps", "The same things under six area lamps, thirty spot lamps, and twenty point lamps.")
def lamps() -> list[Panel]:
    panels = []
    for title, values in (
        ("area lamps", {"kinds": ["area"], "count_range": (6, 6)}),
        ("spot lamps", {"kinds": ["spot"], "count_range": (30, 30), "power_range": (200.0, 200.0)}),
        ("point lamps", {"kinds": ["point"], "count_range": (20, 20), "power_range": (60.0, 60.0)}),
    ):

        def dim() -> Stage:
            stage = placed(stage_of())
            stage.scale_lights(0.15, (1.0, 1.0, 1.0))
            return stage

        panels += drawn(plugin("appearance", "lamps", **values), (2,), (title,), dim)
    return panels


@picture("appearance/auto_exposure", "The same scene exposed to a mean brightness of 0.2, 0.4 and 0.6.")
def auto_exposure() -> list[Panel]:
    panels = []
    for level in (0.2, 0.4, 0.6):
        varying = plugin("appearance", "auto_exposure", brightness_range=(level, level))
        panels += drawn(varying, (0,), (f"brightness {level}",), lambda: placed(stage_of()))
    return panels

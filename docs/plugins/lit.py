# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of how appearance plugins light and furnish a scene; see pictures.py, which runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pictures import (
    FLOOR,
    FRONT,
    OUTDOORS,
    labelled,
    picture,
    placed,
    plugin,
    recipe,
    recorded,
    rng,
    scratch,
    shoot,
    stage_of,
)
from sheet import Panel
from twinset.engine.goals import Goals
from twinset.engine.sampling.recorded_draws import DrawRecorder
from twinset.engine.stage import CameraPose, Stage


def varied(appearance: Any, seeds: Sequence[int], make: Callable[[], Stage], pose: CameraPose = FRONT) -> list[Panel]:
    """The same things under several draws of an appearance plugin."""
    panels = []
    for seed in seeds:
        stage = make()
        recorder = DrawRecorder(stage, recipe())
        appearance.vary(recorder, rng(seed))
        panels.append((_told(recorder.calls), shoot(stage, pose).image))
    return panels


def _told(calls: Sequence[dict[str, Any]]) -> str:
    told = []
    for call in calls:
        if call["call"] == "scale_lights":
            told.append(f"power x {call['factor']:.2f}, tint {'/'.join(f'{v:.1f}' for v in call['tint'])}")
        elif call["call"] == "add_light":
            told.append(f"+ {call['power']:.0f} W")
        elif call["call"] == "set_world":
            told.append((Path(call["hdri"]).name if call["hdri"] else "colour") + f" x {call['strength']:.2f}")
        elif call["call"] == "set_background":
            told.append(Path(call["image"]).name if call["image"] else "the world")
    return ", ".join(told)


@picture("appearance/lights", "The same things under three draws: all lamps dimmed or tinted, one lamp added.")
def lights() -> list[Panel]:
    varying = plugin(
        "appearance", "lights", factor_range=(0.15, 2.0), temperature_range=(2500.0, 12000.0), extra_range=(1, 1)
    )
    return varied(varying, (10, 8, 3), lambda: placed(stage_of()))


def skies() -> list[str]:
    """Made skies: a band of light at a side, of several colours."""
    out = []
    across, down = np.meshgrid(np.linspace(-1, 1, 256), np.linspace(0, 1, 128))
    for name, color in (("dusk", (1.0, 0.45, 0.2)), ("noon", (0.9, 0.95, 1.0)), ("night", (0.15, 0.25, 0.6))):
        glow = np.exp(-(((across - 0.2) / 0.25) ** 2) - ((down - 0.35) / 0.15) ** 2)[..., None]
        sky = np.array(color) * (0.4 * (1 - down[..., None]) + 6 * glow)
        path = scratch() / f"{name}.hdr"
        cv2.imwrite(str(path), sky[..., ::-1].astype(np.float32))
        out.append(str(path))
    return out


@picture("appearance/world", "The same things in the open under three skies, each turned at random.")
def world() -> list[Panel]:
    varying = plugin("appearance", "world", hdri_files=skies())
    return varied(varying, (0, 1, 4), lambda: placed(stage_of(OUTDOORS)))


@picture("appearance/background", "Pictures behind the scene, seen only where there is no geometry.")
def background() -> list[Panel]:
    files = []
    across, down = np.meshgrid(np.linspace(0, 1, 320), np.linspace(0, 1, 240))
    for name, waves in (("hills", 3), ("dunes", 1), ("stripes", 9)):
        ridge = 0.45 + 0.12 * np.sin(2 * np.pi * waves * across)
        high = np.array((235, 190, 120)) - 90 * down[..., None]
        pixels = np.where((down > ridge)[..., None], np.array((70, 120, 60)) + 60 * down[..., None], high)
        path = scratch() / f"{name}.png"
        cv2.imwrite(str(path), pixels.astype(np.uint8))
        files.append(str(path))
    panels = []
    for file in files:
        varying = plugin("appearance", "background", image_files=[file])
        panels += varied(varying, (0,), _in_the_open)
    return panels


def _in_the_open() -> Stage:
    stage = placed(stage_of(FLOOR))
    stage.set_world(hdri=None, color=(1.0, 1.0, 1.0), strength=1.0, rotation=0.0)
    return stage


@picture("appearance/distractors", "Without, and two draws with things that float about and are not annotated.")
def distractors() -> list[Panel]:
    varying = plugin("appearance", "distractors", count_range=(4, 7))
    panels = [("without", labelled(shoot(placed(stage_of()))))]
    for seed in (1, 3):
        stage = placed(stage_of())
        varying.vary(stage, rng(seed))
        panels.append((f"distractors, draw {seed}", labelled(shoot(stage))))
    return panels


@picture("appearance/jitter", "A frame that was chosen, and two that are lit like it, each light a little different.")
def appearance_jitter() -> list[Panel]:
    lamp = {"call": "add_light", "position": [-16.5, -3.2, 2.2], "power": 220.0, "color": [1, 0.5, 0.2], "radius": 0.1}
    dim = {"call": "scale_lights", "factor": 0.25, "tint": [0.6, 0.8, 1.0]}
    path, source = recorded([dim, lamp])
    panels = [("chosen frame", source.image)]
    for seed in (1, 2):
        stage = placed(stage_of(), count=(3, 3))
        jitter = plugin("appearance", "jitter", frames=str(path), power=0.5, distance=1.5)
        jitter.vary(stage, rng(seed), Goals())
        panels.append((f"jitter, draw {seed}", shoot(stage).image))
    return panels

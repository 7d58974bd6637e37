# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of what a lens and a shutter do; see pictures.py, which runs them."""

from __future__ import annotations

from typing import Any

import numpy as np
from pictures import DAIS, FRONT, labelled, picture, placed, plugin, recipe, rng, shoot, stage_of, view
from sheet import Panel
from twinset.engine.goals import Goals
from twinset.engine.sampling.recorded_draws import DrawRecorder

NEAR = view((-15.1, -2.7, 1.35), np.add(DAIS, (0.0, 0.2, 0.2)), 45.0)


def _both(value: float) -> tuple[float, float]:
    return value, value


@picture("appearance/depth_of_field", "Everything sharp; in focus near by; and far away, with labels.")
def depth_of_field() -> list[Panel]:
    stage = placed(stage_of())
    panels: list[Panel] = [("sharp", shoot(stage, NEAR).image)]
    for distance in (2.6, 4.6):
        stage = placed(stage_of())
        stage.pose_camera(NEAR)
        plugin("appearance", "depth_of_field", focus=_both(distance), aperture=_both(0.6)).vary(stage, rng(0), Goals())
        shot = shoot(stage, NEAR)
        panels.append((f"focus at {distance} m", labelled(shot) if distance > 4 else shot.image))
    return panels


@picture(
    "appearance/motion", "A camera that turns, one that moves to the side, and things that move, with their labels."
)
def motion() -> list[Panel]:
    still: dict[str, Any] = {"camera_distance": _both(0.0), "camera_rotation": _both(0.0)}
    panels: list[Panel] = []
    for title, values in (
        ("camera turns by 2 degrees", {"camera_rotation": _both(2.0)}),
        ("camera moves by 10 cm", {"camera_distance": _both(0.1)}),
        ("things move by 20 cm", {"distance": _both(0.2), "rotation": _both(20.0)}),
    ):
        stage = placed(stage_of())
        stage.pose_camera(FRONT)
        recorder = DrawRecorder(stage, recipe())
        plugin("appearance", "motion", **(still | values)).vary(recorder, rng(4))
        shot = shoot(stage, FRONT)
        panels.append((title, labelled(shot) if "things" in title else shot.image))
    return panels

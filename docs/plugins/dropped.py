# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of things that fall; see pictures.py, which runs them."""

from __future__ import annotations

from typing import Any

import numpy as np
from pictures import DAIS, picture, plugin, rng, shoot, stage_of, view
from sheet import Panel
from twinset.engine.goals import Goals
from twinset.engine.stage import Stage


def one_class(kind: str) -> Stage:
    """The hall, with built-in shapes of a kind as the class ``thing``."""
    return stage_of(more=f'[[class]]\nname = "thing"\nbuiltin = "{kind}"\n')


def near(stage: Stage, distance: float, height: float) -> np.ndarray:
    """A picture of all instances from a distance, ``height`` of it above them."""
    points = np.concatenate([i.points for i in stage.instances])
    middle = (points.min(0) + points.max(0)) / 2
    return shoot(stage, view(middle + distance * np.array([0.8, -0.6, height]), middle, 45.0)).image


@picture("placement/physics", "Things dropped, poured above one point, and stacked, all at rest.")
def physics() -> list[Panel]:
    panels = []
    low, high = tuple(DAIS - 0.5), tuple(DAIS + np.array([0.5, 0.5, 2.0]))
    drop: dict[str, Any] = {"count": (30, 30), "cluster_radius": 0.12}
    pour: dict[str, Any] = {"count": (26, 26)}
    stack: dict[str, Any] = {"count": (5, 5)}
    for start, kind, values, distance, height in (
        ("drop", "workpiece", drop, 0.55, 0.35),
        ("pour", "can", pour, 1.6, 0.8),
        ("stack", "box", stack, 2.6, 0.8),
    ):
        stage = one_class(kind)
        made = plugin(
            "placement", "physics", surfaces=["Dais"], low=low, high=high, start=start, **values, classes=["thing"]
        )
        made.place(stage, Goals(), rng(4))
        panels.append((f'start = "{start}"', near(stage, distance, height)))
    return panels


@picture("placement/scatter", "As many things per square metre, at random and with blue noise.")
def scatter() -> list[Panel]:
    panels = []
    for evenness in (0.0, 0.7):
        stage = one_class("can")
        values = {"surfaces": ["Dais"], "classes": ["thing"], "density": (9.0, 9.0), "evenness": evenness}
        plugin("placement", "scatter", **values).place(stage, Goals(), rng(2))
        panels.append((f"evenness = {evenness}", shoot(stage, view((-14.9, -3.1, 3.0), DAIS, 30.0)).image))
    return panels


@picture("placement/hanging", "Plants under the ceiling, without and with a cord, which is not drawn.")
def hanging() -> list[Panel]:
    panels = []
    for cord in ((0.0, 0.0), (0.3, 0.9)):
        stage = one_class("potted plant")
        values = {"surfaces": ["Ceiling"], "classes": ["thing"], "count": (9, 9), "cord": cord}
        plugin("placement", "hanging", **values).place(stage, Goals(), rng(3))
        first = stage.instances[0].matrix[:3, 3]
        panels.append(
            (f"cord = {list(cord)}", shoot(stage, view(first + np.array([2.0, -1.5, -1.0]), first, 35.0)).image)
        )
    return panels


@picture("placement/on_wall", 'Bowls flat against a wall: back = "-z", since they are modelled standing on it.')
def on_wall() -> list[Panel]:
    panels = []
    for seed in (1, 5):
        stage = one_class("bowl")
        values = {"surfaces": ["Wall*"], "classes": ["thing"], "back": "-z", "height": (1.2, 2.0), "count": (3, 3)}
        values |= {"indoors": True, "tries": 400}
        plugin("placement", "on_wall", **values).place(stage, Goals(), rng(seed))
        first = stage.instances[0].matrix
        away = 1.6 * first[:3, 2] + np.cross(first[:3, 2], [0.0, 0.0, 0.7])
        panels.append((f"draw {seed}", shoot(stage, view(first[:3, 3] + away, first[:3, 3], 40.0)).image))
    return panels

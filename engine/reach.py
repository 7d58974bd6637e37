# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out which goals a scene can reach at all, before any frame is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .errors import UnreachableError
from .goals import Goal, Goals
from .plugin import Camera, Placement, Rejected, naming
from .rng import stream
from .stage import Stage

AREAS = np.append(np.geomspace(1e-4, 0.9, 24), 1.0)
"""Relative areas that are tried, a factor of about 1.5 apart, up to an instance that fills the image."""


def survey(
    stage: Stage,
    placements: Sequence[tuple[str, Placement]],
    camera: Any,
    class_names: Iterable[str],
    seed: int,
    *,
    rounds: int = 6,
    enough: float = 0.3,
) -> dict[str, tuple[float, float]]:
    """The interval of relative box areas that each class can have in this scene.

    Instances are placed ``rounds`` times as frames would have it; each time the camera plugin says which of
    :data:`AREAS` it could hit from somewhere. An area counts as reachable where this succeeds in at least the share
    ``enough`` of the rounds. Intermediate areas between two reachable ones are reachable too, since the camera moves
    continuously.

    Returns
    -------
    dict
        Class name to (low, high).

    Raises
    ------
    UnreachableError
        Where a class was never placed or never framed.
    """
    found = {}
    for name in sorted(class_names):
        hits, placed = np.zeros(len(AREAS)), 0
        refused: Counter[str] = Counter()
        size = np.max([asset.size for asset in stage.assets[name]], axis=0)
        for k in range(rounds):
            stage.clear()
            goals = Goals(main=Goal(name, 0.05, (0.5, 0.5)))
            try:
                put_instances(stage, placements, goals, seed, "reach", name, k)
            except Rejected as rejection:
                refused[rejection.reason] += 1
                continue
            instance = next((i for i in stage.instances if i.asset.class_name == name), None)
            if instance is None:
                continue
            placed += 1
            with naming(camera):
                hits += camera.reach(stage, instance, AREAS, stream(seed, "reach", name, k, "camera"))
        reached = np.flatnonzero(hits >= max(enough * placed, 1))
        if not len(reached):
            raise UnreachableError(_why(name, size, placed, refused))
        found[name] = (float(AREAS[reached[0]]), float(AREAS[reached[-1]]))
    stage.clear()
    return found


def _why(name: str, size: np.ndarray, placed: int, refused: Counter[str]) -> str:
    thing = f"a {name} (up to {size[0]:.2g} by {size[1]:.2g} m, {size[2]:.2g} m high)"
    if not placed:
        causes = ", ".join(f"{reason} ({n})" for reason, n in refused.most_common(3)) or "no placement puts one there"
        return (
            f"The placements find no room for {thing}: {causes}. Choose larger surfaces, or give the class its real "
            "'height'."
        )
    return (
        f"No camera position frames {thing} in this scene: no free viewpoint lies within the camera's 'height', "
        "'pitch' and 'lens'. Widen those ranges, or mend the sizes of the class and the scene."
    )


def put_instances(
    stage: Stage, placements: Sequence[tuple[str, Placement]], goals: Goals, seed: int, *key: int | str
) -> None:
    """Run the placement plugins, each on its own random stream."""
    for name, placement in placements:
        with naming(placement):
            placement.place(stage, goals, stream(seed, *key, name))


def aims(camera: Camera) -> bool:
    """Whether a camera plugin solves for goals."""
    return hasattr(camera, "reach")


def widest(reaches: Iterable[Mapping[str, tuple[float, float]]]) -> dict[str, tuple[float, float]]:
    """By class, the interval that holds those of all."""
    out: dict[str, tuple[float, float]] = {}
    for reach in reaches:
        for name, (low, high) in reach.items():
            known = out.get(name, (low, high))
            out[name] = min(low, known[0]), max(high, known[1])
    return out

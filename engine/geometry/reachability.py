# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out which goals a scene can reach at all, before any frame is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ..errors import UnreachableError
from ..goals import Goal, Goals, Reach
from ..plugin.contract import attribute_errors_to
from ..plugin.hooks import defines
from ..plugin.kinds import Camera, Placement
from ..plugin.results import Rejected
from ..rng import stream
from ..stage import Stage
from .support import Site

AREAS = np.append(np.geomspace(1e-4, 0.9, 24), 1.0)
"""Relative areas that are tried, a factor of about 1.5 apart, up to an instance that fills the image."""

TAIL = 0.002
"""Share of aspect ratios at each end that are too rare to be within reach. It is small, since solvers choose among
about a thousand ways in which a thing may stand before a camera."""

_FEWEST = 30  # aspect ratios, of fewer of which their interval is left open


@attrs.frozen(eq=False)
class Reached:
    """What a camera can show of an instance.

    Attributes
    ----------
    areas : (N,) bool
        Which of the relative areas asked for its box can have from somewhere in the scene.
    aspects : (M,) float
        Width over height, in pixels, of random boxes that no border cuts; none where the camera does not say.
    """

    areas: np.ndarray
    aspects: np.ndarray = attrs.field(factory=lambda: np.empty(0))


def survey(
    stage: Stage,
    placements: Sequence[tuple[str, Placement]],
    camera: Any,
    class_names: Iterable[str],
    seed: int,
    *,
    sites: Callable[[Goals], Sequence[Site]] = lambda goals: (),
    rounds: int = 6,
    enough: float = 0.3,
) -> dict[str, Reach]:
    """The boxes that each class can have in this scene: their relative areas, and their aspect ratios seen whole.

    Instances are placed ``rounds`` times as frames would have it; each time the camera plugin says which of
    :data:`AREAS` it could hit from somewhere. An area counts as reachable where this succeeds in at least the share
    ``enough`` of the rounds. Intermediate areas between two reachable ones are reachable too, since the camera moves
    continuously. Of the aspect ratios that the camera tells of, all count but the rarest at both ends; they are open
    where it tells of too few.

    Parameters
    ----------
    sites : callable
        Where the camera itself may put the things that some goals ask for; empty where it only looks at what stands.

    Returns
    -------
    dict
        Class name to Reach.

    Raises
    ------
    UnreachableError
        Where a class was never placed or never framed.
    """
    out = {}
    for name in sorted(class_names):
        hits, placed = np.zeros(len(AREAS)), 0
        aspects: list[np.ndarray] = []
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
            with attribute_errors_to(camera):
                own_rng = stream(seed, "reach", name, k, "camera")
                found = camera.reachable_boxes(stage, instance, AREAS, sites(goals), own_rng)
                hits += found.areas
                aspects.append(found.aspects)
        reached = np.flatnonzero(hits >= max(enough * placed, 1))
        if not len(reached):
            raise UnreachableError(_why(name, size, placed, refused))
        area = float(AREAS[reached[0]]), float(AREAS[reached[-1]])
        out[name] = Reach(area, **_shapes(np.concatenate(aspects)))
    stage.clear()
    return out


def _shapes(aspects: np.ndarray) -> dict[str, tuple[float, float]]:
    if len(aspects) < _FEWEST:
        return {}
    low, high = np.quantile(aspects, [TAIL, 1 - TAIL])
    return {"aspect": (float(low), float(high))}


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
        with attribute_errors_to(placement):
            placement.place(stage, goals, stream(seed, *key, name))


def aims(camera: Camera) -> bool:
    """Whether a camera plugin solves for goals."""
    return defines(camera, "reachable_boxes")


def widest(reaches: Iterable[Mapping[str, Reach]]) -> dict[str, Reach]:
    """By class, what is within reach in any of several scenes."""
    out: dict[str, Reach] = {}
    for reach in reaches:
        for name, found in reach.items():
            out[name] = found.with_all_of(out.get(name, found))
    return out

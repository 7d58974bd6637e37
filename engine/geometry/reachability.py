# SPDX-License-Identifier: GPL-3.0-or-later
"""Determines which boxes a scene can show at all, before any frame is drawn."""

from __future__ import annotations

import itertools
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
"""The relative areas that are tried, in steps of about 1.5, up to an instance that fills the image."""

RARE_SHARE = 0.002
"""Share of aspect ratios at each end that count as out of reach. It is small, since solvers choose among about a
thousand ways to place an asset in front of a camera."""

_MIN_ASPECTS = 30
"""With fewer aspect ratios than this, their interval is left open."""


@attrs.frozen(eq=False)
class Reached:
    """What a camera can show of an instance.

    Attributes
    ----------
    areas : (N,) bool
        Which of the given relative areas its box can have from somewhere in the scene.
    aspects : (M,) float
        Width over height, in pixels, of random boxes that no border cuts; empty where the camera gives none.
    """

    areas: np.ndarray
    aspects: np.ndarray = attrs.field(factory=lambda: np.empty(0))


@attrs.define(eq=False)
class _Count:
    """What the layouts so far have shown of a class: in how many of them it was, which areas it could have how often,
    and the aspect ratios of its boxes; and why layouts for it were rejected."""

    placed: int = 0
    successes: np.ndarray = attrs.field(factory=lambda: np.zeros(len(AREAS)))
    aspects: list[np.ndarray] = attrs.field(factory=list)
    rejections: Counter[str] = attrs.field(factory=Counter)

    def add(self, reached: Reached) -> None:
        self.placed += 1
        self.successes += reached.areas
        self.aspects.append(reached.aspects)


def _goals_of(class_name: str) -> Goals:
    return Goals(main=Goal(class_name, 0.05, (0.5, 0.5)))


def survey_reach(
    stage: Stage,
    placements: Sequence[tuple[str, Placement]],
    camera: Any,
    class_names: Iterable[str],
    seed: int,
    *,
    sites: Callable[[Goals], Sequence[Site]] = lambda goals: (),
    rounds: int = 6,
    min_success_share: float = 0.3,
) -> dict[str, Reach]:
    """The boxes that each class can have in this scene: their relative areas, and the aspect ratios of uncut boxes.

    Instances are placed as for frames until each class was in ``rounds`` layouts, or was asked for so often. In each
    layout the camera plugin says for every class in it which of :data:`AREAS` it can reach from somewhere. An area
    counts as reachable if it was reached in at least the share ``min_success_share`` of a class's layouts. Areas
    between two reachable ones are reachable too, since the camera moves continuously. All aspect ratios that the camera
    gives count, except the rarest at both ends; they are left open where it gives too few.

    Parameters
    ----------
    sites : callable
        The sites where the camera itself may place assets for some goals; empty where placements have placed them.

    Returns
    -------
    dict
        Class name to Reach; one with a ``reason`` where the class was never placed or never framed.

    Raises
    ------
    UnreachableError
        Where none of the classes was.
    """
    out: dict[str, Reach] = {}
    counted = {name: _Count() for name in sorted(class_names) if stage.assets[name]}
    for k, name in itertools.product(range(rounds), counted):
        if counted[name].placed > k:
            continue
        stage.clear()
        try:
            run_placements(stage, placements, _goals_of(name), seed, "reach", name, k)
        except Rejected as rejection:
            counted[name].rejections[rejection.reason] += 1
            continue
        instances = {i.asset.class_name: i for i in reversed(stage.instances)}
        for other in (each for each in counted if each in instances and counted[each].placed < rounds):
            key = (other, k) if other == name else (other, k, name)
            with attribute_errors_to(camera):
                own_rng = stream(seed, "reach", *key, "camera")
                offered = sites(_goals_of(other))
                counted[other].add(camera.reachable_boxes(stage, instances[other], AREAS, offered, own_rng))
    for name in sorted(class_names):
        if name not in counted:
            out[name] = Reach(reason=f"None of the assets of '{name}' could be loaded.")
            continue
        count = counted[name]
        reached = np.flatnonzero(count.successes >= max(min_success_share * count.placed, 1))
        if not len(reached):
            size = np.max([asset.size for asset in stage.assets[name]], axis=0)
            out[name] = Reach(reason=_unreachable_message(name, size, count.placed, count.rejections))
            continue
        area = float(AREAS[reached[0]]), float(AREAS[reached[-1]])
        out[name] = Reach(area, **_aspect_interval(np.concatenate(count.aspects)))
    stage.clear()
    if out and all(reach.reason for reach in out.values()):
        raise UnreachableError(" ".join(reach.reason for reach in out.values()))
    return out


def _aspect_interval(aspects: np.ndarray) -> dict[str, Any]:
    if len(aspects) < _MIN_ASPECTS:
        return {}
    low, high = np.quantile(aspects, [RARE_SHARE, 1 - RARE_SHARE])
    return {"aspect": (float(low), float(high))}


def _unreachable_message(name: str, size: np.ndarray, placed: int, rejection_counts: Counter[str]) -> str:
    subject = f"a {name} (up to {size[0]:.2g} by {size[1]:.2g} m, {size[2]:.2g} m high)"
    if not placed:
        causes = (
            ", ".join(f"{reason} ({n})" for reason, n in rejection_counts.most_common(3))
            or "no placement puts one there"
        )
        return (
            f"The placements find no room for {subject}: {causes}. Choose larger surfaces, or give the class its real "
            "'height'."
        )
    return (
        f"No camera position frames {subject} in this scene: no free viewpoint lies within the camera's 'height', "
        "'pitch' and 'lens'. Widen those ranges, or correct the sizes of the class and the scene."
    )


def run_placements(
    stage: Stage, placements: Sequence[tuple[str, Placement]], goals: Goals, seed: int, *key: int | str
) -> None:
    """Run the placement plugins, each on its own random stream."""
    for name, placement in placements:
        with attribute_errors_to(placement):
            placement.place(stage, goals, stream(seed, *key, name))


def solves_for_goals(camera: Camera) -> bool:
    """Whether a camera plugin solves for goals."""
    return defines(camera, "reachable_boxes")


def union_of_reaches(reaches: Iterable[Mapping[str, Reach]]) -> dict[str, Reach]:
    """By class, the boxes that can be shown in any of several scenes."""
    out: dict[str, Reach] = {}
    for reach in reaches:
        for name, reached_boxes in reach.items():
            out[name] = reached_boxes.with_all_of(out.get(name, reached_boxes))
    return out

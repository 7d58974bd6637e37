# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the surfaces of a first recipe: floors under a ceiling, between walls or below furniture; no backdrops."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np

from ....engine.scene.usual_sizes import name_words
from .name_matching import (
    GROUND_NAMES,
    MIN_AREA_SHARE,
    MIN_GROUND_AREA,
    MIN_RAISED_AREA,
    RAISED_NAMES,
    guess_surfaces,
    literal_pattern,
)

if TYPE_CHECKING:
    from ....blender.geometry.standing_levels import Level

BACKDROP_RATIO = 30.0
"""A level without a ceiling that is so many times as large as all that is on it is a backdrop."""
_TOLERANCE = 2.5
"""Points by which a further ground may rank below the best one."""
_LOWEST = 0.3
"""Metres above all else within which ground is expected."""
_MANY = 4
"""So many objects on a level are as good as more."""
_RUNNERS_UP = 5
_MIN_SHARE = 0.3
_MIN_LEVEL_SHARE = 0.05
_MARGIN = 0.05


Boxes = Mapping[str, tuple[np.ndarray, np.ndarray]]


@attrs.frozen
class SurfaceChoice:
    """What to stand things on.

    ``names`` are patterns. ``height_range`` limits them to the chosen levels; None where they have no others.
    ``reasons`` and ``runners_up`` have a phrase about each chosen level and each that was not; ``has_floor`` says
    whether one of the chosen is more than furniture.
    """

    names: tuple[str, ...] = ()
    height_range: tuple[float, float] | None = None
    reasons: tuple[str, ...] = ()
    runners_up: tuple[str, ...] = ()
    has_floor: bool = False


def choose_surfaces(levels: Sequence[Level], boxes: Boxes, taken: Collection[str] = ()) -> SurfaceChoice:
    """Choose among the levels of a scene.

    Grounds are ranked by their ceiling, walls, objects, size and name. What ranks close to the best one and is called
    a floor, and furniture by its name, is chosen, too.

    Parameters
    ----------
    levels : sequence of Level
        In real size.
    boxes : mapping
        Bounding box of each top-level object.
    taken : collection of str
        Surfaces that are assets themselves.
    """
    free = [level for level in levels if level.surface not in taken]
    if not free:
        return SurfaceChoice()
    backdrops = {id(level) for level in free if is_backdrop(level, boxes)}
    sizes = [_floor_area(level) for level in free if id(level) not in backdrops] or [_floor_area(each) for each in free]

    def score(level: Level) -> float:
        points = 3.0 * level.covered + 2.0 * level.enclosed + 2.0 * min(level.objects, _MANY) / _MANY
        points += 2.0 * min(1.0, _floor_area(level) / max(*sizes, 1e-6)) ** 0.5 + _is_low(level, boxes)
        return points + 3.0 * _has_name(level, GROUND_NAMES) - 4.0 * (id(level) in backdrops)

    ranked = sorted(free, key=lambda level: (-score(level), -level.area, level.surface))
    floors = [level for level in ranked if _floor_area(level) >= MIN_GROUND_AREA and _is_floor(level, boxes)]
    floors = [level for level in floors if id(level) not in backdrops] or floors[:1]
    grounds = [
        level
        for level in floors
        if score(level) >= score(floors[0]) - _TOLERANCE
        if _has_name(level, GROUND_NAMES) or _floor_area(level) >= MIN_AREA_SHARE * _floor_area(floors[0])
    ]
    eligible = [level for level in ranked if id(level) not in backdrops]
    raised = [level for level in eligible if level.area >= MIN_RAISED_AREA and _has_name(level, RAISED_NAMES)]
    largest: dict[str, Level] = {}
    for level in (*grounds, *raised):
        if level.surface not in largest or level.area > largest[level.surface].area:
            largest[level.surface] = level
    names = guess_surfaces([(name, each.area, each.low, each.high) for name, each in largest.items()], ())
    chosen = [level for level in (*grounds, *raised) if literal_pattern(level.surface) in names]
    chosen = list({id(level): level for level in chosen}.values())
    others = [level for level in ranked if all(level is not each for each in chosen)]
    others = [level for level in others if _floor_area(level) >= MIN_GROUND_AREA]
    # A backdrop ranks last, but people wonder why it was not chosen.
    others = [*others[: _RUNNERS_UP - 1], *sorted(others[_RUNNERS_UP - 1 :], key=lambda level: -level.area)[:1]]
    return SurfaceChoice(
        tuple(names),
        _height_range(chosen, free),
        tuple(describe(level, id(level) in backdrops) for level in chosen[:_RUNNERS_UP]),
        tuple(describe(level, id(level) in backdrops) for level in others),
        bool(grounds),
    )


def is_backdrop(level: Level, boxes: Boxes) -> bool:
    """Whether a level reaches far beyond all that stands in the scene, and has no ceiling."""
    rest = [(low[:2], high[:2]) for name, (low, high) in boxes.items() if name != level.surface]
    if not rest or level.covered >= 0.5:
        return False
    # Other backdrops do not count as what is on it.
    rest = [(low, high) for low, high in rest if float(np.prod(high - low)) < 0.5 * level.area]
    if not rest:
        return False
    size = np.max([high for _, high in rest], axis=0) - np.min([low for low, _ in rest], axis=0)
    return level.area > BACKDROP_RATIO * max(float(np.prod(size)), 1.0)


def describe(level: Level, backdrop: bool = False) -> str:
    """A phrase about a level and what speaks for or against it."""
    said = []
    if level.covered >= 0.05:
        said.append(f"{level.covered:.0%} under a ceiling" if level.covered < 0.95 else "under a ceiling")
    else:
        said.append("no ceiling")
    if level.enclosed >= 0.05:
        said.append(f"walls on {level.enclosed:.0%} of its sides")
    if level.objects:
        said.append(f"{level.objects} object{'s' if level.objects > 1 else ''} on it")
    if backdrop:
        said.append("far larger than what is on it")
    z = f"{level.low:.2f}" if level.high - level.low < 0.01 else f"{level.low:.2f} to {level.high:.2f}"
    return f"{level.surface} ({level.area:.3g} m² at z {z} m: {', '.join(said)})"


def _is_low(level: Level, boxes: Boxes) -> bool:
    """Whether hardly anything else is lower; the lower side of a slab of its own does not count."""
    lows = [float(low[2]) for name, (low, _) in boxes.items() if name != level.surface]
    return level.low - min(lows or [float(low[2]) for low, _ in boxes.values()] or [level.low]) <= _LOWEST


def _is_floor(level: Level, boxes: Boxes) -> bool:
    """Whether anything shows that a level is ground, and not the top of a thing."""
    shown = _is_low(level, boxes) or _has_name(level, GROUND_NAMES)
    return shown or level.covered >= _MIN_SHARE or level.enclosed >= _MIN_SHARE


def _floor_area(level: Level) -> float:
    """The area without tops of walls, sills and skirting boards."""
    return level.area * level.broad


def _has_name(level: Level, keys: Collection[str]) -> bool:
    return any(key in name_words(level.surface) for key in keys)


def _height_range(chosen: Sequence[Level], free: Sequence[Level]) -> tuple[float, float] | None:
    """What keeps to the chosen levels where their surfaces have others, such as a roof."""
    surfaces = {level.surface for level in chosen}
    own = [level for level in free if level.surface in surfaces]
    lost = [level for level in own if all(level is not each for each in chosen)]
    if sum(level.area for level in lost) <= _MIN_LEVEL_SHARE * sum(level.area for level in own):
        return None
    low = min(level.low for level in chosen) - _MARGIN
    high = max(level.high for level in chosen) + _MARGIN
    outside = [level for level in lost if level.high < low or level.low > high]
    return (round(low, 2), round(high, 2)) if outside else None

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which assets a plugin places, by class or table of distractors, how many a frame has, and what placements share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import StageError
from ..goals import Goals
from ..stage import Asset, Stage, draw_asset
from .params import Direction, param, unknown


def classes_param() -> Any:
    """The parameter that names the classes to place, see :func:`placed_assets`."""
    return param([], means="class", doc="Classes to place; default is all annotated classes")


def count_param() -> Any:
    """The parameter for the number of instances."""
    return param(
        (1, 3),
        min=0,
        max=10_000,
        soft_max=20,
        doc="Minimum and maximum number of instances per frame",
        moves={"boxes_per_image": "+", "touches_border": "+", "visible_share": "-", "occluded_share": "+"},
    )


def yaw_param(moves: Mapping[str, Direction] | None = None) -> Any:
    """The parameter for the rotation about the vertical axis."""
    return param((0.0, 360.0), min=-360.0, max=360.0, unit="deg", doc="Rotation about the vertical axis", moves=moves)


def distractors_param() -> Any:
    """The parameter that asks for distractors, see :func:`placed_assets`."""
    return param(
        False, doc="Place distractors: in addition to the named classes, or only distractors if none are named"
    )


def distractor_names_param() -> Any:
    """The parameter that limits distractors, see :func:`named_distractors`."""
    return param([], doc="Names of the [[distractor]] tables to place from; default is all of them")


def surfaces_param() -> Any:
    """The parameter that names the objects to place on."""
    return param(means="object", doc="Name patterns of the objects to place on, such as 'Floor*'")


def mask_param() -> Any:
    """The parameter that limits surfaces to a part of them."""
    return param(
        "", means="zone", doc="Vertex group or material that limits the surfaces; default is the whole surfaces"
    )


def max_slope_param() -> Any:
    """The parameter for the steepest ground."""
    return param(15.0, min=0.0, max=89.0, unit="deg", doc="Maximum slope of the faces to place on")


def max_overhang_param(formerly: str = "") -> Any:
    """The parameter for what may be without support."""
    return param(0.1, min=0.0, max=1.0, doc="Maximum share of the base without support", formerly=formerly)


def max_support_gap_param(formerly: str = "") -> Any:
    """The parameter for what counts as supported."""
    return param(0.02, min=0.0, soft_max=0.1, unit="m", doc="Maximum gap below a supported point", formerly=formerly)


def gap_param(default: float = 0.02, moves: Mapping[str, Direction] | None = None) -> Any:
    """The parameter for the distance between instances."""
    return param(default, min=0.0, soft_max=1.0, unit="m", doc="Minimum distance to other instances", moves=moves)


def placed_assets(
    stage: Stage, classes: Sequence[str], distractors: bool, distractor_names: Sequence[str], owner: str
) -> dict[str, Sequence[Asset]]:
    """The assets that a placement places, by class: those of the named classes, or of all annotated ones.

    Parameters
    ----------
    classes : sequence of str
        Names of classes; if empty, all annotated ones, or only distractors where these are placed.
    distractors : bool
        Whether distractors are placed, too; their class is "".
    distractor_names : sequence of str
        Names of ``[[distractor]]`` tables, see :func:`named_distractors`.
    owner : str
        The placement in messages.

    Raises
    ------
    StageError
        If a named class or table has no asset, or nothing is left to place.
    """
    class_names = [name for name, assets in stage.assets.items() if name and assets]
    for name in classes:
        if name not in class_names and name not in stage.assets:
            raise StageError(
                f"{owner} names the class '{name}', but no asset has it. "
                f"Classes with assets: {', '.join(class_names) or 'none'}."
            )
    chosen = {name: stage.assets[name] for name in (classes if classes or distractors else class_names)}
    chosen = {name: assets for name, assets in chosen.items() if assets}  # those of missing files are left out
    if distractors and (stage.assets.get("") or not chosen):
        chosen[""] = named_distractors(stage, distractor_names, owner)
    if not chosen:
        raise StageError(f"{owner} finds no assets to place. Add some to the recipe.")
    return chosen


def check_height_range(height_range: tuple[float, float] | None) -> None:
    """Raise ValueError unless ``surface_height_range`` is ordered."""
    if height_range is not None and height_range[0] > height_range[1]:
        raise ValueError(f"surface_height_range must be [minimum, maximum]. Got {list(height_range)} instead.")


def draw_count(count: tuple[int, int], main: str | None, classes: Sequence[str], rng: np.random.Generator) -> int:
    """How many instances a frame gets: at least one where the main one is of these classes."""
    number = int(rng.integers(count[0], count[1] + 1))
    return max(number, 1) if main in classes else number


def draw_assets(
    assets: Mapping[str, Sequence[Asset]], number: int, main: str | None, rng: np.random.Generator
) -> Iterator[tuple[Asset, bool]]:
    """Draw the assets of a frame one after the other, and say of each whether the frame needs it.

    The first is of the main class, if that is placed here; the others are of any class. Without a main instance the
    frame needs the first one. Each is drawn when it is asked for.
    """
    classes = list(assets)
    for k in range(number):
        is_main = k == 0 and main in assets
        name = main if is_main else classes[int(rng.integers(len(classes)))]
        yield draw_asset(assets[str(name)], rng), is_main or (k == 0 and main is None)


def draw_instances(
    assets: Mapping[str, Sequence[Asset]], count: tuple[int, int], goals: Goals, rng: np.random.Generator
) -> Iterator[tuple[Asset, bool]]:
    """As :func:`draw_assets`, for a number drawn by :func:`draw_count` and the main instance of a frame's goals."""
    main = goals.main.class_name if goals.main else None
    yield from draw_assets(assets, draw_count(count, main, list(assets), rng), main, rng)


def check_surfaces(surfaces: Sequence[str]) -> None:
    """Raise ValueError where no surface is named."""
    if not surfaces:
        raise ValueError("'surfaces' must name at least one object.")


def check_count(name: str, count: tuple[int, int] | None) -> None:
    """Raise ValueError where a range of counts is not [minimum, maximum]."""
    if count is not None and count[0] > count[1]:
        raise ValueError(f"'{name}' must be [minimum, maximum]. Got {list(count)} instead.")


def named_distractors(stage: Stage, names: Sequence[str], owner: str) -> list[Asset]:
    """The distractors of the recipe's tables of these names; all of them without names.

    Parameters
    ----------
    names : sequence of str
        Names of ``[[distractor]]`` tables.
    owner : str
        The plugin in messages.

    Raises
    ------
    StageError
        If a table of that name has no asset, or there is none at all.
    """
    distractors = stage.assets.get("", ())
    if not distractors:
        raise StageError(f"{owner} finds no distractors. Add a [[distractor]] table to the recipe.")
    groups = list(dict.fromkeys(asset.group for asset in distractors if asset.group))
    for name in names:
        if name not in groups:
            raise StageError(unknown(f"{owner} names a [[distractor]] table without assets,", name, groups))
    return [asset for asset in distractors if not names or asset.group in names]

# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame as the sampler leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..goals import Goals
from ..instance_row import InstanceRow
from ..stage import Instance, Shot, Stage
from .attempt import Attempt
from .column_goals import GoalValues
from .effects import AttemptEffects
from .gates import Refusal


@attrs.frozen(eq=False)
class Frame:
    """One frame as the sampler leaves it. ``shot`` and ``rows`` are None and empty where it was given up.

    ``rows`` holds one dict per annotatable instance, in the order of ``shot.instances``. ``variant`` is the name of the
    variant that made it, or its number; "" where the recipe has none; so is ``room``. ``part`` is that of the dataset
    whose assets it shows; "" where it has no parts. ``appearance`` is what was done to world, lights
    and background, see :class:`.recorded_draws.DrawRecorder`; ``effects`` are those of its picture. ``refused`` says
    what gates saw in attempts that they rejected, ``score`` what they gave the accepted one, ``traits`` by what they
    compare later frames of the block with it. ``goal_values`` is what it shows of each goal's column, ``compared`` the
    number of probed attempts that were compared with each other. ``sequence`` says what it is in its sequence or rig,
    see :meth:`..sequences.groups.FrameGroups.record`; empty where frames are independent. ``layout`` is the frame for
    which its layout was made, in a recipe with views; else None.
    """

    index: int
    attempts: int
    rejected: tuple[str, ...]
    camera: str
    goals: Goals
    shot: Shot | None = None
    rows: tuple[InstanceRow, ...] = ()
    columns: Mapping[str, Any] = attrs.field(factory=dict)
    bystanders: tuple[Instance, ...] = ()
    appearance: tuple[dict[str, Any], ...] = ()
    variant: str = ""
    room: str = ""
    part: str = ""
    refused: tuple[Refusal, ...] = ()
    score: float | None = None
    traits: tuple[Any, ...] = ()
    goal_values: tuple[GoalValues, ...] = ()
    compared: int = 0
    effects: AttemptEffects = attrs.field(factory=AttemptEffects)
    sequence: Mapping[str, Any] = attrs.field(factory=dict)
    layout: int | None = None


def accepted_frame(
    index: int, camera: str, goals: Goals, made: Attempt, rejected: tuple[str, ...], stage: Stage
) -> Frame:
    """The frame of an accepted attempt that is on the stage, after rejected ones."""
    return Frame(
        index,
        made.number + 1,
        rejected,
        camera,
        goals,
        made.shot,
        tuple(made.rows),
        made.columns,
        tuple(i for i in stage.instances if not i.asset.class_name),
        made.appearance,
        score=made.verdict.score,
        traits=made.traits,
        effects=made.effects,
    )

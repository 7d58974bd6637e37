# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame as the sampler leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..goals import Goals
from ..instance_row import InstanceRow
from ..sequences.take import Take
from ..stage import CameraPose, Instance, Shot, Stage
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
    see :meth:`..sequences.groups.FrameGroups.record`; empty where frames are independent.
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


@attrs.frozen(eq=False)
class DressedLayout:
    """The layout of the frame ``key``, with materials and light: it is on the stage as long as that has the same camera
    and instances."""

    key: int
    made: Attempt
    take: Take
    camera: CameraPose | None = None
    instances: tuple[Instance, ...] = ()

    def shown_by(self, stage: Stage) -> DressedLayout:
        """The same, on the stage as it is now."""
        return attrs.evolve(self, camera=stage.camera, instances=stage.instances)

    def is_shown(self, stage: Stage, key: int, attempt: int | None) -> bool:
        """Whether this attempt at the frame ``key`` is still on the stage."""
        if (self.key, self.made.number) != (key, attempt) or self.camera is not stage.camera:
            return False
        shown = stage.instances
        return len(shown) == len(self.instances) and all(a is b for a, b in zip(shown, self.instances, strict=True))


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

# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout that frames of a group share: kept while it is on the stage, and made again where it is not."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..block import Block
from ..goals import Goals
from ..sequences.groups import FrameRole
from ..sequences.take import Take
from ..stage import CameraPose, Instance, Stage
from .attempt import Attempt, Trial
from .column_goals import GoalValues
from .schedule import Assignment

VIEW_ATTEMPTS = 4
"""Attempts at a view of a layout, at most, after which the frame gets a layout of its own."""


@attrs.frozen(eq=False)
class SharedLayout:
    """The layout of the frame ``key``: it is on the stage as long as that has the same camera and instances.

    ``is_dressed`` says whether that has its materials and light, too.
    """

    key: int
    made: Attempt
    goals: Goals
    take: Take | None = None
    is_dressed: bool = False
    camera: CameraPose | None = None
    instances: tuple[Instance, ...] = ()

    def shown_by(self, stage: Stage) -> SharedLayout:
        """The same, on the stage as it is now."""
        return attrs.evolve(self, camera=stage.camera, instances=stage.instances)

    def is_shown(self, stage: Stage, key: int, attempt: int | None) -> bool:
        """Whether this attempt at the frame ``key`` is still on the stage."""
        if (self.key, self.made.number) != (key, attempt) or self.camera is not stage.camera:
            return False
        shown = stage.instances
        return len(shown) == len(self.instances) and all(a is b for a, b in zip(shown, self.instances, strict=True))


@attrs.frozen(eq=False)
class ProbedAttempt:
    """A probed attempt that was not rejected: its number, its goals, its values of the goals for columns; in a sequence
    or rig, where everything is in its other frames; the layout that it is a view of, where it has none of its own."""

    attempt: int
    goals: Goals
    made: Attempt
    goal_values: tuple[GoalValues, ...] = ()
    cost: float = 0.0
    compared: int = 0
    take: Take | None = None
    layout: SharedLayout | None = None


Probe = Callable[[int, Assignment, Block, int], ProbedAttempt]


class LayoutKeeper:
    """Keeps the layout that is on a stage for the frames that share it.

    Parameters
    ----------
    stage : Stage
    trial : Trial
    probe : callable
        Makes an attempt (frame, assignment, block, attempt) at a frame with a layout of its own.
    """

    def __init__(self, stage: Stage, trial: Trial, probe: Probe) -> None:
        self._stage = stage
        self._trial = trial
        self._probe = probe
        self._kept: SharedLayout | None = None

    def keep(self, layout: SharedLayout) -> None:
        """Keep a layout that is on the stage as it is now."""
        self._kept = layout.shown_by(self._stage)

    def restored(self, key: int, assignment: Assignment, block: Block, attempt: int | None) -> SharedLayout | None:
        """The layout that an attempt at the frame ``key`` made, on the stage; None where it cannot be made again.

        ``assignment`` is that of the frame ``key``, ``block`` that of the frame which asks.
        """
        if self._kept is not None and self._kept.is_shown(self._stage, key, attempt):
            return self._kept
        if attempt is None:
            return None
        # As it was for its own frame, which the block has counted since.
        probed = self._probe(key, assignment, block if block.before is None else block.before, attempt)
        if probed.made.reason:
            return None
        made = self._trial.without_annotatable(probed.made) if assignment.is_empty else probed.made
        self.keep(SharedLayout(key, made, probed.goals, probed.take))
        return self._kept

    def dress(
        self, index: int, made: Attempt, goals: Goals, layout: SharedLayout | None
    ) -> tuple[Attempt, SharedLayout | None]:
        """An attempt that is on the stage with materials and light; so is the layout that it is a view of."""
        if layout is None:
            return self._trial.dress(index, made, goals), None
        layout = self.dressed(layout, of_view=False)
        self.keep(layout)
        shared, own = layout.made.of_layout, made.appearance[len(made.of_layout) :]
        made = attrs.evolve(made, appearance=(*shared, *own), of_layout=shared)
        return self._trial.dress(index, made, goals, of_view=True), layout

    def dressed(self, layout: SharedLayout, of_view: bool | None = None) -> SharedLayout:
        """The layout, which is on the stage, with materials and light; ``of_view`` as for :meth:`.Trial.dress`."""
        if layout.is_dressed:
            return layout
        made = self._trial.dress(layout.key, layout.made, layout.goals, of_view=of_view)
        return attrs.evolve(layout, made=made, is_dressed=True)


def shares_layout(role: FrameRole, assignment: Assignment, block: Block) -> bool:
    """Whether a frame of a recipe with views can show the layout of an earlier frame of its group.

    Frames without annotated objects have layouts of their own, since cameras look at what is taken away.
    """
    return not role.is_key and not assignment.is_empty and None not in (block.layout, block.attempt)


def view_attempts(max_attempts: int, candidates: int) -> int:
    """How many attempts at a frame are made with the layout of an earlier one; the others make a new layout."""
    return min(max(VIEW_ATTEMPTS, candidates), max(1, max_attempts // 2))

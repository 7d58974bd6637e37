# SPDX-License-Identifier: GPL-3.0-or-later
"""Goals for any metadata column: of several probed attempts at a frame, the one is taken that fits its block best.

The fit is the distance between two distributions: the values of the block's frames with those of the attempt, and the
reference values. It is a squared difference that weights the tails as the statistic of Anderson and Darling does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from ..block import Block
from ..errors import DataError
from ..instance_row import InstanceRow
from ..plugin.gate import Draft
from ..recipe.settings import GoalSettings
from ..rng import low_discrepancy, stream
from ..stage import Shot
from .attempt import Attempt, Trial
from .evaluation import measure
from .gates import render_draft

IMAGE = "image_"
"""Prefix of columns that have one value per image."""

PROBES, ALONE, DRAFTS = "candidates on probes", "candidates on probes, each thing seen alone", "candidates on drafts"
"""How attempts are compared."""

_MAX_THRESHOLDS = 64
_MIN_VARIANCE = 0.02


@attrs.frozen
class GoalValues:
    """An attempt's values of a goal's column, and how they were measured; empty where it shows no such box."""

    way: str = ""
    values: tuple[float, ...] = ()


@attrs.frozen(eq=False)
class ColumnGoal:
    """One goal: which column of which boxes, and the reference values, sorted."""

    settings: GoalSettings
    reference: np.ndarray

    def imbalance(self, values: Sequence[float]) -> np.ndarray:
        """Weighted excess of values below each of some thresholds over the reference share; additive over values."""
        n = min(len(self.reference), _MAX_THRESHOLDS)
        thresholds = np.unique(self.reference[((np.arange(n) + 0.5) * len(self.reference) / n).astype(int)])
        share = np.searchsorted(self.reference, thresholds, side="right") / len(self.reference)
        below = np.asarray(values, dtype=float)[:, None] <= thresholds
        return np.asarray(
            (below - share).sum(0) / np.sqrt(np.maximum(share * (1 - share), _MIN_VARIANCE) * len(thresholds))
        )

    def rows_of_class(self, rows: Sequence[InstanceRow]) -> list[InstanceRow]:
        """The rows whose values count; for a column of images, all."""
        name = self.settings.class_name
        return [row for row in rows if not name or row["class"] == name]

    def values_of(self, image: dict[str, Any], rows: Sequence[InstanceRow]) -> tuple[float, ...] | None:
        """The finite values of the column; None where no metric gives it."""
        name = self.settings.column
        if name.startswith(IMAGE):
            name = name.removeprefix(IMAGE)
            values = [image[name]] if name in image else None
        else:
            measured = [row["columns"] for row in self.rows_of_class(rows)]
            values = [columns[name] for columns in measured] if all(name in columns for columns in measured) else None
        if values is None:
            return None
        numbers = np.array([np.nan if v is None else v for v in values], dtype=float)
        return tuple(float(v) for v in numbers[np.isfinite(numbers)])


class ColumnGoalScorer:
    """Scores probed attempts by how well they fit the goals of a job.

    Parameters
    ----------
    goals : sequence of GoalSettings
    references : sequence of (N,) float
        The reference values of each goal, finite, at least one.
    seed : int
    """

    def __init__(self, goals: Sequence[GoalSettings], references: Sequence[np.ndarray], seed: int) -> None:
        self._goals = [
            ColumnGoal(g, np.sort(np.asarray(w, dtype=float))) for g, w in zip(goals, references, strict=True)
        ]
        self._seed = seed

    def __len__(self) -> int:
        return len(self._goals)

    @property
    def candidates(self) -> int:
        """Number of attempts that are compared for a frame."""
        return max((a.settings.candidates for a in self._goals), default=1)

    def measure(self, trial: Trial, index: int, made: Attempt) -> tuple[GoalValues, ...]:
        """What a probed attempt, still on the stage, shows of each goal's column.

        Raises
        ------
        DataError
            Where no metric of the recipe gives a column.
        """
        annotatable = {row["id"] for row in made.rows if row["area"] > 0 and row["id"] not in made.verdict.unannotated}
        out = [GoalValues() for _ in self._goals]

        def measure_goals(way: str, shot: Shot, goals: list[int]) -> dict[int, tuple[float, ...] | None]:
            metrics = [m for m in trial.metrics if way == DRAFTS or m[1].measures_probes]
            rows: list[InstanceRow] = [{**row, "columns": {}} for row in made.rows]
            image = measure(metrics, shot, rows)
            measured = {
                k: self._goals[k].values_of(image, [row for row in rows if row["id"] in annotatable]) for k in goals
            }
            for k, values in measured.items():
                out[k] = GoalValues(way, values or ())
            return measured

        concerned = [
            k for k, a in enumerate(self._goals) if a.rows_of_class([r for r in made.rows if r["id"] in annotatable])
        ]
        measured = measure_goals(PROBES, made.shot, concerned) if concerned else {}
        # A column may be measured from labels and still have no value: it needs each instance rendered alone.
        alone = [k for k, values in measured.items() if values == ()]
        if alone:
            measure_goals(ALONE, attrs.evolve(made.shot, amodal=made.effects.of_amodal(trial.stage.amodal())), alone)
        drafts = [k for k, values in measured.items() if values is None]
        if drafts:
            samples = max(self._goals[k].settings.samples for k in drafts)
            picture = made.effects.of_draft(render_draft(trial.stage, Draft(1.0, samples), trial.noise(index)))
            measured = measure_goals(DRAFTS, attrs.evolve(made.shot, image=picture), drafts)
        for k in drafts:
            if measured[k] is None:
                column = self._goals[k].settings.column
                raise DataError(
                    f"No metric of the recipe gives the column '{column}' of a [[goal]]. Correct its name, or add "
                    "the metric; `twinset plugins show` says which columns there are."
                )
        return tuple(out)

    def cost(self, shown: Sequence[GoalValues], block: Block, frames: range) -> float:
        """How far a block would be from the reference values with an attempt that shows these.

        Parameters
        ----------
        shown : sequence of GoalValues
            The attempt's values of each goal.
        block : Block
            What earlier frames have shown.
        frames : range
            The frames of the block, up to the current one.
        """
        cost = 0.0
        for k, goal in enumerate(self._goals):
            # Each frame has a value to show, evenly spread over all frames: few frames cannot show the whole.
            u = low_discrepancy(np.array(frames), float(stream(self._seed, "goal", k).random()))
            planned = goal.reference[(u * len(goal.reference)).astype(int)]
            earlier = [v for values in block.goal_values for v in values[k]]
            difference = goal.imbalance([*earlier, *shown[k].values]) - goal.imbalance(planned)
            cost += goal.settings.weight * float(np.square(difference).sum())
        return cost

    def report(self) -> list[dict[str, Any]]:
        """Each goal as JSON values."""
        return [
            {"column": a.settings.column, "class": a.settings.class_name, "wanted": len(a.reference)}
            for a in self._goals
        ]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Goals for any metadata column: of several probed attempts at a frame, that one is taken which brings it nearest.

What is near is told by the whole block: how far the values that its frames have shown, and those of the attempt, are
out of balance with the wanted ones: a squared gap of both distributions in which tails count as in the
statistic of Anderson and Darling.
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
from .gates import draft_of

IMAGE = "image_"
"""Prefix of columns that have one value per image."""

PROBES, ALONE, DRAFTS = "candidates on probes", "candidates on probes, each thing seen alone", "candidates on drafts"
"""How a column is brought near."""

_MOST_CUTS = 64
_LEAST_VARIANCE = 0.02


@attrs.frozen
class Shown:
    """What an attempt shows of a goal's column, and how that was found out; nothing where it shows no such box."""

    way: str = ""
    values: tuple[float, ...] = ()


@attrs.frozen(eq=False)
class Aim:
    """One goal: which column of which boxes, and the wanted values, sorted."""

    settings: GoalSettings
    wanted: np.ndarray

    def vector(self, values: Sequence[float]) -> np.ndarray:
        """How far values are out of balance with the wanted ones, at each of some thresholds; sums add up."""
        n = min(len(self.wanted), _MOST_CUTS)
        cuts = np.unique(self.wanted[((np.arange(n) + 0.5) * len(self.wanted) / n).astype(int)])
        share = np.searchsorted(self.wanted, cuts, side="right") / len(self.wanted)
        below = np.asarray(values, dtype=float)[:, None] <= cuts
        return np.asarray(
            (below - share).sum(0) / np.sqrt(np.maximum(share * (1 - share), _LEAST_VARIANCE) * len(cuts))
        )

    def concerns(self, rows: Sequence[InstanceRow]) -> list[InstanceRow]:
        """The rows whose values count; for a column of images, all."""
        of = self.settings.class_name
        return [row for row in rows if not of or row["class"] == of]

    def pick(self, image: dict[str, Any], rows: Sequence[InstanceRow]) -> tuple[float, ...] | None:
        """The finite values of the column; None where no metric gives it."""
        name = self.settings.column
        if name.startswith(IMAGE):
            name = name.removeprefix(IMAGE)
            found = [image[name]] if name in image else None
        else:
            mine = [row["columns"] for row in self.concerns(rows)]
            found = [columns[name] for columns in mine] if all(name in columns for columns in mine) else None
        if found is None:
            return None
        numbers = np.array([np.nan if v is None else v for v in found], dtype=float)
        return tuple(float(v) for v in numbers[np.isfinite(numbers)])


class Aims:
    """The goals of a job.

    Parameters
    ----------
    goals : sequence of GoalSettings
    wanted : sequence of (N,) float
        The values that each is to follow, finite, at least one.
    seed : int
    """

    def __init__(self, goals: Sequence[GoalSettings], wanted: Sequence[np.ndarray], seed: int) -> None:
        self._aims = [Aim(g, np.sort(np.asarray(w, dtype=float))) for g, w in zip(goals, wanted, strict=True)]
        self._seed = seed

    def __len__(self) -> int:
        return len(self._aims)

    @property
    def candidates(self) -> int:
        """Attempts that are held against each other for a frame."""
        return max((a.settings.candidates for a in self._aims), default=1)

    def measure(self, trial: Trial, index: int, made: Attempt) -> tuple[Shown, ...]:
        """What a probed attempt, still on the stage, shows of each goal's column.

        Raises
        ------
        DataError
            Where no metric of the recipe gives a column.
        """
        left = {row["id"] for row in made.rows if row["area"] > 0 and row["id"] not in made.verdict.unannotated}
        out = [Shown() for _ in self._aims]

        def look(way: str, shot: Shot, goals: list[int]) -> dict[int, tuple[float, ...] | None]:
            metrics = [m for m in trial.metrics if way == DRAFTS or m[1].measures_probes]
            rows: list[InstanceRow] = [{**row, "columns": {}} for row in made.rows]
            image = measure(metrics, shot, rows)
            found = {k: self._aims[k].pick(image, [row for row in rows if row["id"] in left]) for k in goals}
            for k, values in found.items():
                out[k] = Shown(way, values or ())
            return found

        concerned = [k for k, a in enumerate(self._aims) if a.concerns([r for r in made.rows if r["id"] in left])]
        found = look(PROBES, made.shot, concerned) if concerned else {}
        # Labels may know a column and have no value: it takes each thing seen alone.
        alone = [k for k, values in found.items() if values == ()]
        if alone:
            look(ALONE, attrs.evolve(made.shot, amodal=trial.stage.amodal()), alone)
        drafts = [k for k, values in found.items() if values is None]
        if drafts:
            samples = max(self._aims[k].settings.samples for k in drafts)
            picture = draft_of(trial.stage, Draft(1.0, samples), trial.noise(index))
            found = look(DRAFTS, attrs.evolve(made.shot, image=picture), drafts)
        for k in drafts:
            if found[k] is None:
                column = self._aims[k].settings.column
                raise DataError(
                    f"No metric of the recipe gives the column '{column}' of a [[goal]]. Correct its name, or add "
                    "the metric; `twinset plugins show` says which columns there are."
                )
        return tuple(out)

    def cost(self, shown: Sequence[Shown], block: Block, frames: range) -> float:
        """How far a block would be out of balance with an attempt that shows these.

        Parameters
        ----------
        shown : sequence of Shown
            What the attempt shows of each goal.
        block : Block
            What earlier frames have shown.
        frames : range
            The frames of the block, up to the one at hand.
        """
        cost = 0.0
        for k, aim in enumerate(self._aims):
            # Each frame has a value to show, evenly spread over all frames: few frames cannot show the whole.
            u = low_discrepancy(np.array(frames), float(stream(self._seed, "goal", k).random()))
            planned = aim.wanted[(u * len(aim.wanted)).astype(int)]
            before = [v for values in block.aims for v in values[k]]
            away = aim.vector([*before, *shown[k].values]) - aim.vector(planned)
            cost += aim.settings.weight * float(np.square(away).sum())
        return cost

    def facts(self) -> list[dict[str, Any]]:
        """Each goal as JSON values."""
        return [
            {"column": a.settings.column, "class": a.settings.class_name, "wanted": len(a.wanted)} for a in self._aims
        ]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a plugin on the small test stage: result, time, use of global randomness, and what it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from ...engine.errors import TwinsetError
from ...engine.plugin.contract import attribute_errors_to
from ...engine.plugin.hooks import defines
from ...engine.plugin.results import Rejected
from ..fixtures.stage import BruteStage
from . import global_random
from .digest import digest
from .results import answer_problem
from .situations import FRAMES, placed, situation, tiny_stage
from .time_limit import Overdue, call_within


@attrs.frozen(eq=False)
class Run:
    """One frame of a plugin.

    Attributes
    ----------
    frame : int
    outcome : str
        A digest of results and stage.
    seconds : float
    error : str
        Why it failed, in a sentence; "" if it did not.
    overdue : bool
        Whether it was stopped because it took too long.
    rejected : str
        The reason where it raised Rejected.
    drew : tuple of str
        Global generators that it drew from or seeded.
    changed : tuple of str
        Arguments that it changed.
    not_restored : bool
        Whether the stage differs from before after ``clear()``.
    answer_problem : str
        What is wrong with the values that it returned.
    """

    frame: int
    outcome: str = ""
    seconds: float = 0.0
    error: str = ""
    overdue: bool = False
    rejected: str = ""
    drew: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    not_restored: bool = False
    answer_problem: str = ""


def run_frames(make: Callable[[], Any], frames: Sequence[int] = FRAMES, seconds: float = 10.0) -> list[Run]:
    """Run one new instance over frames, as a job does: one stage, cleared between them.

    Ends early after a run that failed or took longer than ``seconds``.
    """
    plugin, stage, memory = make(), tiny_stage(), {}  # type: ignore[var-annotated]
    stage.clear()
    clean, runs = digest(stage), []
    for frame in frames:
        run = _run(plugin, frame, stage, memory, seconds)
        stage.clear()
        run = attrs.evolve(run, not_restored=digest(stage) != clean)
        if run.not_restored:
            # Problems of later frames should not be caused by this one.
            stage = tiny_stage()
            stage.clear()
        runs.append(run)
        if run.error or run.overdue:
            break
    return runs


def _run(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any], seconds: float) -> Run:
    at = situation(plugin, frame, stage, memory)
    before = {name: digest(value) for name, value in at.given.items()}
    instances = stage.instances
    own_attributes = ("_camera", "_instances") if defines(plugin, "place_and_pose") else ("_camera",)
    others = _of_stage(stage, own_attributes)
    untouched = global_random.states()
    global_random.stir()
    generators = global_random.states()
    answers: dict[str, Any] = {}
    rejected = error = ""
    overdue, took = False, 0.0

    def call() -> dict[str, Any]:
        with attribute_errors_to(plugin):
            return at.call()

    try:
        answers, took = call_within(seconds, call)
    except Overdue:
        overdue, took = True, seconds
    except Rejected as rejection:
        rejected = rejection.reason or "no reason"
        if plugin.plugin_kind not in ("placement", "camera"):
            error = f"it raised Rejected ({rejected}), which only placement and camera plugins may."
    except TwinsetError as problem:
        error = str(problem)
    drew = global_random.touched(generators)
    global_random.restore(untouched)
    changed = [name for name, value in at.given.items() if digest(value) != before[name]]
    if plugin.plugin_kind != "placement" and any(a is not b for a, b in zip(instances, stage.instances, strict=False)):
        changed.append("the place of instances")
    if plugin.plugin_kind not in ("placement", "appearance") and _of_stage(stage, own_attributes) != others:
        changed.append("the stage")
    wrong = ""
    if not (overdue or error or rejected):
        wrong = answer_problem(plugin.plugin_kind, at, answers)
    outcome = digest([rejected, answers, placed(stage.instances), stage.calls])
    return Run(frame, outcome, took, error, overdue, rejected, drew, tuple(changed), False, wrong)


def _of_stage(stage: BruteStage, own_attributes: Sequence[str]) -> str:
    """A digest of the stage without the attributes that the plugin may change: the camera, or what it places."""
    return digest({name: value for name, value in vars(stage).items() if name not in own_attributes})

# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the events of a job: a progress bar with the time left, the attempts by outcome, and the preview."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import attrs
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ...engine.events import Event, Finished, FrameDone, Funnel, ShareDone, Started, Stepped
from .output import Output

REFRESH_INTERVAL = 0.1
"""Seconds between two refreshes of a bar."""


class Bar(Progress):
    """A bar that refreshes on updates and not in a thread: Blender crashes with Python threads beside its renders."""

    _drawn = 0.0
    _described = ""

    def update(self, *args: Any, **values: Any) -> None:
        super().update(*args, **values)
        self._draw(values.get("description", self._described))

    def advance(self, *args: Any, **values: Any) -> None:
        super().advance(*args, **values)
        self._draw(self._described)

    def _draw(self, described: str) -> None:
        # A new step is shown at once: the next update may be far off.
        now = time.monotonic()
        if described != self._described or now - self._drawn >= REFRESH_INTERVAL:
            self._drawn, self._described = now, described
            self.refresh()


def progress_bar(output: Output, *, hidden: bool = False) -> Bar:
    """A bar on standard error with counts and the time left, which disappears when done."""
    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("remaining:"),
        TimeRemainingColumn(),
        console=output.err,
        disable=hidden or not output.err.is_terminal,  # it would leave empty lines in a log file
        transient=True,
        auto_refresh=False,
    )


@contextlib.contextmanager
def at_work(output: Output, what: str) -> Iterator[None]:
    """Show a message while something is being done."""
    with progress_bar(output) as bar:
        bar.update(bar.add_task(what, total=None))
        yield


class Follower:
    """Runs a job by consuming its events, and counts frames.

    Attributes
    ----------
    written : int
        Frames on disk, including those of earlier runs.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.written = 0
        self.started = time.monotonic()
        self.rendered = 0
        self.finished: Finished | None = None

    def follow(self, events: Iterable[Event]) -> Finished | None:
        """Show all events; returns the final one, or None if the job did not finish."""
        with progress_bar(self.output, hidden=self.output.json or not self.output.err.is_terminal) as bar:
            task = bar.add_task("Opening the scene", total=None)
            for event in events:
                self._count(event)
                if self.output.json:
                    self.output.json_line(as_json(event))
                self._show(event, bar, task)
                if not self.output.json and not self.output.err.is_terminal:
                    self._log(event)
        return self.finished

    def _log(self, event: Event) -> None:
        """Plain lines for log files: one per step and per tenth of the frames."""
        if isinstance(event, Stepped):
            self.output.message(f"{event.message} ...")
        elif isinstance(event, FrameDone):
            self.rendered += not event.resumed
            if event.done * 10 // event.total != (event.done - 1) * 10 // event.total or self.rendered == 1:
                spent = time.monotonic() - self.started
                left = timedelta(seconds=round(spent / max(self.rendered, 1) * (event.total - event.done)))
                self.output.message(f"Frame {event.done} of {event.total}, about {left} remaining")

    def _count(self, event: Event) -> None:
        if isinstance(event, Started):
            self.written = event.present
        elif isinstance(event, FrameDone) and event.image is not None and not event.resumed:
            self.written += 1
        elif isinstance(event, Finished):
            self.finished = event
        elif isinstance(event, ShareDone):
            done = f"Frames {event.first} to {event.last} are done."
            self.output.message(f"{done} Run `twinset finish {event.out}` once all are.")

    @staticmethod
    def _show(event: Event, bar: Progress, task: object) -> None:
        if isinstance(event, Started):
            for note in event.notes:
                bar.console.print(note, markup=False, soft_wrap=True)
            bar.update(task, description="Rendering", total=event.frames)  # type: ignore[arg-type]
        elif isinstance(event, Stepped):
            bar.update(task, description=event.message)  # type: ignore[arg-type]
        elif isinstance(event, FrameDone):
            bar.update(task, description="Rendering", completed=event.done, total=event.total)  # type: ignore[arg-type]
            if event.image is None:
                text = f"Frame {event.frame} was given up after {event.attempts} attempts."
                bar.console.print(text, markup=False, soft_wrap=True)


def as_json(event: Event) -> dict[str, object]:
    """An event as one JSON object: its fields, and its name in snake case under ``event``."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    return {"event": name} | {f.name: getattr(event, f.name) for f in attrs.fields(type(event))}


def funnel_table(funnel: Funnel) -> Table:
    """The attempts by outcome: tried, rejected by reason, accepted."""
    table = Table(title="Attempts", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_row("tried", str(funnel.tried))
    for reason, count in sorted(funnel.rejected.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(f"  rejected: {reason}", str(count))
    table.add_row("accepted", str(funnel.accepted))
    for extreme, count in funnel.exposure.items():
        table.add_row(f"  nearly {extreme}", str(count))
    if funnel.rejected_after_render:
        table.add_row("rejected after rendering", str(funnel.rejected_after_render))
    if funnel.boxes:
        table.add_row("boxes omitted from layouts", f"{funnel.boxes['left_out']} of {funnel.boxes['asked']}")
    if funnel.given_up:
        table.add_row("frames given up", str(funnel.given_up))
    return table


_MAX_LISTED = 5
_WORDS = {
    "hdri": "HDRI",
    "image": "background",
    "strength": "world strength",
    "factor": "lamp factor",
    "size": "boxes of",
}


def gate_lines(gate: Mapping[str, Any]) -> list[str]:
    """A summary of a gate and of what it rejects most; empty without a gate."""
    if not gate:
        return []
    lines = [f"Gate: {gate['accepted']} of {gate['judged']} attempts passed."]
    for one in gate["gates"]:
        draft = one.get("draft")
        if draft and draft["used"]:
            low, high = draft["interval"]
            lines.append(
                f"Drafts rejected {gate['refused_as_drafts']} attempts before rendering. In the warm-up they would "
                f"have rejected {draft['false_rejects']} of {draft['would_pass']} good ones ({low:.0%} to {high:.0%})."
            )
        elif draft:
            lines.append(
                "Drafts are not used: too few frames passed in the warm-up, or drafts do not predict which do."
            )
    rows = [
        f"  {_WORDS.get(row['what'], row['what'])} {row['value']}: {row['accepted']} of {row['judged']} passed, "
        f"mean score {'unknown' if row['score'] is None else format(row['score'], '.2f')}"
        for row in gate["off"][:_MAX_LISTED]
    ]
    if rows:
        lines += ["Passed less often than the rest:", *rows]
        if len(gate["off"]) > _MAX_LISTED:
            lines.append(f"  and {len(gate['off']) - _MAX_LISTED} more; see summary.json")
    return lines


def show_finished(finished: Finished, output: Output) -> None:
    """The result of a job in text; its JSON line is the event itself."""
    if output.json:
        return
    from ...dataset.analysis.goal_progress import goal_sentences
    from ...dataset.jobs.drift import drift_sentence

    drift = drift_sentence(finished.funnel.drift)
    lines = [drift] if drift else []
    lines.append(f"{finished.images} images with {finished.annotations} annotations in {finished.out}")
    if finished.contact_sheet is not None:
        lines.append(f"Preview: {finished.contact_sheet}")
    if finished.report is not None:
        lines.append(f"Report: {finished.report}")
    if finished.absent:
        shown = ", ".join(map(str, finished.absent[:10])) + (", ..." if len(finished.absent) > 10 else "")
        lines.append(
            f"Incomplete: {len(finished.absent)} frames are missing or damaged ({shown}). "
            f"To render them, run `twinset render {finished.out / 'recipe.toml'} -o {finished.out}`."
        )
    output.result(
        {},
        funnel_table(finished.funnel),
        *gate_lines(finished.funnel.gate),
        *goal_sentences(finished.funnel.goals),
        *lines,
    )

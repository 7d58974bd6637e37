# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the events of a job: a bar with time left, what became of the attempts, and the preview."""

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

DRAWN_EVERY = 0.1
"""Seconds between two drawings of a bar."""


class Bar(Progress):
    """Drawn when something is told, not by a thread of its own, which Blender would not bear beside its renders."""

    _drawn = 0.0
    _described = ""

    def update(self, *args: Any, **values: Any) -> None:
        super().update(*args, **values)
        self._draw(values.get("description", self._described))

    def advance(self, *args: Any, **values: Any) -> None:
        super().advance(*args, **values)
        self._draw(self._described)

    def _draw(self, described: str) -> None:
        # Another step is shown at once: it may be long before anything else is told.
        now = time.monotonic()
        if described != self._described or now - self._drawn >= DRAWN_EVERY:
            self._drawn, self._described = now, described
            self.refresh()


def progress_bar(output: Output, *, hidden: bool = False) -> Bar:
    """A bar on standard error with counts and time left, gone when it is done."""
    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=output.err,
        disable=hidden or not output.err.is_terminal,  # in a log file it would leave empty lines
        transient=True,
        auto_refresh=False,
    )


@contextlib.contextmanager
def at_work(output: Output, what: str) -> Iterator[None]:
    """Say meanwhile what is being done."""
    with progress_bar(output) as bar:
        bar.update(bar.add_task(what, total=None))
        yield


class Follower:
    """Drives a job by its events and keeps count.

    Attributes
    ----------
    written : int
        Frames that are on disk, those of earlier runs included.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.written = 0
        self.started = time.monotonic()
        self.rendered = 0
        self.finished: Finished | None = None

    def follow(self, events: Iterable[Event]) -> Finished | None:
        """Show all events; returns the last one's facts, None where the job had no end."""
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
        """Plain lines for log files: one per step, and one for each tenth of the frames."""
        if isinstance(event, Stepped):
            self.output.message(f"{event.message} ...")
        elif isinstance(event, FrameDone):
            self.rendered += not event.resumed
            if event.done * 10 // event.total != (event.done - 1) * 10 // event.total or self.rendered == 1:
                spent = time.monotonic() - self.started
                left = timedelta(seconds=round(spent / max(self.rendered, 1) * (event.total - event.done)))
                self.output.message(f"Frame {event.done} of {event.total}, about {left} left")

    def _count(self, event: Event) -> None:
        if isinstance(event, Started):
            self.written = event.present
        elif isinstance(event, FrameDone) and event.image is not None and not event.resumed:
            self.written += 1
        elif isinstance(event, Finished):
            self.finished = event
        elif isinstance(event, ShareDone):
            done = f"Frames {event.first} to {event.last} are done."
            self.output.message(f"{done} Once all are, `twinset finish {event.out}` writes the annotations.")

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
                text = f"Frame {event.frame} is given up after {event.attempts} attempts."
                bar.console.print(text, markup=False, soft_wrap=True)


def as_json(event: Event) -> dict[str, object]:
    """An event as one JSON object: its fields, and its name in snake case under ``event``."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    return {"event": name} | {f.name: getattr(event, f.name) for f in attrs.fields(type(event))}


def funnel_table(funnel: Funnel) -> Table:
    """What became of the attempts: tried, rejected by reason, accepted."""
    table = Table(title="Attempts", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_row("tried", str(funnel.tried))
    for reason, count in sorted(funnel.rejected.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(f"  rejected: {reason}", str(count))
    table.add_row("accepted", str(funnel.accepted))
    if funnel.rejected_after_render:
        table.add_row("rejected after their full render", str(funnel.rejected_after_render))
    if funnel.boxes:
        table.add_row("boxes left out of layouts", f"{funnel.boxes['left_out']} of {funnel.boxes['asked']}")
    if funnel.given_up:
        table.add_row("frames given up", str(funnel.given_up))
    return table


_SHOWN = 5
_WORDS = {
    "hdri": "HDRI",
    "image": "background",
    "strength": "world strength",
    "factor": "lamp factor",
    "size": "boxes of",
}


def gate_lines(gate: Mapping[str, Any]) -> list[str]:
    """What a gate did and what is off, in few lines; none without a gate."""
    if not gate:
        return []
    lines = [f"Gate: {gate['accepted']} of {gate['judged']} judged attempts passed."]
    for facts in gate["gates"]:
        draft = facts.get("draft")
        if draft and draft["used"]:
            low, high = draft["interval"]
            lines.append(
                f"Drafts refused {gate['refused_as_drafts']} attempts before their render; of the warm-up's "
                f"{draft['would_pass']} good frames they would have cost {draft['false_rejects']} "
                f"({low:.0%} to {high:.0%})."
            )
        elif draft:
            lines.append("Drafts are left out: the warm-up has too few frames that pass, or drafts do not tell them.")
    rows = [
        f"  {_WORDS.get(row['what'], row['what'])} {row['value']}: {row['accepted']} of {row['judged']} passed, "
        f"mean score {'unknown' if row['score'] is None else format(row['score'], '.2f')}"
        for row in gate["off"][:_SHOWN]
    ]
    if rows:
        lines += ["What passes less often than the rest:", *rows]
        if len(gate["off"]) > _SHOWN:
            lines.append(f"  and {len(gate['off']) - _SHOWN} more, see summary.json")
    return lines


def show_finished(finished: Finished, output: Output) -> None:
    """The end of a job, in text; its JSON line is the event itself."""
    if output.json:
        return
    from ...dataset.analysis.goal_progress import goal_sentences

    lines = [f"{finished.images} images with {finished.annotations} annotations in {finished.out}"]
    if finished.contact_sheet is not None:
        lines.append(f"Preview: {finished.contact_sheet}")
    if finished.report is not None:
        lines.append(f"Report: {finished.report}")
    if finished.absent:
        shown = ", ".join(map(str, finished.absent[:10])) + (", ..." if len(finished.absent) > 10 else "")
        lines.append(
            f"Incomplete: {len(finished.absent)} frames are missing or damaged ({shown}). "
            f"`twinset render {finished.out / 'recipe.toml'} -o {finished.out}` renders them and finishes again."
        )
    output.result(
        {},
        funnel_table(finished.funnel),
        *gate_lines(finished.funnel.gate),
        *goal_sentences(finished.funnel.goals),
        *lines,
    )

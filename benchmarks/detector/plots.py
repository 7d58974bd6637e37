# SPDX-License-Identifier: GPL-3.0-or-later
"""Plots of the results: AP50 by arm, and the differences that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .domains import Domain
    from .report import Answer, Row


def plot_arms(rows: Sequence[Row], domain: Domain, path: Path) -> None:
    """AP50 of each arm with its interval, and single trainings as dots."""
    figure, axes = _figure(len(rows))
    for y, row in enumerate(rows):
        low, high = row.ap50.interval()
        each = row.ap50.each[np.isfinite(row.ap50.each)]
        axes.plot([low, high], [y, y], color="tab:blue", linewidth=2)
        axes.plot(each, np.full(len(each), y), "o", color="tab:gray", markersize=3)
        axes.plot([row.ap50.value], [y], "D", color="tab:blue")
    labels = [f"{r.number} {r.title}" if r.number else r.title for r in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"AP50 on {domain.title}\n(95 %; dots are single trainings)")
    _save(figure, axes, path)


def plot_differences(answers: Sequence[Answer], path: Path) -> None:
    """Difference in AP50 of each question with its interval."""
    figure, axes = _figure(len(answers))
    for y, answer in enumerate(answers):
        d = answer.difference
        color = "tab:gray" if answer.verdict.startswith("not") else "tab:green" if d.value > 0 else "tab:red"
        axes.plot([d.low, d.high], [y, y], color=color, linewidth=2)
        axes.plot([d.value], [y], "D", color=color)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(answers)), [" - ".join(a.question.arms) for a in answers])
    axes.set_xlabel("difference in AP50; grey: not resolvable here")
    _save(figure, axes, path)


def _figure(lines: int):  # matplotlib has no types
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 0.32 * lines), layout="constrained")
    return figure, figure.subplots()


def _save(figure, axes, path: Path) -> None:
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=120)

# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG plots: histograms of comparisons, quality rankings, and mixtures over real boxes."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...alignment.columns.registry import find_column
from ...alignment.distances.registry import all_distances
from ..atomic_files import write_atomic

REAL, SYNTH, BASELINE, INK = "#b8bfc9", "#d1495b", "#5b7db1", "#2b2f36"
PARTS = ("#2e7d9a", "#e08e45", "#6a994e", "#8e6bbf", "#c05780", "#7f7f4c", "#4f6d7a", "#a65628")

_MAX_NAMES = 12
"""Number of category names that fit under a histogram."""


def plot_comparison(
    columns: Mapping[str, Mapping[str, Any]],
    path: Path,
    *,
    title: str,
    baseline: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write one PNG with a real and a synthetic histogram per column.

    Parameters
    ----------
    columns : mapping
        Column to ``edges``, ``real``, ``synth``, ``n_real``, ``n_synth``, and the distances with their intervals and
        floors, as a comparison reports them.
    path : Path
        The file to write.
    title : str
        Title, such as the class.
    baseline : mapping, optional
        The same for another synthetic dataset, drawn as a dashed line if its bins are the same.
    """
    across = min(3, len(columns))
    down = -(-len(columns) // across)
    figure, axes = _figure(across, down, title)
    for axis, (name, column) in zip(axes.flat, columns.items(), strict=False):
        _draw_column(axis, name, column, (baseline or {}).get(name))
    for axis in axes.flat[len(columns) :]:
        axis.set_visible(False)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return _save(figure, path)


def plot_quality(ranking: Any, path: Path, *, title: str) -> Path:
    """Write one PNG of composite distances, with a row per dataset: interval, and the components' ratios.

    Parameters
    ----------
    ranking : Ranking
    path : Path
        The file to write.
    title : str
        Title.
    """
    from matplotlib.ticker import FuncFormatter

    ranked = ranking.datasets
    order = sorted(ranked, key=lambda name: (ranked[name].rank, ranked[name].value))
    figure, axes = _figure(1, 1, title, size=(9.0, 1.8 + 0.5 * len(order)))
    axis = axes[0, 0]
    components = list(ranked[order[0]].components)
    for k, component in enumerate(components):
        ratios = [ranked[name].components[component].ratio for name in order]
        axis.plot(
            ratios, range(len(order)), "o", ms=5, color=PARTS[k % len(PARTS)], alpha=0.8, label=_literal(component)
        )
    for y, name in enumerate(order):
        entry = ranked[name]
        axis.plot([entry.low, entry.high], [y, y], color=INK, lw=2)
        axis.plot(entry.value, y, "D", ms=8, color=INK, label=None if y else "composite, 95 % interval")
    axis.axvspan(1.0, ranking.upper_floor, color=REAL, alpha=0.5, lw=0, zorder=0, label="halves of the real set, 95 %")
    axis.set_xscale("log")
    for which in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
        which(FuncFormatter(lambda v, _: f"{v:g}" if f"{v:e}"[0] in "125" else ""))
    axis.set_yticks(range(len(order)), [f"{ranked[name].rank}. {_literal(name)}" for name in order])
    axis.set(xlabel="composite distance; 1 is no farther than real samples", ylim=(len(order) - 0.5, -0.5))
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return _save(figure, path)


def plot_nearness(nearness: Any, path: Path, *, title: str) -> Path:
    """One PNG of the IoU of best predictions over the distance to synthetic features: boxes, and means of bins.

    Parameters
    ----------
    nearness : Nearness
    path : Path
        The file to write.
    title : str
        Title.
    """
    figure, axes = _figure(1, 1, title, size=(7.2, 4.4))
    axis = axes[0, 0]
    axis.plot(nearness.distance, nearness.overlap, "o", ms=4, color=SYNTH, alpha=0.45, mew=0, label="real boxes")
    for k, part in enumerate(nearness.bins):
        label = None if k else "mean of a bin, 95 % interval"
        axis.fill_between([part.low, part.high], part.mean_low, part.mean_high, color=BASELINE, alpha=0.25, lw=0)
        axis.plot([part.low, part.high], [part.mean, part.mean], color=BASELINE, lw=2.5, label=label)
    rho = nearness.correlation
    text = f"Spearman {rho.rho:.2f} [{rho.low:.2f}, {rho.high:.2f}]" if math.isfinite(rho.low) else rho.remark
    axis.set_title(text, loc="left", fontsize=10, color=INK)
    axis.set(xlabel="mean distance to the nearest synthetic boxes, in features", ylabel="IoU of the best prediction")
    axis.set_ylim(-0.03, 1.03)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return _save(figure, path)


def plot_mixture(areas: np.ndarray, mixture: Any, path: Path, *, title: str) -> Path:
    """Write one PNG of a mixture over the histogram of the real areas that it was fitted to, on a logarithmic axis.

    Parameters
    ----------
    areas : (N,) float
        Real relative areas in (0, 1].
    mixture : AreaMixture
        The fit.
    path : Path
        The file to write.
    title : str
        Title.
    """
    from matplotlib.ticker import FuncFormatter

    figure, axes = _figure(1, 1, title, size=(7.2, 4.2))
    axis = axes[0, 0]
    grid, density = mixture_densities(mixture, float(areas.min()), float(areas.max()))
    bins = np.linspace(np.log10(grid[0]), np.log10(grid[-1]), 22)
    share = np.histogram(np.log10(areas), bins)[0] / len(areas) / np.diff(bins)
    axis.stairs(share, 10**bins, fill=True, color=REAL, label=f"{len(areas)} real boxes")
    for k, part in enumerate(density.T):
        weight = float(mixture.weights_[k])
        axis.plot(grid, part, color=PARTS[k % len(PARTS)], lw=1.4, label=f"component {k + 1}: {weight:.0%}")
    axis.plot(grid, density.sum(1), color=INK, lw=2, label="mixture")
    axis.plot(areas, np.zeros(len(areas)), "|", color=INK, ms=9, alpha=0.5, clip_on=False)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
    axis.set(xlabel="box area / image area", ylabel="share of boxes per decade", xlim=(grid[0], grid[-1]))
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=9)
    return _save(figure, path)


def mixture_densities(mixture: Any, smallest: float, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Areas (M,), evenly spaced on the log axis, and each component's share per decade there, (M, K)."""
    low = max(mixture.low, min(smallest, float(mixture.ppf(np.array(0.002)))) * 0.7, 1e-7)
    high = min(mixture.high, max(largest, float(mixture.ppf(np.array(0.998)))) * 1.3)
    grid = np.geomspace(low, max(high, low * 1.01), 600)
    # Component densities are per unit of the mixture's own scale; the axis counts decades of area. The mass between
    # grid points, which the cdf knows on any scale, is split among components by their densities.
    step = np.log10(grid[1] / grid[0])
    edges = np.append(grid / np.sqrt(grid[1] / grid[0]), grid[-1] * np.sqrt(grid[1] / grid[0]))
    total = np.diff(mixture.cdf(np.clip(edges, 0.0, 1.0))) / step
    parts = mixture.component_pdf(grid)
    total[[0, -1]] = total[[1, -2]]  # the outermost cells are cut in half by the ends of the interval
    return grid, parts / np.maximum(parts.sum(1, keepdims=True), 1e-300) * total[:, None]


def _draw_column(axis: Any, name: str, column: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> None:
    edges = np.asarray(column["edges"])
    axis.stairs(column["real"], edges, fill=True, color=REAL, label=f"real, n = {column['n_real']}")
    axis.stairs(column["synth"], edges, color=SYNTH, lw=2, label=f"synthetic, n = {column['n_synth']}")
    if baseline is not None and np.allclose(baseline["edges"], edges):
        axis.stairs(baseline["synth"], edges, color=BASELINE, lw=1.4, ls="--", label="baseline")
    declared = find_column(name)
    axis.set_title(_literal(declared.heading), loc="left", fontsize=11, color=INK, pad=36)
    axis.set(xlabel=declared.axis_text, xlim=_shown(edges, [column["real"], column["synth"]]))
    if "categories" in column:
        _name_bins(axis, column["categories"], column)
    axis.yaxis.set_major_formatter(lambda v, _: f"{100 * v:g} %")
    axis.set_ylim(bottom=0)
    text = axis.text(0.0, 1.02, _distance_lines(column), transform=axis.transAxes, fontsize=7.5, color=INK, va="bottom")
    text.set_in_layout(False)  # a long line must not squeeze the axes


def _name_bins(axis: Any, names: Sequence[str], column: Mapping[str, Any]) -> None:
    """Category names under their bins; only the most frequent ones if there are many."""
    weight = np.maximum(column["real"], column["synth"])
    chosen = np.sort(np.argsort(-weight, kind="stable")[:_MAX_NAMES])
    axis.set_xlim(-0.5, len(names) - 0.5)
    axis.set_xticks(chosen, [_literal(names[k]) for k in chosen], rotation=40, ha="right", fontsize=7)


def _distance_lines(column: Mapping[str, Any]) -> str:
    """A line per distance, with interval, floor and critical value; no distances without a floor."""
    lines = []
    for distance in all_distances(categories="categories" in column):
        key, floor, name = distance.name, distance.floor_key, distance.short
        if math.isnan(column[floor]):
            return "only one real value, so there is no distance"
        low, high = column[f"{key}_interval"]
        spread = (
            f"{_short(column[key])} [{_short(low)}, {_short(high)}]" if math.isfinite(column[key]) else "no common bin"
        )
        upper = column.get(f"{key}_upper_floor", math.nan)
        chance = "" if math.isnan(upper) else f", chance to {_short(upper)}"
        lines.append(f"{name} {spread} · floor {_short(column[floor])}{chance}")
    return "\n".join(lines)


def _literal(text: str) -> str:
    """Text with dollar signs escaped, between which matplotlib would set mathematics."""
    return text.replace("$", r"\$")


def _short(value: float) -> str:
    """Two or three digits, without exponents for large values."""
    return f"{value:.0f}" if math.isfinite(value) and abs(value) >= 100 else f"{value:.2g}"


def _shown(edges: np.ndarray, histograms: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The range of non-empty bins, and one more on each side."""
    used = np.flatnonzero(np.sum(histograms, axis=0) > 0)
    first, last = max(used[0] - 1, 0), min(used[-1] + 2, len(edges) - 1)
    return float(edges[first]), float(edges[last])


def _figure(across: int, down: int, title: str, size: tuple[float, float] | None = None) -> tuple[Any, np.ndarray]:
    # Figure without pyplot: no global state, no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size or (4.2 * across, 3.3 * down + 0.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9, colors=INK)
        axis.grid(axis="y", color="#e6e8eb", lw=0.8)
        axis.set_axisbelow(True)
    figure.suptitle(_literal(title), fontsize=13, color=INK, x=0.01, ha="left")
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    # No version or date in the file, so that the same numbers give the same bytes.
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    write_atomic(path, data.getvalue())
    return path

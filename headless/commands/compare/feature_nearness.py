# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of ``evaluate`` that uses features: how IoU depends on the distance to the synthetic dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from rich.table import Table

from ....engine.errors import DataError
from ...console.output import Output
from ...console.progress import progress_bar
from .feature_tables import opened
from .fit import draw_plot
from .measure import LEFT_OUT, problems_shown


@attrs.frozen(kw_only=True)
class FeatureOptions:
    """The command-line options for features."""

    classes: Sequence[str]
    model: Path | None
    max_boxes: int
    min_box_side: float
    threads: int
    workers: int
    seed: int
    plots: Path | None


def nearness_of(
    output: Output,
    real: tuple[Path, Path | None],
    synth: tuple[Path, Path | None],
    predictions: Sequence[Mapping[str, Any]],
    options: FeatureOptions,
) -> dict[str, dict[str, Any]]:
    """By class: ``nearness``, ``plot`` and the boxes left out; or ``refused``, why a class has no result.

    Raises
    ------
    DataError
        If a dataset, its images or a class is missing, or the two datasets share no class.
    """
    from ....alignment.features.extractor import Extractor

    first = opened(*real, "--real-images", "omit --synth")
    second = opened(*synth, "--synth-images", "omit --synth")
    for name in options.classes:
        first.coco.category(name), second.coco.category(name)
    in_real, in_synth = first.coco.classes(), second.coco.classes()
    names = [n for n in options.classes or in_real if in_real[n] and in_synth.get(n)]
    if not names:
        raise DataError("The real and the synthetic dataset have no requested class with boxes in common.")
    extractor = Extractor(options.model, threads=options.threads, workers=options.workers)
    out = {}
    with progress_bar(output, hidden=output.json) as bar:
        task = bar.add_task("Computing features", total=None)

        def show_progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        for name in names:
            try:
                out[name] = _of_class(name, first, second, predictions, extractor, options, show_progress)
            except DataError as error:
                out[name] = {"refused": str(error)}
    return out


def _of_class(
    name: str,
    real: Any,
    synth: Any,
    predictions: Sequence[Mapping[str, Any]],
    extractor: Any,
    options: FeatureOptions,
    progress: Any,
) -> dict[str, Any]:
    from ....alignment.evaluation.feature_nearness import best_overlaps, nearness
    from ....dataset.analysis.feature_distances import distances_to_synthetic
    from ....dataset.report.plots import plot_nearness
    from ....engine.rng import stream

    rng = stream(options.seed, "nearness", name)
    found = distances_to_synthetic(
        real,
        synth,
        name,
        extractor,
        rng,
        max_boxes=options.max_boxes,
        min_side=options.min_box_side,
        progress=progress,
    )
    by_id = {a["id"]: a for a in real.coco.annotations}
    overlaps = best_overlaps([by_id[i] for i in found.annotations.tolist()], predictions)
    near = nearness(found.values, overlaps, found.images, rng)
    title = f"{name}: how well real boxes are detected, by their distance to the synthetic ones"
    plot = draw_plot(options.plots, "nearness", name, partial(plot_nearness, near, title=title))
    return {"nearness": near, "plot": plot, "small": found.small, "problems": found.problems}


def nearness_shown(found: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """A table of bins for each class, and a sentence on its rank correlation."""
    shown: list[Any] = []
    for name, of in found.items():
        if "refused" in of:
            shown.append(f"{name}: no feature distances. {of['refused']}")
            continue
        near = of["nearness"]
        title = f"{name}: IoU of the best prediction, by distance to the synthetic features"
        table = Table("distance", "boxes", "images", "mean IoU", "95%", "IoU >= 0.5", title=title, title_justify="left")
        for part in near.bins:
            spread = f"{part.mean_low:.2f} to {part.mean_high:.2f}"
            cells = (
                f"{part.low:.3g} to {part.high:.3g}",
                str(part.boxes),
                str(part.images),
                f"{part.mean:.2f}",
                spread,
            )
            table.add_row(*cells, f"{part.found:.0%}")
        shown += [table, _correlated(near.correlation)]
        if of["small"]:
            shown.append(f"{of['small']} real boxes are too small for features.")
        shown += [*([f"Plot: {of['plot']}"] if of["plot"] else []), *problems_shown(of["problems"], LEFT_OUT)]
    return shown


def _correlated(found: Any) -> str:
    if found.rho != found.rho:
        return f"Rank correlation: {found.remark}"
    interval = f" (95%: {found.low:.2f} to {found.high:.2f})" if found.low == found.low else ""
    if found.high < 0:
        meaning = "near boxes are detected better"
    elif found.low > 0:
        meaning = "distant boxes are detected better"
    else:
        meaning = "not significant"
    return f"Rank correlation of IoU with distance: {found.rho:.2f}{interval}: {meaning}. {found.remark}".rstrip()

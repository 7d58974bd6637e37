# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares two datasets column by column: each distance with interval, floors and critical value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ...engine.rng import stream
from ..columns.design_effect import dependence_sentence
from ..columns.registry import find_column
from ..columns.table import Table, class_names, measured_classes, measured_table, read_table
from .binning import bin_range
from .bootstrap import Estimate, estimate, sample_warnings
from .histograms import BINS, histogram
from .registry import all_distances

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of both samples in the report of a column."""

MAX_CATEGORIES = 500
"""Columns with more different categories than this are not compared: their shares say nothing."""

Progress = Callable[[int, int], None]

_ROUNDS = 200


def compare(
    real_coco: Mapping[str, Any], synth_coco: Mapping[str, Any], class_name: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """Distances between a real and a synthetic dataset, per class and column.

    Parameters
    ----------
    real_coco, synth_coco : mapping
        COCO files as loaded from JSON.
    class_name : str, optional
        One class; left out, all that both datasets have.
    seed : int
        Seed of the resamples that intervals and floors come from.

    Returns
    -------
    dict
        ``{"classes": {name: {"n_real", "n_synth", "columns", "main"}}, "only_real": [...], "only_synth": [...]}``.
        ``columns`` maps a column to ``bhattacharyya`` (over 20 bins; infinite when no bin is shared), ``ks`` and
        ``wasserstein``; to the 95 % interval [low, high] of each under ``bhattacharyya_interval`` and so on (see
        :func:`.bootstrap.estimate`); to the floor of each, the mean distance between two resamples of the real boxes
        of the two sizes, under ``floor`` (Bhattacharyya's), ``ks_floor`` and ``wasserstein_floor`` (NaN for one real
        box); to the same for resamples of whole images under ``bhattacharyya_image_floor`` and so on; to where chance
        ends under ``bhattacharyya_upper_floor`` and so on; to ``remark``, what keeps the distance from meaning much,
        or ""; to ``n_real``, ``n_synth``; to ``real_quantiles`` and ``synth_quantiles`` (at ``QUANTILES``) and
        ``larger_share``, the share of pairs of a real and a synthetic value in which the synthetic one is larger, ties
        counted half; and to the histograms ``edges`` (21,), ``real`` (20,), ``synth`` (20,). Columns of names have
        ``categories`` (k,) and bins for each of them, no quantiles, and NaN for what needs an order. Beside
        ``columns``, ``remarks`` says which columns only one side has. ``main`` holds the same for the main instances'
        boxes, or is None where the synthetic dataset names none.

    Raises
    ------
    DataError
        If a dataset does not have the class, or the two share none.
    """
    return _compare(
        (class_names(real_coco), lambda name: read_table(real_coco, name, "The real dataset")),
        (class_names(synth_coco), lambda name: read_table(synth_coco, name, "The synthetic dataset")),
        class_name,
        seed,
    )


def compare_measured(
    real: Mapping[str, Sequence[Any] | np.ndarray],
    synth: Mapping[str, Sequence[Any] | np.ndarray],
    class_name: str | None = None,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """:func:`compare` on measured columns: all that both sides have, see :func:`.table.measured_table`.

    ``progress`` takes the number of columns compared and their total; an exception that it raises ends the comparison.
    """
    return _compare(
        (measured_classes(real), lambda name: measured_table(real, name, "The real dataset")),
        (measured_classes(synth), lambda name: measured_table(synth, name, "The synthetic dataset")),
        class_name,
        seed,
        progress,
    )


Side = tuple[list[str], Callable[[str], Table]]
"""The classes of a dataset, and a function that returns the table of one."""


def _compare(
    real: Side,
    synth: Side,
    class_name: str | None,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    (in_real, real_table), (in_synth, synth_table) = real, synth
    names = [class_name] if class_name else [n for n in in_real if n in in_synth]
    if not names:
        raise DataError(
            "The two datasets share no class with boxes. The real one has "
            f"{', '.join(in_real) or 'none'}; the synthetic one has {', '.join(in_synth) or 'none'}."
        )
    tables = {name: (real_table(name), synth_table(name)) for name in names}
    total = sum(len(_shared(a, b)) + (len(_shared(a, b.of_main())) if b.main.any() else 0) for a, b in tables.values())
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    progress(0, total)
    return {
        "classes": {name: compare_tables(a, b, name, seed, step) for name, (a, b) in tables.items()},
        "only_real": [n for n in in_real if n not in in_synth],
        "only_synth": [n for n in in_synth if n not in in_real],
    }


def compare_tables(
    real: Table, synth: Table, name: str = "", seed: int = 0, step: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The part of :func:`compare` for one class; ``name`` only seeds the resamples, ``step`` is called per column."""
    main = None
    if synth.main.any():
        only = synth.of_main()
        main = {"n_synth": len(only), "columns": _columns(real, only, (seed, name, "main"), step)}
    return {
        "n_real": len(real),
        "n_synth": len(synth),
        "columns": _columns(real, synth, (seed, name, "all"), step),
        "remarks": _remarks(real, synth),
        "main": main,
    }


def to_json(value: Any) -> Any:
    """``value`` with infinite numbers as None, for strict JSON."""
    if isinstance(value, Mapping):
        return {k: to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shared(real: Table, synth: Table) -> list[str]:
    """Columns of which both have values; those with more than ``MAX_CATEGORIES`` categories are left out."""
    shared = [
        name
        for name, values in real.columns.items()
        if name in synth.columns
        if np.isfinite(values).any() and np.isfinite(synth.columns[name]).any()
    ]
    for name in real.labels:
        if name in synth.labels:
            known = np.unique(np.concatenate([real.labels[name], synth.labels[name]]))
            if len(known) <= MAX_CATEGORIES:
                shared.append(name)
    return shared


def _columns(
    real: Table, synth: Table, key: tuple[int, str, str], step: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    out = {}
    for column in _shared(real, synth):
        rng = stream(key[0], *key[1:], column)
        if column in real.labels:
            out[column] = _measure_labels(real, synth, column, rng)
        else:
            (a, image_a), (b, image_b) = (_sample(table, column) for table in (real, synth))
            out[column] = _measure(a, b, (image_a, image_b), column, rng)
        step()
    return out


def _sample(table: Table, column: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The finite values of a column, and the image or layout of each; None where each has an image of its own."""
    known = np.isfinite(table.columns[column])
    is_alone = column in table.of_images and table.group is None
    return table.columns[column][known], None if is_alone else table.owners(column)[1][known]


def _remarks(real: Table, synth: Table) -> list[str]:
    """Sentences on columns that only one side has, and on differences that concern several columns."""
    dependent = [
        f"The {side} dataset: {text}"
        for side, t in (("real", real), ("synthetic", synth))
        if (text := dependence_sentence(t))
    ]
    in_real, in_synth = (
        {k for k, v in t.columns.items() if np.isfinite(v).any()} | set(t.labels) for t in (real, synth)
    )
    said = dependent + [
        f"Only the {side} dataset has {', '.join(sorted(only))}; these columns are not compared."
        for side, only in (("real", in_real - in_synth), ("synthetic", in_synth - in_real))
        if only
    ]
    shared = [find_column(name) for name in real.columns if name in synth.columns]
    affected = dict.fromkeys(c.name.removeprefix("image_") for c in shared if c.resolution_dependent)
    ratio = np.array(real.size) / np.array(synth.size)
    if affected and (np.abs(np.log(ratio)) > math.log(1.1)).any():
        sizes = [f"{t.size[0]:g} by {t.size[1]:g} px" for t in (real, synth)]
        said.append(
            f"Real pictures have {sizes[0]}, synthetic ones {sizes[1]}, which alone changes {', '.join(affected)}."
        )
    return said


def _measure(
    a: np.ndarray,
    b: np.ndarray,
    images: tuple[np.ndarray | None, np.ndarray | None],
    column: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    span = bin_range(column, a, b)
    out = _distance_values(estimate(a, b, rng, images=images, range=span))
    order = np.sort(a)
    below, up_to = (np.searchsorted(order, b, side=side).mean() / len(a) for side in ("left", "right"))
    return out | {
        "remark": sample_warnings(a, b, real_images=images[0]),
        "n_real": len(a),
        "n_synth": len(b),
        "real_quantiles": np.quantile(a, QUANTILES).tolist(),
        "synth_quantiles": np.quantile(b, QUANTILES).tolist(),
        "larger_share": float(below + up_to) / 2,
        "edges": np.linspace(*span, BINS + 1).tolist(),
        "real": histogram(a, BINS, span).tolist(),
        "synth": histogram(b, BINS, span).tolist(),
    }


def _distance_values(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for distance in all_distances():
        name, estimated = distance.name, estimates[distance.name]
        out[name] = estimated.value
        out[distance.floor_key] = estimated.floor
        out[f"{name}_image_floor"] = estimated.image_floor
        out[f"{name}_upper_floor"] = estimated.upper_floor
        out[f"{name}_interval"] = [estimated.low, estimated.high]
    return out


def _measure_labels(real: Table, synth: Table, column: str, rng: np.random.Generator) -> dict[str, Any]:
    """A column of categories: one bin for each; distances that need an order are NaN."""
    known = [table.labels[column] != "" for table in (real, synth)]
    names = [table.labels[column][k] for table, k in zip((real, synth), known, strict=True)]
    categories, code = np.unique(np.concatenate(names), return_inverse=True)
    a, b = np.split(np.ravel(code).astype(float), [len(names[0])])
    span, bins = (-0.5, len(categories) - 0.5), len(categories)
    images = (real.owners(column)[1][known[0]], synth.owners(column)[1][known[1]])
    estimates = estimate(a, b, rng, images=images, bins=bins, range=span)
    for distance in all_distances():
        if distance.ordered:
            estimates[distance.name] = Estimate(*[math.nan] * 6)
    return _distance_values(estimates) | {
        "remark": "",
        "n_real": len(a),
        "n_synth": len(b),
        "real_quantiles": [],
        "synth_quantiles": [],
        "larger_share": math.nan,
        "categories": categories.tolist(),
        "edges": np.linspace(*span, bins + 1).tolist(),
        "real": histogram(a, bins, span).tolist(),
        "synth": histogram(b, bins, span).tolist(),
    }

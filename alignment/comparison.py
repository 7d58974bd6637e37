# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares two datasets column by column, each distance with interval and floor; reports the fit of one class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.errors import DataError
from ..engine.goals import Boxes
from ..engine.rng import stream
from .bootstrap import estimate, remark
from .distance import BINS, bhattacharyya_floor, histogram
from .mixture import REFERENCE_SIZE, AreaMixture, fit_areas
from .table import Table, class_names, read_table

UNIT_COLUMNS = ("sqrt_area", "area", "center_x", "center_y")
"""Columns that live in [0, 1] by definition."""

_SKIPPED = ("id", "instance", "instance_id", "frame")
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
        box); to the same for resamples of whole images under ``bhattacharyya_image_floor`` and so on; to ``remark``,
        what keeps the distance from meaning much, or ""; to ``n_real``, ``n_synth``, and the histograms ``edges``
        (21,), ``real`` (20,), ``synth`` (20,). Beside ``columns``, ``remarks`` says which columns only one side has.
        ``main`` holds the same for the main instances' boxes, or is None where the synthetic dataset names none.

    Raises
    ------
    DataError
        When a dataset lacks the class, or the two share none.
    """
    in_real, in_synth = class_names(real_coco), class_names(synth_coco)
    names = [class_name] if class_name else [n for n in in_real if n in in_synth]
    if not names:
        raise DataError(
            "The two datasets share no class with boxes. The real one has "
            f"{', '.join(in_real) or 'none'}; the synthetic one has {', '.join(in_synth) or 'none'}."
        )
    classes = {}
    for name in names:
        real = read_table(real_coco, name, "The real dataset")
        synth = read_table(synth_coco, name, "The synthetic dataset")
        classes[name] = compare_tables(real, synth, name, seed)
    return {
        "classes": classes,
        "only_real": [n for n in in_real if n not in in_synth],
        "only_synth": [n for n in in_synth if n not in in_real],
    }


def compare_tables(real: Table, synth: Table, name: str = "", seed: int = 0) -> dict[str, Any]:
    """The part of :func:`compare` for one class; ``name`` only seeds the resamples."""
    main = None
    if synth.main.any():
        only = synth.of_main()
        main = {"n_synth": len(only), "columns": _columns(real, only, (seed, name, "main"))}
    return {
        "n_real": len(real),
        "n_synth": len(synth),
        "columns": _columns(real, synth, (seed, name, "all")),
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


def fit_report(
    boxes: Boxes,
    *,
    scale: str = "log",
    components: int = 0,
    criterion: str = "silhouette",
    seed: int = 0,
) -> tuple[AreaMixture, dict[str, Any]]:
    """Fit the areas of real boxes and say how well that went.

    Returns
    -------
    (AreaMixture, dict)
        The fit, and its report with ``distance`` (of the mixture to the boxes, square root of the relative area,
        20 bins), ``floor`` (for a synthetic set of 300 boxes) and the areas' ``quantiles``.
    """
    mixture = fit_areas(boxes.area, scale=scale, components=components, criterion=criterion)
    rng = stream(seed, "fit_report")
    levels = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    report = {
        **mixture.report(),
        "distance": mixture.distance(boxes.area),
        "floor": bhattacharyya_floor(np.sqrt(boxes.area), len(boxes), REFERENCE_SIZE, _ROUNDS, rng),
        "quantiles": {f"{q:g}": float(v) for q, v in zip(levels, np.quantile(boxes.area, levels), strict=True)},
    }
    return mixture, report


def _columns(real: Table, synth: Table, key: tuple[int, str, str]) -> dict[str, dict[str, Any]]:
    out = {}
    for column in real.columns:
        if column not in synth.columns or column in _SKIPPED:
            continue
        samples = []
        for table in (real, synth):
            known = np.isfinite(table.columns[column])
            # What is counted per image has no box.
            image = table.image[known] if len(known) == len(table) and column != "boxes_per_image" else None
            samples.append((table.columns[column][known], image))
        (a, image_a), (b, image_b) = samples
        if len(a) and len(b):
            out[column] = _measure(a, b, (image_a, image_b), column, stream(key[0], *key[1:], column))
    return out


def _remarks(real: Table, synth: Table) -> list[str]:
    """Which columns have no distance because one side has no value of them."""
    in_real, in_synth = (
        {k for k, v in t.columns.items() if np.isfinite(v).any()}.difference(_SKIPPED) for t in (real, synth)
    )
    return [
        f"Only the {side} dataset has {', '.join(sorted(only))}; no distance to nothing is given."
        for side, only in (("real", in_real - in_synth), ("synthetic", in_synth - in_real))
        if only
    ]


def _measure(
    a: np.ndarray,
    b: np.ndarray,
    images: tuple[np.ndarray | None, np.ndarray | None],
    column: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    span = column_range(column, a, b)
    found = estimate(a, b, rng, images=images, range=span)
    out: dict[str, Any] = {}
    for name, distance in found.items():
        out[name] = distance.value
        out["floor" if name == "bhattacharyya" else f"{name}_floor"] = distance.floor
        out[f"{name}_image_floor"] = distance.image_floor
        out[f"{name}_interval"] = [distance.low, distance.high]
    return out | {
        "remark": remark(a, b, real_images=images[0]),
        "n_real": len(a),
        "n_synth": len(b),
        "edges": np.linspace(*span, BINS + 1).tolist(),
        "real": histogram(a, BINS, span).tolist(),
        "synth": histogram(b, BINS, span).tolist(),
    }


def column_range(column: str, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """What a column's histogram spans: [0, 1] for areas and centres, whole counts, else the bulk of both samples."""
    if column in UNIT_COLUMNS:
        return 0.0, 1.0
    if column == "boxes_per_image":
        return 0.5, 0.5 + BINS
    # The wider of the two bulks, so that neither sample's outliers squeeze the other into one bin.
    low = min(np.quantile(a, 0.01), np.quantile(b, 0.01))
    high = max(np.quantile(a, 0.99), np.quantile(b, 0.99))
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        return float(low) - 0.5, float(high) + 0.5
    return float(low), float(high)

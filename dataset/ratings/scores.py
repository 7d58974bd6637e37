# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores filled-in rating sheets: mean ratings beside those of wrong values, and how far people agree."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from .sheet import RATING

HIGHEST = 5


@attrs.frozen
class RatingScore:
    """The ratings of one column.

    Attributes
    ----------
    column : str
    ratings, controls : int
        Number of ratings of predicted values, and of values of other boxes.
    mean, control_mean : float
        Their means from 0 to 5; NaN without any.
    gain, low, high : float
        The difference of both means and its 95 % bootstrap interval by image; NaN without controls.
    agreement : float
        Cohen's kappa with quadratic weights, averaged over pairs of people; NaN for one person.
    """

    column: str
    ratings: int
    controls: int
    mean: float
    control_mean: float
    gain: float
    low: float
    high: float
    agreement: float


def read_ratings(path: Path) -> dict[str, dict[str, int]]:
    """The ratings of a filled-in table: by column, by number of the box; empty cells are left out.

    Raises
    ------
    DataError
        If the file is missing or no such table, or a rating is not a whole number from 0 to 5.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The ratings '{path}' cannot be read ({error}). Save them as CSV in UTF-8.") from None
    columns = [name for name in (rows[0] if rows else {}) if name and name.startswith(RATING)]
    if not columns or "box" not in rows[0]:
        raise DataError(f"'{path}' is no rating sheet: it needs the columns 'box' and '{RATING}...'.")
    out: dict[str, dict[str, int]] = {name.removeprefix(RATING): {} for name in columns}
    for line, row in enumerate(rows, 2):
        for name in columns:
            text = (row[name] or "").strip()
            if not text:
                continue
            if text not in {str(n) for n in range(HIGHEST + 1)}:
                raise DataError(f"'{path}', line {line}: '{name}' must be a whole number from 0 to 5. Got '{text}'.")
            out[name.removeprefix(RATING)][(row["box"] or "").strip()] = int(text)
    return out


def score_ratings(
    sheets: Sequence[Mapping[str, Mapping[str, int]]],
    key: Mapping[str, Mapping[str, Any]],
    rng: np.random.Generator,
    n_bootstrap: int = 1000,
) -> list[RatingScore]:
    """Score the ratings of one or several people.

    Parameters
    ----------
    sheets : sequence of mappings
        From :func:`read_ratings`, one for each person.
    key : mapping
        Of the sheet, see :class:`.sheet.RatingSheet`.
    rng : numpy.random.Generator
    n_bootstrap : int

    Raises
    ------
    DataError
        If a box is not in the key, or there is no rating.
    """
    columns = list(dict.fromkeys(name for sheet in sheets for name in sheet))
    unknown = sorted({box for sheet in sheets for of in sheet.values() for box in of} - set(key))
    if unknown:
        raise DataError(f"The key has no box {', '.join(unknown[:5])}. Use the key that was written with the sheet.")
    out = [_score(column, sheets, key, rng, n_bootstrap) for column in columns]
    if not any(one.ratings or one.controls for one in out):
        raise DataError("The sheets have no ratings. Fill in numbers from 0 to 5.")
    return out


def _score(
    column: str,
    sheets: Sequence[Mapping[str, Mapping[str, int]]],
    key: Mapping[str, Mapping[str, Any]],
    rng: np.random.Generator,
    n_bootstrap: int,
) -> RatingScore:
    rated = [(box, value) for sheet in sheets for box, value in sheet.get(column, {}).items()]
    values = np.array([value for _, value in rated], dtype=float)
    control = np.array([bool(key[box]["control"]) for box, _ in rated], dtype=bool)
    image = np.ravel(np.unique([int(key[box]["image"]) for box, _ in rated], return_inverse=True)[1])
    means = [float(values[part].mean()) if part.any() else math.nan for part in (~control, control)]
    low = high = math.nan
    if control.any() and not control.all():
        count = int(image.max()) + 1
        drawn = []
        for times in rng.multinomial(count, np.full(count, 1 / count), size=n_bootstrap):
            weight = times[image].astype(float)
            totals = [weight[part].sum() for part in (~control, control)]
            if min(totals) > 0:
                sums = [weight[part] @ values[part] for part in (~control, control)]
                drawn.append(sums[0] / totals[0] - sums[1] / totals[1])
        if drawn:
            low, high = (float(v) for v in np.quantile(drawn, [0.025, 0.975]))
    return RatingScore(
        column,
        int((~control).sum()),
        int(control.sum()),
        means[0],
        means[1],
        means[0] - means[1],
        low,
        high,
        _agreement([sheet.get(column, {}) for sheet in sheets]),
    )


def _agreement(sheets: Sequence[Mapping[str, int]]) -> float:
    from sklearn.metrics import cohen_kappa_score

    found = []
    for a, b in itertools.combinations(sheets, 2):
        both = sorted(set(a) & set(b))
        if len({*(a[box] for box in both), *(b[box] for box in both)}) > 1:
            found.append(
                cohen_kappa_score(
                    [a[box] for box in both], [b[box] for box in both], weights="quadratic", labels=range(HIGHEST + 1)
                )
            )
    return float(np.mean(found)) if found else math.nan

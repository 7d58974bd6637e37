# SPDX-License-Identifier: GPL-3.0-or-later
"""Slices of boxes, such as the smallest third, on which a detector errs significantly more often than on the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from ..columns.registry import find_column
from .holm import holm

CONFIDENCE_LEVEL = 0.95
MIN_BOXES, MIN_IMAGES = 5, 3
"""A slice with fewer, or a rest with fewer, is not tested."""

MAX_CATEGORIES = 30
_THIRDS = {
    "center_x": ("left third", "middle", "right third"),
    "center_y": ("top third", "middle", "bottom third"),
}
"""Columns that are cut at thirds of the image instead of thirds of the boxes."""

_HEADINGS = {"bbox_area": "Box area", "covered_by_boxes": "Covered by other boxes"}

_WORDS = ("low", "middle", "high")


@attrs.frozen(eq=False)
class Slice:
    """The boxes with like values of one column.

    Attributes
    ----------
    column : str
    name : str
        Which part of the column.
    low, high : float
        Least and greatest value; NaN for categories.
    boxes, images, errors : int
        How many boxes are in the slice, from how many images, and how many errors.
    share, share_low, share_high : float
        Share of errors, with its 95 % Wilson interval for as many independent boxes as the boxes are worth.
    rest : float
        Share of errors among the other boxes with a value.
    p_value : float
        Probability that chance alone gives at least this difference, one-sided; NaN if not tested.
    adjusted : float
        The same, adjusted for the number of slices [Holm, 1979].
    significant : bool
        Whether errors are significantly more frequent than in the rest.
    members : (boxes,) int
        Indices of the boxes.
    """

    column: str
    name: str
    low: float
    high: float
    boxes: int
    images: int
    errors: int
    share: float
    share_low: float
    share_high: float
    rest: float
    p_value: float
    adjusted: float
    significant: bool
    members: np.ndarray

    @property
    def title(self) -> str:
        """Column and part in words."""
        return f"{heading(self.column)}: {self.name}"

    def to_json(self) -> dict[str, Any]:
        """All but the members, as JSON values."""
        return {key: value for key, value in attrs.asdict(self).items() if key != "members"}


def heading(column: str) -> str:
    """The name of a column in titles of slices."""
    return _HEADINGS.get(column) or find_column(column).heading


def find_slices(
    columns: Mapping[str, Sequence[Any] | np.ndarray],
    errors: np.ndarray,
    images: np.ndarray,
    *,
    cut_by: np.ndarray | None = None,
    confidence_level: float = CONFIDENCE_LEVEL,
) -> list[Slice]:
    """Cut boxes into slices, column by column, and test which have significantly more errors than the rest.

    Parameters
    ----------
    columns : mapping of str to (n,)
        Numbers, NaN or None where unknown, or names.
    errors : (n,) bool
    images : (n,) int
        Which image each box is of; boxes of one image are not independent.
    cut_by : (n,) bool, optional
        The boxes at whose thirds numbers are cut; all by default.
    confidence_level : float
        One minus the probability that any slice is called significant where errors are random.

    Returns
    -------
    list of Slice
        The most significant first.

    Notes
    -----
    Numbers are cut at thirds of the boxes, positions at thirds of the image. The test is a t test of two shares with
    one degree of freedom less than there are images; the variance is the larger one of that of independent boxes and
    that from sums over images [Liang and Zeger, *Biometrika* 73 (1986)].
    """
    errors, images = np.asarray(errors, dtype=bool), np.asarray(images)
    if len(errors) != len(images) or any(len(values) != len(errors) for values in columns.values()):
        raise DataError("Slices need one value, one outcome and one image for each box.")
    found = [
        _slice(column, name, inside, known, values, errors, images)
        for column, values in columns.items()
        for name, inside, known in _parts(column, values, cut_by)
    ]
    tested = [one for one in found if math.isfinite(one.p_value)]
    adjusted = dict(zip(map(id, tested), holm([one.p_value for one in tested]), strict=True))
    out = [
        attrs.evolve(one, adjusted=p, significant=p <= 1 - confidence_level)
        for one in found
        for p in [adjusted.get(id(one), math.nan)]
    ]
    return sorted(out, key=lambda s: (math.inf if math.isnan(s.p_value) else s.p_value, -(s.share - s.rest)))


def leading_slices(slices: Sequence[Slice], errors: np.ndarray, images: np.ndarray) -> list[Slice]:
    """The significant slices without those that others explain.

    Columns depend on each other: if small boxes are missed, so are boxes far away. In the order of their significance,
    a slice is kept if it still has more errors among the boxes that are in no slice kept before, at a level of 5 %.

    Parameters
    ----------
    slices : sequence of Slice
        From :func:`find_slices`, with the same ``errors`` (n,) and ``images`` (n,).
    """
    errors, images = np.asarray(errors, dtype=bool), np.asarray(images)
    open_, kept = np.ones(len(errors), dtype=bool), list[Slice]()
    for one in slices:
        if not one.significant:
            continue
        inside = np.zeros(len(errors), dtype=bool)
        inside[one.members] = True
        left = [open_ & inside, open_ & ~inside]
        if kept and (
            min(part.sum() for part in left) < MIN_BOXES
            or _p_value(inside[open_], errors[open_], images[open_]) > 1 - CONFIDENCE_LEVEL
        ):
            continue
        kept.append(one)
        open_ &= ~inside
    return kept


def _parts(
    column: str, values: Sequence[Any] | np.ndarray, cut_by: np.ndarray | None = None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, members (n,) and boxes with a value (n,) of each slice of a column."""
    if any(isinstance(value, str) for value in values):
        names = np.array([value if isinstance(value, str) else "" for value in values])
        categories = sorted(set(names.tolist()) - {""})
        if 1 < len(categories) <= MAX_CATEGORIES:
            yield from ((name, names == name, names != "") for name in categories)
        return
    numbers = np.array([math.nan if value is None else value for value in values], dtype=float)
    known = np.isfinite(numbers)
    distinct = np.unique(numbers[known])
    if len(distinct) < 2:
        return
    if find_column(column).kind == "flag" or set(distinct.tolist()) == {0.0, 1.0}:
        yield from (("no", known & (numbers == 0), known), ("yes", known & (numbers != 0), known))
        return
    if column in _THIRDS:
        part = np.clip(np.floor(np.where(known, numbers, 0) * 3), 0, 2)
        yield from ((name, known & (part == k), known) for k, name in enumerate(_THIRDS[column]))
        return
    deciding = known if cut_by is None else known & cut_by
    if not deciding.any():
        return
    cuts = np.unique(np.quantile(numbers[deciding], [1 / 3, 2 / 3], method="inverted_cdf"))
    part = np.searchsorted(cuts, numbers, side="left")
    there = [k for k in range(len(cuts) + 1) if (known & (part == k)).any()]
    for place, k in enumerate(there):
        name = _WORDS[0] if place == 0 else _WORDS[2] if place == len(there) - 1 else _WORDS[1]
        yield name, known & (part == k), known


def _slice(
    column: str,
    name: str,
    inside: np.ndarray,
    known: np.ndarray,
    values: Sequence[Any] | np.ndarray,
    errors: np.ndarray,
    images: np.ndarray,
) -> Slice:
    outside = known & ~inside
    members = np.flatnonzero(inside)
    share = float(errors[inside].mean()) if inside.any() else math.nan
    rest = float(errors[outside].mean()) if outside.any() else math.nan
    numbers = [float(values[i]) for i in members if not isinstance(values[i], str)]
    p_value = math.nan
    if all(part.sum() >= MIN_BOXES and len(np.unique(images[part])) >= MIN_IMAGES for part in (inside, outside)):
        p_value = _p_value(inside[known], errors[known], images[known])
    low, high = _wilson(errors[inside], images[inside])
    return Slice(
        column,
        name,
        min(numbers, default=math.nan),
        max(numbers, default=math.nan),
        len(members),
        len(np.unique(images[inside])),
        int(errors[inside].sum()),
        share,
        low,
        high,
        rest,
        p_value,
        math.nan,
        False,
        members,
    )


def _p_value(inside: np.ndarray, errors: np.ndarray, images: np.ndarray) -> float:
    from scipy.special import stdtr  # scipy.stats takes half a second to import

    p, n, m = errors.mean(), inside.sum(), (~inside).sum()
    shares = errors[inside].mean(), errors[~inside].mean()
    difference = shares[0] - shares[1]
    number = np.ravel(np.unique(images, return_inverse=True)[1])
    parts = np.bincount(number, np.where(inside, (errors - shares[0]) / n, -(errors - shares[1]) / m))
    clustered = len(parts) / (len(parts) - 1) * float(parts @ parts)
    variance = max(clustered, p * (1 - p) * (1 / n + 1 / m))
    return float(stdtr(len(parts) - 1, -difference / math.sqrt(variance))) if variance > 0 else 1.0


def _wilson(errors: np.ndarray, images: np.ndarray) -> tuple[float, float]:
    """The Wilson interval of a share for as many independent boxes as boxes that share images are worth."""
    from scipy.special import ndtri

    n = len(errors)
    if not n:
        return math.nan, math.nan
    p = float(errors.mean())
    number = np.ravel(np.unique(images, return_inverse=True)[1])
    parts = np.bincount(number, errors - p) / n
    independent = p * (1 - p) / n
    effect = 1.0
    if independent > 0 and len(parts) > 1:
        few = len(parts) / (len(parts) - 1) * (n - 1) / n  # 1 where each box has an image of its own
        effect = max(1.0, few * float(parts @ parts) / independent)
    n_effective = n / effect
    z = float(ndtri((1 + CONFIDENCE_LEVEL) / 2))
    centre = (p + z**2 / (2 * n_effective)) / (1 + z**2 / n_effective)
    reach = z / (1 + z**2 / n_effective) * math.sqrt(p * (1 - p) / n_effective + z**2 / (4 * n_effective**2))
    return max(0.0, centre - reach), min(1.0, centre + reach)

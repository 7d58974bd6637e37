# SPDX-License-Identifier: GPL-3.0-or-later
"""The quality of synthetic datasets without training: a composite distance, its spread, and ranks [Zhang2023, §6]."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from ...engine.errors import DataError
from ...engine.rng import stream
from ..columns.table import Table
from .binning import bin_range
from .comparison import MOST_LABELS
from .histograms import BINS

COLUMNS = ("sqrt_area", "center_y", "background_similarity", "shape")
"""Metadata whose alignment was found to raise detectors' scores: area, vertical position, background similarity and
shape; aligning blur, entropy, contrast, sharpness, or occlusion alone was not [Zhang2023, §7]."""

FEATURES = "features"
"""Components of this name, or beginning with it and a space, are feature distances."""

ROUNDS = 400
LEVEL = 0.95


@attrs.frozen(eq=False)
class Part:
    """What one component takes from one dataset.

    Attributes
    ----------
    values : (n,) float
        Finite values of a metadata column; numbers of the bins of a column of names; or distances of features to the
        real ones, of real samples to the others.
    images : (n,) int
        Which image each is of.
    """

    values: np.ndarray
    images: np.ndarray


@attrs.frozen
class Span:
    """The histogram of a metadata component: ``bins`` equal bins from ``low`` to ``high``."""

    low: float
    high: float
    bins: int = BINS


Parts = Mapping[str, Part]


@attrs.frozen
class Component:
    """One distance of one dataset.

    Attributes
    ----------
    distance : float
        Bhattacharyya's of a column, or the mean distance of features to the real ones.
    unit : float
        The same between two random halves of the real set, on average; of features, the mean distance of real samples
        to those of other images.
    floor : float
        What a sample of this size from the real set would show, on average; of features, the unit.
    ratio : float
        1 plus what the distance has above the floor, in units.
    """

    distance: float
    unit: float
    floor: float
    ratio: float


@attrs.frozen(eq=False)
class Quality:
    """How far a dataset lies from the real one.

    Attributes
    ----------
    value : float
        Geometric mean of its components' ratios: 1 where no component lies farther than real samples do.
    low, high : float
        Ends of its interval.
    components : dict of str to Component
    rank : int
        1 + the number of datasets that are certainly nearer.
    """

    value: float
    low: float
    high: float
    components: dict[str, Component]
    rank: int


@attrs.frozen(eq=False)
class Ranking:
    """The quality of datasets by name, and what random halves of the real set show beside each other: the composite's
    ``floor`` on average, its ``upper_floor`` in the share ``level`` of splits."""

    datasets: dict[str, Quality]
    floor: float
    upper_floor: float


def column_parts(
    real: Table, others: Mapping[str, Table], columns: Sequence[str] = COLUMNS
) -> tuple[dict[str, Part], dict[str, dict[str, Part]], dict[str, Span], list[str]]:
    """The metadata components that a real table and several others have in common.

    Returns
    -------
    real : dict of str to Part
    others : dict of str to dict of str to Part
        By dataset.
    spans : dict of str to Span
        By component.
    left_out : list of str
        A sentence for each column that is left out.
    """
    tables = [real, *others.values()]
    names = ["the real set", *(f"'{name}'" for name in others)]
    parts: list[dict[str, Part]] = [{} for _ in tables]
    spans: dict[str, Span] = {}
    left_out = []
    for column in columns:
        lacking = [name for name, table in zip(names, tables, strict=True) if not _has(table, column)]
        if lacking:
            left_out.append(
                f"{column} is left out: {', '.join(lacking)} {'has' if len(lacking) == 1 else 'have'} none."
            )
            continue
        found = _labels(tables, column) if column in real.labels else _numbers(tables, column)
        span = found[1]
        if span.bins > MOST_LABELS:
            left_out.append(f"{column} is left out: {span.bins} different names.")
        elif np.ptp(found[0][0].values) == 0:
            left_out.append(f"{column} is left out: all real values are the same, which says nothing about chance.")
        else:
            spans[column] = span
            for to, part in zip(parts, found[0], strict=True):
                to[column] = part
    return parts[0], dict(zip(others, parts[1:], strict=True)), spans, left_out


def _has(table: Table, column: str) -> bool:
    return column in table.labels or bool(np.isfinite(table.columns.get(column, np.array([math.nan]))).any())


def _numbers(tables: Sequence[Table], column: str) -> tuple[list[Part], Span]:
    parts = []
    for table in tables:
        values = table.columns.get(column, np.full(len(table), math.nan))
        images = np.unique(table.image) if column in table.of_images else table.image
        known = np.isfinite(values)
        parts.append(Part(values[known], images[known]))
    return parts, Span(*bin_range(column, *(p.values for p in parts)))


def _labels(tables: Sequence[Table], column: str) -> tuple[list[Part], Span]:
    names = [t.labels.get(column, np.full(len(t), "")) for t in tables]
    categories = np.unique(np.concatenate([n[n != ""] for n in names]))
    parts = [
        Part(np.searchsorted(categories, n[n != ""]).astype(float), t.image[n != ""])
        for n, t in zip(names, tables, strict=True)
    ]
    return parts, Span(-0.5, len(categories) - 0.5, len(categories))


def quality(
    real: Parts,
    synth: Mapping[str, Parts],
    spans: Mapping[str, Span],
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
    level: float = LEVEL,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Ranking:
    """The composite distance of each dataset from the real one.

    Parameters
    ----------
    real : mapping of str to Part
        By component, from :func:`column_parts`; of a feature component the distances of real samples to those of other
        images, see :func:`.density.left_out_distances`.
    synth : mapping of str to mapping of str to Part
        The same of each dataset; of a feature component the distances to the real samples.
    spans : mapping of str to Span
        The histograms of metadata components; components without one are feature distances.
    seed : int
        Of the resamples; those of the real set are the same for all datasets.
    rounds : int
        Resamples of whole images; fewer for large sets, but at least a quarter.
    level : float
        Share of cases in which intervals hold and datasets that do not differ share a rank.
    progress : callable
        Told how many rounds are done of how many.

    Raises
    ------
    DataError
        Where there is no component, or a part without values.

    Notes
    -----
    Distances of different columns have different scales, and each is the larger the smaller the samples are. So what
    a sample of the same size from the real set would show is taken off (the floor), the rest is counted in units of
    what chance puts between two halves of the real set, and ``1 + rest`` is averaged geometrically, so that one column
    that is far off does not drown the others. Chance puts samples of n and m values apart in proportion to
    ``1 / n + 1 / m``, which gives the floor from the unit. Halves are drawn without replacement: resamples, which
    repeat values, would lie too near to each other. Histograms without a common bin count as far apart as two samples
    of their sizes can be that share one: ``ln sqrt(n m)``.

    Intervals are percentiles of resamples by image, each component's moved until their median lies on its value (as
    in :func:`.bootstrap.estimate`). A dataset is certainly nearer than another where the difference of their resamples,
    drawn with the same real images, has one sign in all but half of what ``level`` leaves.
    """
    if not real:
        raise DataError("There is no component that all datasets have. Name others, or add features.")
    names = list(real)
    for where, parts in (("the real set", real), *((f"'{k}'", v) for k, v in synth.items())):
        empty = [name for name in names if name not in parts or not len(parts[name].values)]
        if empty:
            raise DataError(f"There is no value of {', '.join(empty)} in {where}.")
    own = _Side.of(real, spans)
    others = {name: _Side.of({n: parts[n] for n in names}, spans) for name, parts in synth.items()}
    most = max(max(side.values.values()) for side in (own, *others.values()))
    rounds = max(rounds // 4, min(rounds, int(rounds * 20_000 / most)), 1)
    halves = own.halves(stream(seed, "halves"), rounds)
    units = {name: float(np.mean(values)) for name, values in halves.items()}
    chance = _composite(halves, units, units)
    drawn: dict[str, np.ndarray] = {}
    out = {}
    for k, (name, side) in enumerate(others.items()):
        exact = _distances(own.whole(), side.whole(), own.metadata)
        floors = {
            n: units[n] * (1 + own.values[n] / side.values[n]) / 4 if n in own.metadata else units[n] for n in names
        }
        rng, real_rng = stream(seed, "synth", name), stream(seed, "real")
        found: dict[str, list[float]] = {n: [] for n in names}
        for r in range(rounds):
            for n, value in _distances(own.drawn(real_rng), side.drawn(rng), own.metadata).items():
                found[n].append(exact[n] if math.isnan(value) else value)
            progress(k * rounds + r + 1, len(others) * rounds)
        moved = {n: np.array(values) + exact[n] - np.median(values) for n, values in found.items()}
        drawn[name] = _composite(moved, floors, units)
        value = float(_composite({n: np.array([d]) for n, d in exact.items()}, floors, units)[0])
        low, high = np.quantile(drawn[name], [(1 - level) / 2, (1 + level) / 2])
        components = {
            n: Component(d, units[n], floors[n], float(_ratio(d, floors[n], units[n]))) for n, d in exact.items()
        }
        out[name] = Quality(value, min(float(low), value), max(float(high), value), components, 0)
    ranked = {
        name: attrs.evolve(one, rank=1 + sum(_nearer(drawn[o], drawn[name], level) for o in out if o != name))
        for name, one in out.items()
    }
    return Ranking(ranked, float(chance.mean()), float(np.quantile(chance, level)))


def _composite(found: Mapping[str, np.ndarray], floors: Mapping[str, float], units: Mapping[str, float]) -> np.ndarray:
    """Geometric means over the components of (r,) distances."""
    logs = [np.log(_ratio(values, floors[n], units[n])) for n, values in found.items()]
    return np.asarray(np.exp(np.mean(logs, axis=0)))


def _ratio(distance: np.ndarray | float, floor: float, unit: float) -> np.ndarray:
    return 1.0 + np.maximum(np.asarray(distance) - floor, 0.0) / unit


def _nearer(a: np.ndarray, b: np.ndarray, level: float) -> bool:
    """Whether the first is the smaller one in all but half of what the level leaves."""
    return bool(np.mean(a < b) >= (1 + level) / 2)


@attrs.frozen(eq=False)
class _Side:
    """A dataset as sums over its images: of each metadata component the counts per bin (images, bins), of each
    feature component the sum and the count (images, 2)."""

    sums: dict[str, np.ndarray]
    metadata: frozenset[str]
    values: dict[str, int]

    @classmethod
    def of(cls, parts: Parts, spans: Mapping[str, Span]) -> _Side:
        images = np.unique(np.concatenate([p.images for p in parts.values()]))
        sums = {}
        for name, part in parts.items():
            at = np.searchsorted(images, part.images)
            if name in spans:
                span = spans[name]
                width = (span.high - span.low) / span.bins
                bins = np.clip(np.floor((part.values - span.low) / width), 0, span.bins - 1).astype(int)
                counts = np.bincount(at * span.bins + bins, minlength=len(images) * span.bins)
                sums[name] = counts.reshape(len(images), span.bins).astype(float)
            else:
                totals = np.bincount(at, part.values, minlength=len(images))
                sums[name] = np.stack([totals, np.bincount(at, minlength=len(images))], 1)
        values = {name: len(part.values) for name, part in parts.items()}
        return cls(sums, frozenset(n for n in parts if n in spans), values)

    @property
    def images(self) -> int:
        return len(next(iter(self.sums.values())))

    def weighted(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        return {name: weights @ sums for name, sums in self.sums.items()}

    def whole(self) -> dict[str, np.ndarray]:
        return self.weighted(np.ones(self.images))

    def drawn(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A resample of whole images."""
        times = rng.multinomial(self.images, np.full(self.images, 1.0 / self.images))
        return self.weighted(times.astype(float))

    def halves(self, rng: np.random.Generator, rounds: int) -> dict[str, np.ndarray]:
        """Distances between random halves of the images; of features, the means of one half."""
        found: dict[str, list[float]] = {name: [] for name in self.sums}
        for _ in range(rounds):
            inside = np.zeros(self.images)
            inside[rng.permutation(self.images)[: self.images // 2]] = 1.0
            halves = _distances(self.weighted(inside), self.weighted(1.0 - inside), self.metadata)
            for name, value in halves.items():
                found[name].append(value)
        out = {}
        for name, values in found.items():
            known = np.array([v for v in values if math.isfinite(v)])
            if not len(known) or not known.mean() > 0:
                raise DataError(
                    f"The real set says nothing about how far chance takes '{name}': it has too few images with a "
                    "value, or its halves are always the same. Take more real images, or leave that component out."
                )
            out[name] = np.resize(known, rounds)
        return out


def _distances(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], metadata: frozenset[str]) -> dict[str, float]:
    """Distances of all components; of a feature component the mean of the second side. NaN where a side is empty."""
    out = {}
    for name, p in a.items():
        q = b[name]
        if name not in metadata:
            out[name] = float(q[0] / q[1]) if q[1] else math.nan
            continue
        n, m = p.sum(), q.sum()
        if not n or not m:
            out[name] = math.nan
            continue
        overlap = float(np.sqrt(p / n * q / m).sum())
        least = 1.0 / math.sqrt(max(n * m, 2.0))  # one value each in a common bin
        out[name] = max(0.0, -math.log(min(1.0, max(overlap, least))))
    return out

# SPDX-License-Identifier: GPL-3.0-or-later
"""The quality of synthetic datasets without training: a composite distance, its interval, and ranks [Zhang2023, §6]."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import numpy as np

from ....engine.errors import DataError
from ....engine.rng import stream
from ..bootstrap import CONFIDENCE_LEVEL, N_BOOTSTRAP
from ..registry import PRIMARY, find_distance
from .components import Bins, Samples
from .image_sums import AT_A_TIME, ImageSums

_NO_CHANCE = (
    "Chance cannot be estimated for '{}': the real set has too few images with a value, or its halves are always the "
    "same. Take more real images, or leave that component out."
)


@attrs.frozen
class Component:
    """One distance of one dataset.

    Attributes
    ----------
    distance : float
        Of the histograms of a column, or the kernel distance (KID) of features.
    unit : float
        The same between two random halves of the real set, on average; of features, at most in the share
        ``confidence_level`` of splits.
    floor : float
        What a sample of this size from the real set would show, on average; of features 0, since KID is unbiased.
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
        1 + the number of datasets that are significantly nearer.
    """

    value: float
    low: float
    high: float
    components: dict[str, Component]
    rank: int


@attrs.frozen(eq=False)
class Ranking:
    """The quality of datasets by name, and what random halves of the real set show beside each other: the composite's
    ``floor`` on average, its ``upper_floor`` at most in the share ``confidence_level`` of splits."""

    datasets: dict[str, Quality]
    floor: float
    upper_floor: float


def quality(
    real: Samples,
    synth: Mapping[str, Samples],
    bins: Mapping[str, Bins],
    *,
    seed: int = 0,
    n_bootstrap: int = N_BOOTSTRAP,
    confidence_level: float = CONFIDENCE_LEVEL,
    distance: str = PRIMARY,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Ranking:
    """The composite distance of each dataset from the real one.

    Parameters
    ----------
    real : mapping of str to ComponentSample
        By component: columns from :func:`.components.column_components`, and feature vectors.
    synth : mapping of str to mapping of str to ComponentSample
        The same of each dataset.
    bins : mapping of str to Bins
        The histograms of metadata components; components without one are feature vectors.
    seed : int
        Of the resamples; those of the real set are the same for all datasets.
    n_bootstrap : int
        Resamples of whole images; fewer for large sets, but at least a quarter.
    confidence_level : float
        Share of cases in which intervals hold and datasets that do not differ share a rank.
    distance : str
        Name of the declared distance between histograms of metadata columns. Columns of categories have the primary
        one where it needs an order.
    progress : callable
        Called with the number of resamples done and their total.

    Raises
    ------
    DataError
        Where there is no component, a sample without values, or no such distance.

    Notes
    -----
    Distances of different columns have different scales, and each is the larger the smaller the samples are. So the
    distance that a sample of the same size from the real set would show is subtracted (the floor), the rest is measured
    in units of the average distance between two halves of the real set, and ``1 + rest`` is averaged geometrically, so
    that one column that differs much does not dominate the others. The expected distance of samples of n and m values
    is proportional to ``1 / n + 1 / m``, which gives the floor from the unit. Halves are drawn without replacement:
    resamples, which repeat values, would lie too near to each other. Of Bhattacharyya distances, histograms without a
    common bin count as far apart as two samples of their sizes that share one value can be: ``ln sqrt(n m)``.

    Features are compared by their whole distribution, KID [Bińkowski et al., "Demystifying MMD GANs", ICLR 2018]. The
    distances of synthetic boxes to the nearest real ones do not tell objects on white from objects in rooms.

    Intervals are percentiles of resamples by image, each component's shifted until their median equals its value (as
    in :func:`.bootstrap.estimate`). A dataset is significantly nearer than another where the difference of their
    resamples, drawn with the same real images, has one sign in the share ``(1 + confidence_level) / 2`` of them.
    """
    if not real:
        raise DataError("There is no component that all datasets have. Name others, or add features.")
    names = list(real)
    of_numbers = find_distance(distance)
    of_categories = find_distance(PRIMARY) if of_numbers.ordered else of_numbers
    measures = {name: of_categories if of_bins.categories else of_numbers for name, of_bins in bins.items()}
    for where, samples in (("the real set", real), *((f"'{k}'", v) for k, v in synth.items())):
        empty = [name for name in names if name not in samples or not len(samples[name].values)]
        if empty:
            raise DataError(f"There is no value of {', '.join(empty)} in {where}.")
    own = ImageSums.of(real, bins, measures)
    others = {name: ImageSums.of({n: of[n] for n in names}, bins, measures) for name, of in synth.items()}
    largest = max(max(sums.n_values.values()) for sums in (own, *others.values()))
    n_bootstrap = max(n_bootstrap // 4, min(n_bootstrap, int(n_bootstrap * 20_000 / largest)), 1)
    halves = own.split_half_distances(stream(seed, "halves"), n_bootstrap)
    units = {n: float(np.mean(d) if n in bins else np.quantile(d, confidence_level)) for n, d in halves.items()}
    for name, unit in units.items():
        if not unit > 0:
            raise DataError(_NO_CHANCE.format(name))
    no_floor = dict.fromkeys(set(names) - set(bins), 0.0)
    null = _composite(halves, units | no_floor, units)
    bootstrap: dict[str, np.ndarray] = {}
    datasets = {}
    for k, (name, other) in enumerate(others.items()):
        exact = {n: float(d[0]) for n, d in own.distances(other, own.once, other.once).items()}
        floors = {n: units[n] * (1 + own.n_values[n] / other.n_values[n]) / 4 for n in names} | no_floor
        rng, real_rng = stream(seed, "synth", name), stream(seed, "real")
        resampled: dict[str, list[np.ndarray]] = {n: [] for n in names}
        for done in range(0, n_bootstrap, AT_A_TIME):
            count = min(AT_A_TIME, n_bootstrap - done)
            drawn = own.distances(other, own.resampled(real_rng, count), other.resampled(rng, count))
            for n, values in drawn.items():
                resampled[n].append(np.where(np.isnan(values), exact[n], values))
            progress(k * n_bootstrap + done + count, len(others) * n_bootstrap)
        together = {n: np.concatenate(values) for n, values in resampled.items()}
        centred = {n: values + exact[n] - np.median(values) for n, values in together.items()}
        bootstrap[name] = _composite(centred, floors, units)
        value = float(_composite({n: np.array([d]) for n, d in exact.items()}, floors, units)[0])
        low, high = np.quantile(bootstrap[name], [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
        components = {
            n: Component(d, units[n], floors[n], float(_ratio(d, floors[n], units[n]))) for n, d in exact.items()
        }
        datasets[name] = Quality(value, min(float(low), value), max(float(high), value), components, 0)
    ranked = {
        name: attrs.evolve(
            one,
            rank=1 + sum(_is_nearer(bootstrap[o], bootstrap[name], confidence_level) for o in datasets if o != name),
        )
        for name, one in datasets.items()
    }
    return Ranking(ranked, float(null.mean()), float(np.quantile(null, confidence_level)))


def _composite(
    distances: Mapping[str, np.ndarray], floors: Mapping[str, float], units: Mapping[str, float]
) -> np.ndarray:
    """Geometric means over the components of (r,) distances."""
    logs = [np.log(_ratio(values, floors[n], units[n])) for n, values in distances.items()]
    return np.asarray(np.exp(np.mean(logs, axis=0)))


def _ratio(distance: np.ndarray | float, floor: float, unit: float) -> np.ndarray:
    return 1.0 + np.maximum(np.asarray(distance) - floor, 0.0) / unit


def _is_nearer(a: np.ndarray, b: np.ndarray, confidence_level: float) -> bool:
    """Whether the first is the smaller one in all but half of what the level leaves."""
    return bool(np.mean(a < b) >= (1 + confidence_level) / 2)

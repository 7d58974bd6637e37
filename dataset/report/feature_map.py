# SPDX-License-Identifier: GPL-3.0-or-later
"""Real and synthetic boxes in the feature space of a vision model: a two-dimensional map, and notable boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np

from ...alignment.distances.feature_estimates import FeatureEstimate, estimate_features
from ...alignment.features.crops import crop_boxes
from ...alignment.features.density import Density, fit_density
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ...engine.rng import stream
from ..analysis.features import MIN_BOX_SIDE
from ..formats.coco import by_image
from ..progress import Progress
from .report_dataset import ReportDataset, spread

EXAMPLES = 6
"""Number of examples of each kind."""
THUMBNAIL = (104, 104)
RARE = 0.05
"""Boxes with a lower score are less typical than all but this share of real ones."""


@attrs.frozen(eq=False)
class Boxes:
    """Boxes of one dataset: ids, image ids, features (n, d), and thumbnails (n, h, w, 3) uint8."""

    ids: np.ndarray
    image: np.ndarray
    features: np.ndarray
    pictures: np.ndarray


@attrs.frozen(eq=False)
class Example:
    """An example box: its thumbnail, its position on the map, and the thumbnail of the other dataset's nearest box."""

    picture: np.ndarray
    at: tuple[float, float]
    nearest: np.ndarray


@attrs.frozen(eq=False)
class FeatureMap:
    """The map.

    Attributes
    ----------
    real, synth : (n, 2), (m, 2) float
        Principal components of both sides together, in standard deviations of the real features.
    explained : float
        Share of the variance that the two dimensions show.
    strange : float
        Share of synthetic boxes that are less typical than 95% of the real ones.
    odd, typical, uncovered : tuple of Example
        Synthetic boxes least and most like real ones; real boxes farthest from any synthetic one.
    scores : dict of int to float
        Annotation id of a synthetic box to its score, see :meth:`...alignment.density.Density.score`.
    model : str
        Name of the model.
    notes : tuple of str
    distances : dict of str to FeatureEstimate
        Each declared distance of the two sets of features; empty with too few boxes.
    boxes : pair of Boxes, or None
        The real and the synthetic boxes.
    """

    real: np.ndarray
    synth: np.ndarray
    explained: float
    strange: float
    odd: tuple[Example, ...]
    typical: tuple[Example, ...]
    uncovered: tuple[Example, ...]
    scores: Mapping[int, float]
    model: str
    notes: tuple[str, ...] = ()
    distances: Mapping[str, FeatureEstimate] = attrs.field(factory=dict)
    boxes: tuple[Boxes, Boxes] | None = None


def feature_map(
    real: ReportDataset,
    synth: ReportDataset,
    class_name: str,
    extractor: Extractor,
    *,
    limit: int = 300,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> FeatureMap:
    """Map the boxes of a class from both datasets.

    Parameters
    ----------
    real, synth : ReportDataset
    class_name : str
    extractor : Extractor
    limit : int
        At most this many boxes per dataset, evenly spaced.
    seed : int
        Of the resamples of distances.
    progress : callable
        Takes the number of boxes done and their total.

    Raises
    ------
    DataError
        If either side has too few boxes with images.
    """
    wanted = [_sample_boxes(dataset, class_name, limit) for dataset in (real, synth)]
    total, done = sum(map(len, wanted)), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    a, b = (_extract(m, boxes, extractor, advance) for m, boxes in zip((real, synth), wanted, strict=True))
    if not len(b.ids):
        raise DataError(f"'{synth.name}' has no image with a box of '{class_name}' of at least {MIN_BOX_SIDE} pixels.")
    density = fit_density(a.features, a.image)
    at_a, at_b, explained = _project(density, a.features, b.features)
    near_b, _ = _nearest(density, b.features, a.features)
    near_a, gap = _nearest(density, a.features, b.features)
    far, scores = density.distance(b.features), density.score_samples(b.features)
    order = np.argsort(far, kind="stable")
    notes = density.notes()
    distances: dict[str, FeatureEstimate] = {}
    try:
        rng = stream(seed, "feature distances", class_name)
        distances = estimate_features(a.features, b.features, rng, images=(a.image, b.image))
    except DataError as error:
        notes.append(str(error))

    def examples(chosen: np.ndarray, own: Boxes, at: np.ndarray, other: Boxes, near: np.ndarray) -> tuple[Example, ...]:
        places = [(float(at[i, 0]), float(at[i, 1])) for i in chosen]
        return tuple(
            Example(own.pictures[i], xy, other.pictures[near[i]]) for i, xy in zip(chosen, places, strict=True)
        )

    return FeatureMap(
        real=at_a,
        synth=at_b,
        explained=explained,
        strange=float(np.mean(scores <= RARE)),
        odd=examples(order[::-1][:EXAMPLES], b, at_b, a, near_b),
        typical=examples(order[:EXAMPLES], b, at_b, a, near_b),
        uncovered=examples(np.argsort(-gap, kind="stable")[:EXAMPLES], a, at_a, b, near_a),
        scores={int(i): float(s) for i, s in zip(b.ids, scores, strict=True)},
        model=extractor.path.name,
        notes=tuple(notes),
        distances=distances,
        boxes=(a, b),
    )


def _sample_boxes(dataset: ReportDataset, class_name: str, limit: int) -> list[Mapping[str, Any]]:
    large = [a for a in dataset.coco.annotations_of(class_name) if min(a["bbox"][2:]) >= MIN_BOX_SIDE]
    return [large[i] for i in spread(len(large), limit)]


def _extract(
    dataset: ReportDataset, wanted: list[Mapping[str, Any]], extractor: Extractor, advance: Callable[[int], None]
) -> Boxes:
    of_image = by_image(wanted)
    ids: list[int] = []
    owners: list[int] = []
    features, pictures = [], []
    for image in dataset.coco.images:
        group = of_image.get(image["id"])
        picture = dataset.picture(image) if group else None
        if group and picture is not None:
            boxes = [a["bbox"] for a in group]
            features.append(extractor.extract_boxes(picture, boxes))
            pictures.append(crop_boxes(picture, boxes, THUMBNAIL))
            ids += [a["id"] for a in group]
            owners += [image["id"]] * len(group)
        advance(len(group or ()))
    if not features:
        return Boxes(np.empty(0, int), np.empty(0, int), np.empty((0, 0)), np.empty((0, *THUMBNAIL, 3), np.uint8))
    return Boxes(np.array(ids), np.array(owners), np.concatenate(features), np.concatenate(pictures))


def _project(density: Density, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Both sides on their first two principal axes, with equal total weight."""
    parts = [(features - density.mean) / density.scale for features in (a, b)]
    both = np.concatenate(parts)
    weight = np.concatenate([np.full(len(p), 0.5 / len(p)) for p in parts])
    centred = both - weight @ both
    values, axes = np.linalg.eigh((centred * weight[:, None]).T @ centred)
    chosen = axes[:, ::-1][:, :2]
    # The sign of an axis is arbitrary: its largest entry is made positive, for a reproducible map.
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(0), np.arange(chosen.shape[1])])
    at = centred @ chosen
    if at.shape[1] < 2:
        at = np.column_stack([at, np.zeros(len(at))])
    return at[: len(a)], at[len(a) :], float(values[::-1][:2].sum() / max(values.sum(), 1e-300))


def _nearest(density: Density, own: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest box of the other side for each box, and its distance."""
    from sklearn.neighbors import NearestNeighbors

    x, y = map(density.transform, (own, other))
    distance, index = NearestNeighbors(n_neighbors=1).fit(y).kneighbors(x)
    return index[:, 0], distance[:, 0]

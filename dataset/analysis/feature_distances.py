# SPDX-License-Identifier: GPL-3.0-or-later
"""Feature distances of boxes: to real ones for the quality of datasets, to synthetic ones for their coverage."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import attrs
import numpy as np

from ...alignment.distances.classifier_test import CLASSIFIER, classifier_auc
from ...alignment.distances.composite.components import ComponentSample
from ...alignment.distances.feature_distance import FeatureSets
from ...alignment.distances.feature_estimates import MIN_BOXES, FeatureEstimate, estimate_features
from ...alignment.features.crops import MARGIN, SURROUNDINGS
from ...alignment.features.density import fit_density
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ...engine.rng import stream
from ..formats.coco import CocoFile
from ..formats.dataset_folder import ImageDataset
from ..progress import StepProgress
from .features import MIN_BOX_SIDE, BoxFeatures, box_features

MAX_BOXES = 2000
"""With more boxes of a class in a dataset, only a random sample of its images is used."""


@attrs.frozen
class FeatureSamples:
    """What features say of datasets.

    Attributes
    ----------
    real : ComponentSample
        Features of real boxes, each divided by its standard deviation over all datasets.
    synth : dict of str to ComponentSample
        By dataset: the same of its boxes.
    of_sets : dict of str to (dict of str to FeatureEstimate)
        By dataset: distances between all of its boxes and all real ones; empty with too few boxes.
    problems : list of str
        A sentence per unusable image.
    """

    real: ComponentSample
    synth: dict[str, ComponentSample]
    of_sets: dict[str, dict[str, FeatureEstimate]]
    problems: list[str]


def feature_samples(
    real: ImageDataset,
    others: Mapping[str, ImageDataset],
    class_name: str,
    extractor: Extractor,
    rng: np.random.Generator,
    *,
    margin: float = SURROUNDINGS,
    min_side: float = MIN_BOX_SIDE,
    max_boxes: int = MAX_BOXES,
    progress: StepProgress = lambda what, done, total: None,
) -> FeatureSamples:
    """Features of the boxes of datasets, and distances between them.

    Raises
    ------
    DataError
        If there are too few real boxes, or a dataset has none that is large enough.
    """
    settings = _Settings(class_name, extractor, margin, min_side, max_boxes, progress)
    own = _features("the real set", real, settings, rng)
    if len(own.features) < MIN_BOXES:
        raise DataError(f"{len(own.features)} real boxes are too few. At least {MIN_BOXES} are needed.")
    boxes = {name: _features(name, dataset, settings, rng) for name, dataset in others.items()}
    everything = np.concatenate([own.features, *(of.features for of in boxes.values())])
    ends = np.cumsum([len(own.features), *(len(of.features) for of in boxes.values())])
    scaled = np.split(FeatureSets(everything).features, ends[:-1])
    return FeatureSamples(
        ComponentSample(scaled[0], own.image),
        {name: ComponentSample(part, of.image) for (name, of), part in zip(boxes.items(), scaled[1:], strict=True)},
        {name: _set_distances_or_none(own, of, class_name, everything) for name, of in boxes.items()},
        [problem for of in (own, *boxes.values()) for problem in of.problems],
    )


def set_distances(
    real: ImageDataset,
    synth: ImageDataset,
    class_name: str,
    extractor: Extractor,
    seed: int = 0,
    *,
    max_boxes: int = MAX_BOXES,
    progress: StepProgress = lambda what, done, total: None,
) -> tuple[dict[str, FeatureEstimate], list[str]]:
    """KID, precision, recall, density and coverage of the boxes of a class, and a sentence per unusable image.

    Under ``CLASSIFIER``, the area under the ROC curve of a classifier that tells both sets apart; it is missing where
    there are too few images.

    Raises
    ------
    DataError
        If a dataset has too few boxes that are large enough.
    """
    rng = stream(seed, "thin", class_name)
    settings = _Settings(class_name, extractor, MARGIN, MIN_BOX_SIDE, max_boxes, progress)
    own, other = _features("the real set", real, settings, rng), _features("the synthetic set", synth, settings, rng)
    found = feature_set_distances(own, other, class_name, seed)
    with suppress(DataError):
        images = (own.image, other.image)
        found[CLASSIFIER] = classifier_auc(
            own.features, other.features, stream(seed, "classifier", class_name), images=images
        )
    return found, [*own.problems, *other.problems]


def feature_set_distances(
    real: BoxFeatures, synth: BoxFeatures, class_name: str, seed: int = 0, reference: np.ndarray | None = None
) -> dict[str, FeatureEstimate]:
    """Each declared distance of two sets of features; see :func:`..feature_estimates.estimate_features`."""
    rng = stream(seed, "feature distances", class_name)
    return estimate_features(real.features, synth.features, rng, images=(real.image, synth.image), reference=reference)


def _set_distances_or_none(
    real: BoxFeatures, synth: BoxFeatures, class_name: str, reference: np.ndarray
) -> dict[str, FeatureEstimate]:
    try:
        return feature_set_distances(real, synth, class_name, reference=reference)
    except DataError:
        return {}


@attrs.frozen
class SyntheticDistances:
    """Distances of real boxes to synthetic ones: ``values`` (n,), the ids (n,) of their ``images`` and
    ``annotations``, how many real boxes were too ``small``, and a sentence per unusable image in ``problems``."""

    values: np.ndarray
    images: np.ndarray
    annotations: np.ndarray
    small: int
    problems: tuple[str, ...]


def distances_to_synthetic(
    real: ImageDataset,
    synth: ImageDataset,
    class_name: str,
    extractor: Extractor,
    rng: np.random.Generator,
    *,
    margin: float = MARGIN,
    min_side: float = MIN_BOX_SIDE,
    max_boxes: int = MAX_BOXES,
    progress: StepProgress = lambda what, done, total: None,
) -> SyntheticDistances:
    """Mean distance of each real box to its nearest five synthetic ones in feature space.

    Raises
    ------
    DataError
        If there are too few synthetic boxes, or no real one that is large enough.
    """
    settings = _Settings(class_name, extractor, margin, min_side, max_boxes, progress)
    others = _features("the synthetic set", synth, settings, rng)
    density = fit_density(others.features, others.image)
    own = _features("the real set", real, settings, rng)
    return SyntheticDistances(
        density.distance(own.features), own.image, own.annotation, own.small, (*own.problems, *others.problems)
    )


@attrs.frozen(eq=False)
class _Settings:
    class_name: str
    extractor: Extractor
    margin: float
    min_side: float
    max_boxes: int
    progress: StepProgress


def _features(what: str, of: ImageDataset, settings: _Settings, rng: np.random.Generator) -> BoxFeatures:
    return box_features(
        subsample_images(of.coco, settings.class_name, settings.max_boxes, rng),
        of.images,
        settings.class_name,
        settings.extractor,
        margin=settings.margin,
        min_side=settings.min_side,
        progress=lambda done, total: settings.progress(f"Extracting features of {what}", done, total),
    )


def subsample_images(coco: CocoFile, class_name: str, max_boxes: int, rng: np.random.Generator) -> CocoFile:
    """A random sample of a dataset's images with about ``max_boxes`` boxes of a class."""
    owners = np.array([a["image_id"] for a in coco.annotations_of(class_name)])
    if len(owners) <= max_boxes:
        return coco
    ids, counts = np.unique(owners, return_counts=True)
    order = rng.permutation(len(ids))
    count = int(np.searchsorted(np.cumsum(counts[order]), max_boxes)) + 1
    kept = set(ids[order[:count]].tolist())
    return attrs.evolve(
        coco,
        images=[i for i in coco.images if i["id"] in kept],
        annotations=[a for a in coco.annotations if a["image_id"] in kept],
    )

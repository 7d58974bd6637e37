# SPDX-License-Identifier: GPL-3.0-or-later
"""Divides a real dataset into images that a target or detector may see and images that test it, by groups of images.

The [split] of a recipe is another thing: it divides the assets of a synthetic dataset.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from ..formats.coco import CocoFile
from .image_groups import ImageGroups

_MAX_PARTS = 20
"""The share for testing is rounded to a fraction with at most this denominator."""


@attrs.frozen(eq=False)
class Fold:
    """One division: whether each image (n,), in the order of the dataset, is a ``test`` image."""

    test: np.ndarray


def split_images(
    coco: CocoFile,
    groups: ImageGroups,
    *,
    test_share: float = 0.3,
    folds: int = 0,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> list[Fold]:
    """Divide images so that no group is in both parts and both have the classes in like shares.

    Parameters
    ----------
    coco : CocoFile
    groups : ImageGroups
        Of its images, in their order.
    test_share : float
        Wanted share of the test images; groups may not allow it exactly.
    folds : int
        From 2 on, that many divisions instead: each image is in the test part of one.
    classes : sequence of str
        Classes that each part must have.
    seed : int

    Raises
    ------
    DataError
        If there are too few groups of images, or of images with one of the classes.

    Notes
    -----
    scikit-learn's ``StratifiedGroupKFold`` assigns groups, the most unevenly mixed first, each to the part in which it
    leaves the shares of the classes most alike. What it balances are boxes by class, and images.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    fraction = Fraction(test_share).limit_denominator(_MAX_PARTS)
    if not folds and not 0 < fraction < 1:
        raise DataError(f"The share of test images must be more than 0 and less than 1. Got {test_share:g} instead.")
    parts = folds or fraction.denominator
    if folds == 1 or folds < 0:
        raise DataError(f"--folds must be 2 or more. Got {folds} instead.")
    _check_groups(coco, groups, folds or 2, classes)
    if not folds and groups.count < parts:  # a coarser fraction, as near to the share as groups allow
        tested = min(max(round(test_share * groups.count), 1), groups.count - 1)
        parts, fraction = groups.count, Fraction(tested, groups.count)
    owner, label = _samples(coco)
    kfold = StratifiedGroupKFold(parts, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on classes with fewer boxes than parts
        of_parts = [
            np.isin(np.arange(len(coco.images)), owner[test])
            for _, test in kfold.split(owner, label, groups.group[owner])
        ]
    if folds:
        return [Fold(test) for test in of_parts]
    tested = fraction.numerator if fraction.denominator == parts else round(float(fraction) * parts)
    return [Fold(np.any(of_parts[:tested], axis=0))]


def _samples(coco: CocoFile) -> tuple[np.ndarray, np.ndarray]:
    """What is balanced, as the index of its image (m,) and a label (m,): the boxes by class, and the images."""
    place = {image["id"]: i for i, image in enumerate(coco.images)}
    boxes = [a for a in coco.annotations if not a.get("iscrowd")]
    owner = [*range(len(coco.images)), *(place[a["image_id"]] for a in boxes)]
    numbers = {c["id"]: k for k, c in enumerate(coco.categories, 1)}
    return np.array(owner), np.array([0] * len(coco.images) + [numbers[a["category_id"]] for a in boxes])


def _check_groups(coco: CocoFile, groups: ImageGroups, parts: int, classes: Sequence[str]) -> None:
    if groups.count < parts:
        images = "1 image" if len(coco.images) == 1 else f"{len(coco.images)} images"
        made = "is 1 group" if groups.count == 1 else f"are {groups.count} groups"
        reasons = Counter(link.why for link in groups.links)
        why = f" (linked by {', '.join(f'{why} {n} times' for why, n in reasons.items())})" if reasons else ""
        raise DataError(
            f"'{coco.path}' cannot be split into {parts} parts: its {images} {made} of images that belong "
            f"together{why}. Take photos of further places or times, or relax the rule with --seconds and --name-gap."
        )
    for name in classes:
        images_with = {a["image_id"] for a in coco.annotations_of(name)}
        rows = [i for i, image in enumerate(coco.images) if image["id"] in images_with]
        own = len(np.unique(groups.group[rows])) if rows else 0
        if own < parts:
            raise DataError(
                f"'{coco.path}' cannot be split into {parts} parts that all have the class '{name}': its boxes are in "
                f"{own} group{'s' if own != 1 else ''} of images that belong together. Label more photos of it, or "
                "ask for fewer folds."
            )


def part_of(coco: CocoFile, chosen: np.ndarray) -> dict[str, Any]:
    """The COCO dataset with some of the images, (n,) bool; all categories stay, with their ids."""
    images = [image for image, one in zip(coco.images, chosen, strict=True) if one]
    ids = {image["id"] for image in images}
    annotations = [a for a in coco.annotations if a["image_id"] in ids]
    return {**coco.about, "images": images, "annotations": annotations, "categories": coco.categories}


def box_counts(coco: CocoFile, chosen: np.ndarray) -> Mapping[str, int]:
    """Boxes by class name in some of the images, (n,) bool, without crowds."""
    part = part_of(coco, chosen)
    return CocoFile(coco.path, part["images"], part["annotations"], part["categories"]).classes()

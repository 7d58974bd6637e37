# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dataset has, counted, and what of it a format cannot hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from ...engine.plugin.finished_dataset import CONTENTS, FinishedDataset
from .outlines import has_holes, masks_of

_KNOWN = frozenset(
    {"id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd", "twinset", "ignore", "part"}
)
"""Keys of annotations that other contents stand for."""


def contents_of(dataset: FinishedDataset, without: Collection[str] = ()) -> Counter[str]:
    """How many images, annotations or categories have each of :data:`...engine.plugin.finished_dataset.CONTENTS`.

    ``without`` names contents that need not be counted; holes and overlaps need all masks.
    """
    found: Counter[str] = Counter()
    for image, own in dataset.by_image():
        found["empty images"] += not own
        for annotation in own:
            found["boxes"] += 1
            found["decimals"] += any(float(value) != int(value) for value in annotation["bbox"])
            found["masks"] += bool(annotation.get("segmentation"))
            found["crowds"] += bool(annotation.get("iscrowd"))
            found["twinset"] += bool(annotation.get("twinset"))
            found["entries"] += not annotation.keys() <= _KNOWN
        if "holes" not in without or "overlaps" not in without:
            found += _of_masks(own, image, without)
    found["parts"] = len(dataset.parts)
    found["class names"] = sum(" " in str(category["name"]) for category in dataset.categories)
    found["supercategories"] = sum(not category.keys() <= {"id", "name"} for category in dataset.categories)
    return found


def _of_masks(annotations: Any, image: Mapping[str, Any], without: Collection[str]) -> Counter[str]:
    masks = [mask for mask in masks_of(annotations, image) if mask is not None]
    found: Counter[str] = Counter()
    if "holes" not in without:
        found["holes"] = sum(map(has_holes, masks))
    if "overlaps" not in without and len(masks) > 1:
        found["overlaps"] = int((sum(mask.astype("uint16") for mask in masks) > 1).any())  # type: ignore[union-attr]
    return found


def losses(dataset: FinishedDataset, holds: Collection[str]) -> dict[str, int]:
    """What a dataset has that a format cannot hold, in words, with counts; masks' details only where it holds masks."""
    kept = {*holds} | (set() if "masks" in holds else {"holes", "overlaps"})
    found = contents_of(dataset, without=kept)
    return {CONTENTS[name]: found[name] for name in CONTENTS if name not in kept and found[name]}

# SPDX-License-Identifier: GPL-3.0-or-later
"""How many things of each class real photos show together, and how often they stand on others."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import attrs
import numpy as np

from ...engine.stage import RealPhotos
from ..formats.coco import read_coco


@attrs.frozen(eq=False)
class ThingCounts:
    """Boxes of each class in each photo.

    Attributes
    ----------
    photos : sequence of mappings
        Number of boxes by class, one mapping per photo.
    carried : mapping of str to float
        Share of the boxes of a class whose lower edge is inside a box of a carrying class.
    """

    photos: Sequence[Mapping[str, int]]
    carried: Mapping[str, float]

    def draw(self, rng: np.random.Generator, present: Collection[str]) -> Mapping[str, int]:
        """The counts of one photo, of those that show one of the ``present`` classes where there are some."""
        alike = [photo for photo in self.photos if any(name in photo for name in present)] or self.photos
        return alike[int(rng.integers(len(alike)))]


def count_things(photos: RealPhotos, carriers: Collection[str]) -> ThingCounts:
    """Count the things in real photos; ``carriers`` are the classes that others may stand on."""
    changed = photos.annotations.stat().st_mtime_ns if photos.annotations.is_file() else 0
    return _count(photos, changed, frozenset(carriers))


@functools.lru_cache(maxsize=16)
def _count(photos: RealPhotos, changed: int, carriers: frozenset[str]) -> ThingCounts:
    coco = read_coco(photos.annotations)
    names = {category["id"]: category["name"] for category in coco.categories}
    by_image: dict[int, list[tuple[str, list[float]]]] = {image["id"]: [] for image in coco.images}
    for annotation in coco.annotations:
        if not annotation.get("iscrowd"):
            by_image[annotation["image_id"]].append((names[annotation["category_id"]], annotation["bbox"]))
    total: Counter[str] = Counter()
    carried: Counter[str] = Counter()
    for boxes in by_image.values():
        below = [bbox for name, bbox in boxes if name in carriers]
        for name, (x, y, w, h) in boxes:
            if name not in carriers:
                total[name] += 1
                carried[name] += any(_inside(x + w / 2, y + h, bbox) for bbox in below)
    shares = {name: carried[name] / count for name, count in total.items()}
    return ThingCounts([Counter(name for name, _ in boxes) for boxes in by_image.values()], shares)


def _inside(x: float, y: float, bbox: Sequence[float]) -> bool:
    left, top, width, height = bbox
    return left <= x <= left + width and top <= y <= top + height

# SPDX-License-Identifier: GPL-3.0-or-later
"""YOLO for poses: box and keypoints per line, in image units, with COCO's visibility flags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ...dataset.exports.yolo_files import box_line, write_yolo
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin

_SIDES = {"left": "right", "l": "r"}


@plugin("writer")
class YoloPose(Writer):
    """Write images, keypoints and ``data.yaml`` for pose estimation with YOLO.

    Needs classes with ``keypoints``. YOLO has one number of keypoints for all classes: those of others are filled up
    with points that are not labelled. Keypoints named left and right, or ``.L`` and ``.R``, are swapped by trainers
    that mirror images (``flip_idx``). Crowds are left out.
    """

    folder = "yolo_pose"
    copies_images = True
    image_files = (("labels", ".txt"), *(("images", suffix) for suffix in IMAGE_SUFFIXES))
    holds = ("boxes", "decimals", "class names", "empty images", "parts")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        names = [category.get("keypoints", []) for category in dataset.categories]
        most: list[str] = max(names, key=len, default=[])
        more = {"kpt_shape": [len(most), 3], "flip_idx": flip_indices(most)}
        write_yolo(dataset, files, partial(_line, len(most)), copies_images=True, more=more)


def flip_indices(names: Sequence[str]) -> list[int]:
    """For each keypoint the number of the one that it becomes in a mirrored image."""
    mirrored = {name: _mirrored(name) for name in names}
    return [names.index(mirrored[name]) if mirrored[name] in names else k for k, name in enumerate(names)]


def _mirrored(name: str) -> str:
    """The name with left and right swapped, where one of them is a word of it."""
    other = _SIDES | {right: left for left, right in _SIDES.items()}

    def swap(match: re.Match[str]) -> str:
        word = match[0]
        swapped = other[word.lower()]
        return swapped.upper() if word.isupper() else swapped.capitalize() if word[0].isupper() else swapped

    return re.sub(r"(?<![A-Za-z])(left|right|l|r)(?![A-Za-z])", swap, name, flags=re.IGNORECASE)


def _line(count: int, annotation: Mapping[str, Any], image: Mapping[str, Any], number: int) -> str:
    values = list(annotation.get("keypoints") or ())[: 3 * count]
    values += [0.0] * (3 * count - len(values))
    width, height = image["width"], image["height"]
    points = (f"{x / width:.8f} {y / height:.8f} {v:.0f}" for x, y, v in zip(*[iter(values)] * 3, strict=True))
    return f"{box_line(annotation, image, number).rstrip()} {' '.join(points)}".rstrip() + "\n"

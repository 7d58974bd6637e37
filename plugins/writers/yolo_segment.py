# SPDX-License-Identifier: GPL-3.0-or-later
"""YOLO for instance segmentation: one polygon per line, in image units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...dataset.exports.outlines import joined, polygons_of
from ...dataset.exports.yolo_files import points_line, write_yolo
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin


@plugin("writer")
class YoloSegment(Writer):
    """Write images, polygons and ``data.yaml`` for instance segmentation with YOLO.

    A mask becomes one polygon along the edges of its pixels. Its parts and holes are joined by slits without width, so
    that the polygon, filled by the even-odd rule, is the mask. Annotations without a mask, and crowds, are left out.
    """

    folder = "yolo_segment"
    copies_images = True
    image_files = (("labels", ".txt"), *(("images", suffix) for suffix in IMAGE_SUFFIXES))
    holds = ("boxes", "masks", "holes", "overlaps", "decimals", "class names", "empty images", "parts")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        write_yolo(dataset, files, _line, copies_images=True)


def _line(annotation: Mapping[str, Any], image: Mapping[str, Any], number: int) -> str:
    polygons = polygons_of(annotation, image)
    return points_line(joined(polygons), image, number) if polygons else ""

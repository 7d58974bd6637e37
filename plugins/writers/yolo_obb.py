# SPDX-License-Identifier: GPL-3.0-or-later
"""YOLO for oriented boxes: the four corners of a turned rectangle per line, in image units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...dataset.exports.outlines import polygons_of, turned_box
from ...dataset.exports.yolo_files import points_line, write_yolo
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin


@plugin("writer")
class YoloObb(Writer):
    """Write images, turned boxes and ``data.yaml`` for oriented object detection with YOLO.

    The box is the smallest rectangle around the mask, in any direction; the upright box where there is no mask. Crowds
    are left out.
    """

    folder = "yolo_obb"
    copies_images = True
    image_files = (("labels", ".txt"), *(("images", suffix) for suffix in IMAGE_SUFFIXES))
    holds = ("decimals", "class names", "empty images", "parts")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        write_yolo(dataset, files, _line, copies_images=True)


def _line(annotation: Mapping[str, Any], image: Mapping[str, Any], number: int) -> str:
    return points_line(turned_box(polygons_of(annotation, image), annotation["bbox"]), image, number)

# SPDX-License-Identifier: GPL-3.0-or-later
"""YOLO: one text file per image, one line per box in image units, class names in data.yaml."""

from __future__ import annotations

from ...dataset.exports.yolo_files import box_line, write_yolo
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin


@plugin("writer")
class Yolo(Writer):
    """Write ``labels/*.txt`` and ``data.yaml`` beside the images, for object detection with YOLO.

    Images without boxes get an empty file, which trainers take as background. Crowds are left out. Parts of the
    dataset get a list of images each, which ``data.yaml`` names. Validation data are the part ``val`` of the dataset,
    or else the real images of the recipe, which are linked into ``real/``. In a recipe, ``yolo = true`` in ``[output]``
    does the same.
    """

    image_files = (("labels", ".txt"), ("real/labels", ".txt"), *(("real/images", s) for s in IMAGE_SUFFIXES))
    holds = ("boxes", "decimals", "class names", "empty images", "parts")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        write_yolo(dataset, files, box_line, copies_images=False)

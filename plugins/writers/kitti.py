# SPDX-License-Identifier: GPL-3.0-or-later
"""KITTI: ``training/image_2`` and ``training/label_2``, one line of 15 values per object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...dataset.exports.image_names import flat_names, number_text, part_names
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin

UNKNOWN = "-1 -1 -1 -1000 -1000 -1000 -10"
"""Height, width, length, place and turn of an object in space, where they are not known."""

IGNORED = "DontCare"


@plugin("writer")
class Kitti(Writer):
    """Write KITTI's files for object detection, and ``ImageSets/*.txt`` with the images of each part.

    ``truncated`` is the truncated share; ``occluded`` is 0 where nothing is hidden, 1 where less than half is, 2 where
    more is, 3 where that is not known. Spaces in names of classes become underscores. A crowd is a ``DontCare`` region,
    which has no class. Sizes and places in space are KITTI's values for unknown ones.
    """

    folder = "kitti"
    copies_images = True
    image_files = (("training/label_2", ".txt"), *(("training/image_2", suffix) for suffix in IMAGE_SUFFIXES))
    holds = ("boxes", "decimals", "parts", "empty images")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        names = flat_names(dataset.images)
        classes = {category["id"]: "_".join(str(category["name"]).split()) for category in dataset.categories}
        for image, own in dataset.by_image():
            name = names[image["id"]]
            files.image(f"training/image_2/{name}", dataset, image)
            lines = "".join(_line(classes[a["category_id"]], a) for a in own)
            files.add(f"training/label_2/{name}.txt", lines.encode())
        part_of = part_names(dataset.parts, dataset.images)
        for part in dict.fromkeys(part_of.values()):
            chosen = "".join(f"{names[id]}\n" for id, of in part_of.items() if of == part)
            files.add(f"ImageSets/{part}.txt", chosen.encode())


def _line(name: str, annotation: Mapping[str, Any]) -> str:
    x, y, w, h = annotation["bbox"]
    box = " ".join(map(number_text, (x, y, x + w, y + h)))
    if annotation.get("iscrowd"):
        return f"{IGNORED} -1 -1 -10 {box} {UNKNOWN}\n"
    known = annotation.get("twinset") or {}
    beyond, visible = known.get("truncated_share"), known.get("visible_share")
    hidden = 3
    if visible is not None:
        share = 1 - visible / max(1 - (beyond or 0), 1e-9)
        hidden = 0 if share < 0.01 else 1 if share < 0.5 else 2
    truncated = "0.00" if beyond is None else f"{min(max(beyond, 0), 1):.2f}"
    return f"{name} {truncated} {hidden} -10 {box} {UNKNOWN}\n"

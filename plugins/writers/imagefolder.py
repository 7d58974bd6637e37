# SPDX-License-Identifier: GPL-3.0-or-later
"""Hugging Face's imagefolder: images with ``metadata.jsonl`` in a folder per part, and a dataset card."""

from __future__ import annotations

from ...dataset.atomic_files import json_bytes
from ...dataset.exports.dataset_card import SPLITS, dataset_card
from ...dataset.exports.image_names import flat_names, part_names
from ...dataset.exports.samples import objects_of
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...dataset.store.finished_dataset import PARTS
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, param, plugin


@plugin("writer")
class Imagefolder(Writer):
    """Write a folder that ``datasets.load_dataset`` opens: images, ``metadata.jsonl`` and a dataset card.

    Parts are the splits ``train``, ``validation`` and ``test``. The card, ``README.md``, has licences and origin of
    the material, counts, statistics and intended use. ``classes.txt`` lists all classes.
    """

    title: str = param("", doc="Title of the dataset card; the description of the dataset where empty")

    folder = "imagefolder"
    copies_images = True
    image_files = tuple((split, suffix) for split in SPLITS.values() for suffix in IMAGE_SUFFIXES)
    holds = (
        *("boxes", "masks", "holes", "overlaps", "decimals", "crowds", "parts", "empty images", "class names"),
        *("twinset", "entries"),
    )

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        names, part_of = flat_names(dataset.images), part_names(dataset.parts, dataset.images)
        classes = {category["id"]: str(category["name"]) for category in dataset.categories}
        lines: dict[str, list[bytes]] = {}
        for image, own in dataset.by_image():
            split = SPLITS[part_of[image["id"]]]
            path = files.image(f"{split}/{names[image['id']]}", dataset, image)
            known = {"file_name": path.rpartition("/")[2], "image_id": image["id"], "width": image["width"]}
            line = json_bytes({**known, "height": image["height"], "objects": objects_of(own, classes)})
            lines.setdefault(split, []).append(line)
        for part in PARTS:
            split = SPLITS[part]
            if split in lines:
                files.add(f"{split}/metadata.jsonl", b"".join(lines[split]))
            else:
                files.remove(f"{split}/metadata.jsonl")
        files.add("classes.txt", "".join(f"{name}\n" for name in classes.values()).encode())
        files.add("README.md", dataset_card(dataset, {split: f"{split}/**" for split in lines}, self.title))

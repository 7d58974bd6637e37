# SPDX-License-Identifier: GPL-3.0-or-later
"""WebDataset: tar files of images, each with its annotations as JSON."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

from ...dataset.atomic_files import json_bytes
from ...dataset.exports.image_names import flat_names, part_names
from ...dataset.exports.samples import batched, grouped, image_bytes
from ...engine.plugin import CONTENTS, DatasetFiles, FinishedDataset, Writer, param, plugin


@plugin("writer")
class Webdataset(Writer):
    """Write shards such as ``train-000000.tar``, which ``webdataset`` streams, and ``categories.json``.

    Each sample is an image and ``json`` with ``image``, as in COCO, ``annotations``, as in COCO, and ``classes``, their
    names.
    """

    shard_images: int = param(1000, min=1, max=1_000_000, doc="Images in a shard")

    folder = "webdataset"
    copies_images = True
    holds = tuple(CONTENTS)

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        names, part_of = flat_names(dataset.images), part_names(dataset.parts, dataset.images)
        classes = {category["id"]: category["name"] for category in dataset.categories}
        for part in dict.fromkeys(part_of.values()):
            chosen = [image for image in dataset.images if part_of[image["id"]] == part]
            for shard, samples in enumerate(grouped(dataset, batched(chosen, self.shard_images))):
                with files.stream(f"{part}-{shard:06d}.tar") as file:
                    for image, own in samples:
                        for name, data in _sample(dataset, image, names[image["id"]], own, classes):
                            _add(file, name, data)
                    file.write(b"\0" * 2 * tarfile.BLOCKSIZE)
        files.add("categories.json", json_bytes(list(dataset.categories)))


def _sample(
    dataset: FinishedDataset,
    image: Mapping[str, Any],
    name: str,
    annotations: list[dict[str, Any]],
    classes: Mapping[int, str],
) -> Iterator[tuple[str, bytes]]:
    suffix, data = image_bytes(dataset, image)
    key = name.replace(".", "_")  # WebDataset takes all behind the first point as the ending
    yield key + suffix, data
    named = [classes[annotation["category_id"]] for annotation in annotations]
    yield f"{key}.json", json_bytes({"image": dict(image), "annotations": annotations, "classes": named})


def _add(file: IO[bytes], name: str, data: bytes) -> None:
    """A member without times and owners, so that equal datasets give equal bytes."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o644
    file.write(member.tobuf(tarfile.USTAR_FORMAT if len(name.encode()) < 100 else tarfile.PAX_FORMAT))
    file.write(data + b"\0" * (-len(data) % tarfile.BLOCKSIZE))

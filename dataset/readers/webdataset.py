# SPDX-License-Identifier: GPL-3.0-or-later
"""WebDataset shards whose samples have COCO's annotations as JSON, as Twinset writes them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...engine.errors import DataError
from ...engine.regular_files import open_regular
from ..formats.coco import CocoFile
from ..formats.dataset_reader import DatasetReader, Listing
from ..json_files import read_json

MAX_BYTES = 2**26
"""Larger annotations of one image are refused."""


class Webdataset(DatasetReader):
    """Shards such as ``train-000000.tar``, and ``categories.json``. Images inside of shards are not unpacked."""

    title = "WebDataset"

    def matches(self, folder: Path) -> bool:
        return (folder / "categories.json").is_file() and any(folder.glob("*-*.tar"))

    def read(self, folder: Path) -> CocoFile:
        listing = Listing(folder, self.title)
        categories = read_json(folder / "categories.json")
        if not isinstance(categories, list) or not all(
            isinstance(c, dict) and isinstance(c.get("name"), str) for c in categories
        ):
            raise DataError(f"'{folder / 'categories.json'}' must be a list of categories with names.")
        names = {c.get("id"): c["name"] for c in categories}
        for category in categories:
            listing.add_class(category["name"], **{k: v for k, v in category.items() if k not in ("id", "name")})
        for shard in sorted(folder.glob("*-*.tar")):
            for sample in _samples(shard):
                try:
                    image, annotations = sample["image"], sample["annotations"]
                    part = image.pop("part", None) or shard.name.rpartition("-")[0]
                    known = {k: v for k, v in image.items() if k not in ("id", "file_name", "width", "height")}
                    size = (int(image["width"]), int(image["height"]))
                    image_id = listing.add_image(str(image["file_name"]), size, part, **known)
                    for own in annotations:
                        box, name = [float(v) for v in own["bbox"]], names[own["category_id"]]
                        left = {k: v for k, v in own.items() if k not in ("id", "image_id", "category_id", "bbox")}
                        listing.add(image_id, name, box, **left)
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    raise DataError(
                        f"'{shard}' has a sample that is not an image with annotations ({error!r})."
                    ) from error
        return listing.coco()


def _samples(shard: Path) -> Iterator[dict[str, Any]]:
    try:
        with open_regular(shard) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                if not (member.isfile() and member.name.endswith(".json")):
                    continue
                opened = archive.extractfile(member)
                if member.size > MAX_BYTES or opened is None:
                    raise DataError(f"'{shard}' has the member '{member.name[:60]}' of more than {MAX_BYTES:,} bytes.")
                yield json.loads(opened.read())
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:
        raise DataError(f"'{shard}' is not a tar file of samples, or is damaged ({error}).") from error

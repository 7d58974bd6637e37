# SPDX-License-Identifier: GPL-3.0-or-later
"""Parquet as Hugging Face's datasets have it: images and annotations in tables, and a dataset card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from ...dataset.exports.dataset_card import SPLITS, dataset_card
from ...dataset.exports.image_names import flat_names, part_names
from ...dataset.exports.samples import Annotated, batched, grouped, image_bytes, objects_of
from ...dataset.formats.metadata_table import has_parquet
from ...engine.errors import OutputError
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, param, plugin

_ROWS = 100
"""Rows per group: readers fetch a group at a time."""


@plugin("writer")
class Parquet(Writer):
    """Write ``data/*.parquet`` with the images inside, as ``datasets.load_dataset`` opens them, and a dataset card.

    Columns are those of ``imagefolder``, with ``image`` as Hugging Face's ``Image`` and ``category`` as ``ClassLabel``.
    """

    shard_images: int = param(1000, min=1, max=1_000_000, doc="Images in a file")
    title: str = param("", doc="Title of the dataset card; the description of the dataset where empty")

    folder = "parquet"
    copies_images = True
    holds = (
        *("boxes", "masks", "holes", "overlaps", "decimals", "crowds", "parts", "empty images", "class names"),
        *("twinset", "entries"),
    )

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        if not has_parquet():
            raise OutputError("Parquet files need the package pyarrow. Install it, or choose the format imagefolder.")
        import pyarrow
        import pyarrow.parquet

        names, part_of = flat_names(dataset.images), part_names(dataset.parts, dataset.images)
        numbers = {category["id"]: k for k, category in enumerate(dataset.categories)}
        schema = _schema(pyarrow, [str(category["name"]) for category in dataset.categories])
        parts = list(dict.fromkeys(part_of.values()))
        for part in parts:
            chosen = [image for image in dataset.images if part_of[image["id"]] == part]
            shards = [batched(images, _ROWS) for images in batched(chosen, self.shard_images)]
            annotated = grouped(dataset, list(chain.from_iterable(shards)))
            for shard, groups in enumerate(shards):
                name = f"data/{SPLITS[part]}-{shard:05d}-of-{len(shards):05d}.parquet"
                with (
                    files.stream(name) as file,
                    pyarrow.parquet.ParquetWriter(file, schema, compression="snappy") as table,
                ):
                    for _ in groups:
                        rows = _rows(dataset, next(annotated), names, numbers)
                        table.write_table(pyarrow.Table.from_pylist(rows, schema))
        patterns = {SPLITS[part]: f"data/{SPLITS[part]}-*" for part in parts}
        files.add("README.md", dataset_card(dataset, patterns, self.title))


def _rows(
    dataset: FinishedDataset,
    annotated: Annotated,
    names: Mapping[int, str],
    numbers: Mapping[int, int],
) -> list[dict[str, Any]]:
    rows = []
    for image, own in annotated:
        suffix, data = image_bytes(dataset, image)
        picture = {"bytes": data, "path": names[image["id"]] + suffix}
        columns = objects_of(own, numbers)
        objects = [{key: values[k] for key, values in columns.items()} for k in range(len(columns["id"]))]
        known = {"image": picture, "image_id": image["id"], "width": image["width"], "height": image["height"]}
        rows.append({**known, "objects": objects})
    return rows


def _schema(pyarrow: Any, classes: Sequence[str]) -> Any:
    """Arrow's schema, with Hugging Face's features in its metadata."""
    integer, number, text = pyarrow.int64(), pyarrow.float64(), pyarrow.string()
    kinds = {"id": integer, "bbox": pyarrow.list_(number), "category": integer, "area": number}
    kinds |= {"iscrowd": pyarrow.bool_(), "segmentation": text, "more": text}
    schema = pyarrow.schema(
        [
            ("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", text)])),
            *((name, integer) for name in ("image_id", "width", "height")),
            ("objects", pyarrow.list_(pyarrow.struct(list(kinds.items())))),
        ]
    )
    whole, real, string = ({"dtype": kind, "_type": "Value"} for kind in ("int64", "float64", "string"))
    features = {
        "image": {"_type": "Image"},
        **dict.fromkeys(("image_id", "width", "height"), whole),
        "objects": {
            "feature": {
                "id": whole,
                "bbox": {"feature": real, "_type": "List"},
                "category": {"names": list(classes), "_type": "ClassLabel"},
                "area": real,
                "iscrowd": {"dtype": "bool", "_type": "Value"},
                "segmentation": string,
                "more": string,
            },
            "_type": "List",
        },
    }
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})

# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO: ``annotations/instances.json``, and such a file for each part of the dataset."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator

from ...dataset.atomic_files import dump_json, json_bytes
from ...dataset.formats import rle_masks
from ...dataset.store.finished_dataset import PARTS
from ...engine.plugin import CONTENTS, DatasetFiles, FinishedDataset, Writer, param, plugin


@plugin("writer")
class Coco(Writer):
    """Write COCO files for object detection; ids and categories of a part are those of the whole.

    Every rendered dataset has them, whether or not its recipe names this writer.
    """

    polygons: bool = param(
        False, doc="Polygons instead of RLE where they say the mask exactly; masks with holes stay RLE"
    )

    holds = tuple(CONTENTS)

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        self._write(dataset, files, "annotations/instances.json", None)
        for part in PARTS:
            path = f"annotations/instances_{part}.json"
            if part in dataset.parts:
                self._write(dataset, files, path, dataset.parts[part])
            else:
                files.remove(path)

    def _write(self, dataset: FinishedDataset, files: DatasetFiles, path: str, chosen: Collection[int] | None) -> None:
        images = (image for image in dataset.images if chosen is None or image["id"] in chosen)
        lines = dataset.annotation_lines(chosen)
        with files.stream(path) as file:
            file.write(b'{"annotations":[')
            file.writelines(_joined(_with_polygons(dataset, lines) if self.polygons else lines))
            file.write(b'],"categories":' + json_bytes(list(dataset.categories)).rstrip(b"\n") + b',"images":[')
            file.writelines(_joined(map(json_bytes, images)))
            licenses = json_bytes(list(dataset.licenses)).rstrip(b"\n")
            file.write(
                b'],"info":' + json_bytes(dict(dataset.info)).rstrip(b"\n") + b',"licenses":' + licenses + b"}\n"
            )


def _with_polygons(dataset: FinishedDataset, lines: Iterable[bytes]) -> Iterator[bytes]:
    size = {image["id"]: (image["height"], image["width"]) for image in dataset.images}
    for line in lines:
        annotation = json.loads(line)
        if not isinstance(annotation.get("segmentation"), dict):  # polygons stay as they are
            yield line
            continue
        mask = rle_masks.decode(annotation["segmentation"], *size[annotation["image_id"]])
        outline = rle_masks.polygons(mask)
        yield line if outline is None else dump_json({**annotation, "segmentation": outline})


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    comma = b""
    for line in lines:
        yield comma + line.rstrip(b"\n")
        comma = b","

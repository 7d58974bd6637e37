# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a COCO file frame by frame: outlines wait on the disk, so that memory holds little more than numbers."""

from __future__ import annotations

import array
import contextlib
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, overload

from ...engine.errors import OutputError
from ..atomic_files import dump_json, json_bytes, make_folder, output_error, to_builtin_types
from .coco import LabelledImage, coco_entries
from .metadata_rows import MetadataRows

_CHUNK = 2**20
"""Bytes of annotations that are read at a time."""


class Images(Sequence[dict[str, Any]]):
    """COCO images, kept as columns: ``rows`` holds their own keys, ``extras`` what ``twinset`` says of each."""

    def __init__(self) -> None:
        self.rows = MetadataRows()
        self.extras = MetadataRows()

    def append(self, image: Mapping[str, Any]) -> None:
        """Add an image."""
        self.rows.append({key: value for key, value in image.items() if key != "twinset"})
        self.extras.append(image.get("twinset") or {})

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        extra = self.extras[index]
        return {**self.rows[index], **({"twinset": extra} if extra else {})}


class CocoBuilder:
    """Collects the annotations of a dataset frame by frame for writers; use as a context manager.

    Parameters
    ----------
    path : Path
        The COCO file to come; annotations wait beside it for their writers.
    categories : sequence of mappings
        With ``id`` and ``name``; kept as they are.
    info : mapping
        The info block; ``year``, ``version`` and ``description`` by custom.
    min_area
        As in :func:`.coco.coco_entries`.

    Attributes
    ----------
    images : Images
        COCO images so far; their ids are 1, 2, ...
    counts : dict of int to int
        Annotations by category id, without crowds.
    rows : MetadataRows
        One row per annotation that is no crowd.
    completed : list of str
        Columns of rows that :meth:`complete` added. Unlike all others they are as they came, not rounded.
    """

    def __init__(
        self,
        path: Path,
        *,
        categories: Sequence[Mapping[str, Any]],
        info: Mapping[str, Any],
        min_area: int = 1,
    ) -> None:
        self.path = path
        self.categories = [dict(c) for c in categories]
        self.images = Images()
        self.counts = {c["id"]: 0 for c in categories}
        self.rows = MetadataRows()
        self.info = dict(info)
        self._min_area = min_area
        self._names = {c["id"]: c["name"] for c in categories}
        self.completed: list[str] = []
        self._owners = array.array("q")
        self._row_of = array.array("q")
        make_folder(path.parent)
        try:
            self._spool = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise output_error(error, path.parent) from error

    def __enter__(self) -> CocoBuilder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing writes what is left, which a full disk does not take; it was to be thrown away.
        with contextlib.suppress(OSError):
            self._spool.close()

    def add(self, frame: LabelledImage) -> None:
        """Take one image with its annotations; ids continue from the last ones."""
        image, annotations = coco_entries(
            frame, len(self.images) + 1, len(self._owners) + 1, self.categories, min_area=self._min_area
        )
        self.images.append(image)
        lines = []
        for annotation in annotations:
            lines.append(json_bytes(annotation))
            self._owners.append(image["id"])
            self._row_of.append(-1 if annotation["iscrowd"] else len(self.rows))
            if annotation["iscrowd"]:
                continue
            category = annotation["category_id"]
            self.counts[category] += 1
            self.rows.append(
                {
                    **annotation.get("twinset", {}),
                    "frame": image.get("twinset", {}).get("frame"),
                    "image_id": image["id"],
                    "id": annotation["id"],
                    "class": self._names[category],
                    "area": annotation["area"],
                    "bbox": annotation["bbox"],
                }
            )
        try:
            self._spool.write(b"".join(lines))
        except OSError as error:
            raise output_error(error, self.path.parent) from error

    def complete(self, name: str, values: Sequence[Any]) -> None:
        """Add a column to all rows, and to what is known of each annotation."""
        self.rows.add(name, values)
        self.completed.append(name)

    def annotations(self, images: Collection[int] | None = None) -> Iterator[dict[str, Any]]:
        """Annotations in the order of their ids, completed; all of them, or those of some images, by id."""
        columns = {name: self.rows.column(name) for name in self.completed}
        for line, owner, row in zip(self._lines(), self._owners, self._row_of, strict=True):
            if images is not None and owner not in images:
                continue
            annotation = json.loads(line)
            if row >= 0:
                # What was read is plain already, as only what was added here may not be.
                added = {name: to_builtin_types(values[row]) for name, values in columns.items()}
                annotation.setdefault("twinset", {}).update(added)
            yield annotation

    def annotation_lines(self, images: Collection[int] | None = None) -> Iterator[bytes]:
        """The same as JSON, one line each."""
        return map(dump_json, self.annotations(images)) if self.completed or images is not None else self._lines()

    def _lines(self) -> Iterator[bytes]:
        place, lines = 0, [b""]
        while lines:
            try:
                # Others may read between two chunks.
                self._spool.seek(place)
                lines = self._spool.readlines(_CHUNK)
                place = self._spool.tell()
            except OSError as error:
                raise output_error(error, self.path.parent) from error
            for line in lines:
                if not line.endswith(b"\n"):
                    raise OutputError(f"A temporary file in '{self.path.parent}' was cut short. Free some space there.")
                yield line

# SPDX-License-Identifier: GPL-3.0-or-later
"""The annotations of a dataset that a job has just written, offered to reports without reading them back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...alignment.columns.metadata import box_columns
from ...engine.goals import Boxes
from ...engine.output.annotation_source import declared_entries
from ..atomic_files import to_builtin_types
from .coco import CocoFile, read_coco
from .coco_writer import CocoBuilder
from .metadata_rows import ColumnView, MetadataRows

Column = Sequence[Any] | np.ndarray

_OWN = ("frame", "image_id", "id", "class", "area", "bbox")
"""Keys of rows that become other columns, or have a fixed place."""


class CocoInMemory:
    """The interface of :class:`.coco.CocoFile` for a dataset that has just been written.

    Only single annotations are read from the file. ``columns`` are those of :func:`...analysis.measure.measure` without
    pixels, each computed when it is accessed.
    """

    def __init__(self, annotations: CocoBuilder) -> None:
        self.path: Path = annotations.path
        self.images: Sequence[dict[str, Any]] = annotations.images
        self.categories: list[dict[str, Any]] = annotations.categories
        self.about: Mapping[str, Any] = {"info": annotations.info}
        self.columns: Mapping[str, Column] = _Columns(annotations)
        self._counts = annotations.counts

    def classes(self) -> dict[str, int]:
        """How many annotations each class has."""
        return {c["name"]: self._counts[c["id"]] for c in self.categories}

    def annotations_of(self, class_name: str) -> list[dict[str, Any]]:
        """The annotations of a class."""
        return self._file.annotations_of(class_name)

    def boxes(self, class_name: str) -> Boxes:
        """The boxes of a class in image units."""
        return self._file.boxes(class_name)

    @cached_property
    def _file(self) -> CocoFile:
        return read_coco(self.path)


class _Columns(Mapping[str, Column]):
    """Columns by name, computed on each access."""

    def __init__(self, annotations: CocoBuilder) -> None:
        self._rows = annotations.rows
        self._images = annotations.images
        self._completed = frozenset(annotations.completed)
        self._makers = dict(self._made())

    def __getitem__(self, name: str) -> Column:
        return self._makers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def _made(self) -> Iterator[tuple[str, Callable[[], Column]]]:
        rows, images = self._rows, self._images
        if not len(rows):
            return
        yield from ((name, partial(_values, rows, name)) for name in ("image_id", "id", "class"))
        yield "file_name", partial(self._of_images, images.rows, "file_name")
        yield from ((f"image_{side}", partial(self._of_images, images.rows, side)) for side in ("width", "height"))
        yield from ((f"bbox_{axis}", partial(self._of_box, "bbox", k)) for k, axis in enumerate("xywh"))
        yield "area", partial(_values, rows, "area")
        boxes = tuple(box_columns(np.ones((1, 4)), 1.0, 1.0))
        yield from ((name, partial(self._by_box, name)) for name in boxes)
        names = set(rows.names()).difference(_OWN, boxes)
        split = {n: entry.axes for n, entry in declared_entries("twinset").items() if entry.axes and n in names}
        extras = {name: partial(self._extra, name) for name in names.difference(split)}
        for name, axes in split.items():
            extras |= {f"{name}_{axis}": partial(self._of_box, name, k) for k, axis in enumerate(axes)}
        yield from ((name, make) for name, make in sorted(extras.items()) if _has_values(make()))
        for name in sorted(images.extras.names()):
            if _has_values(_values(images.extras, name)):
                yield name if name == "frame" else f"image_{name}", partial(self._of_images, images.extras, name)

    def _of_box(self, name: str, axis: int) -> Column:
        boxes = self._rows.column(name)
        numbers = boxes.numbers()
        return [None if box is None else box[axis] for box in boxes] if numbers is None else numbers[:, axis]

    def _by_box(self, name: str) -> np.ndarray:
        bboxes = np.column_stack([np.asarray(self._of_box("bbox", k), dtype=float) for k in range(4)])
        sizes = (np.asarray(self._of_images(self._images.rows, side), dtype=float) for side in ("width", "height"))
        return box_columns(bboxes, *sizes)[name]

    def _extra(self, name: str) -> Column:
        if name in self._completed:
            return to_builtin_types(list(self._rows.column(name)))
        return _values(self._rows, name)

    def _of_images(self, rows: MetadataRows, name: str) -> Column:
        """A column of images, repeated for each box."""
        owner = np.asarray(_values(self._rows, "image_id")) - 1  # ids are 1, 2, ...
        values = _values(rows, name)
        return values[owner] if isinstance(values, np.ndarray) else [values[i] for i in owner.tolist()]


def _values(rows: MetadataRows, name: str) -> Column:
    column: ColumnView = rows.column(name)
    numbers = column.numbers()
    return column if numbers is None else numbers


def _has_values(values: Column) -> bool:
    if isinstance(values, np.ndarray):
        return bool((~np.isnan(values.astype(float))).any())
    return any(value is not None for value in values)

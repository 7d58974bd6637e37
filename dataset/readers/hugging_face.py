# SPDX-License-Identifier: GPL-3.0-or-later
"""Hugging Face's folders for object detection: images with ``metadata.jsonl``, or Parquet tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...engine.errors import DataError
from ...engine.regular_files import open_regular
from ..atomic_files import is_number
from ..exports.samples import annotations_of
from ..formats.coco import CocoFile
from ..formats.dataset_reader import PART_NAMES, DatasetReader, Listing, read_text
from ..formats.metadata_table import has_parquet
from ..image_header import read_header

MAX_BYTES = 2**31
_CLASS_KEYS = ("category", "categories", "label", "labels", "category_id", "class", "classes")
_BOX_KEYS = ("bbox", "bboxes", "boxes", "box")


class HuggingFace(DatasetReader):
    """Folders of ``imagefolder`` whose metadata have ``objects`` with ``bbox`` [x, y, width, height] and ``category``,
    and Parquet tables with such a column.

    Classes are names, or numbers whose names the table or ``classes.txt`` has. Images inside of tables are not
    unpacked.
    """

    title = "Hugging Face"

    def matches(self, folder: Path) -> bool:
        return any(True for _ in _metadata_files(folder)) or any(map(_has_objects, _tables(folder)[:1]))

    def read(self, folder: Path) -> CocoFile:
        listing = Listing(folder, self.title)
        names = _listed_classes(folder)
        for name in names:
            listing.add_class(name)
        for file, part in _metadata_files(folder):
            prefix = file.parent.relative_to(folder).as_posix()
            for number, row in _lines(file):
                where = f"'{file}', line {number}"
                image = row.get("file_name")
                if not isinstance(image, str) or not image:
                    raise DataError(f"{where} has no 'file_name'.")
                _add(listing, where, f"{prefix}/{image}" if prefix != "." else image, row, part, names)
        for file in _tables(folder) if not listing.images else ():
            known, rows = _read_table(file)
            for name in known:
                listing.add_class(name)
            part = file.name.split("-")[0].split(".")[0]
            for number, row in enumerate(rows):
                _add(listing, f"'{file}', row {number}", str(row.pop("file_name")), row, part, known or names)
        return listing.coco()


def _metadata_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Metadata of images with objects, each with the part that its folder is called by."""
    for place in (folder, *(folder / part for part in PART_NAMES), *(folder / "data" / part for part in PART_NAMES)):
        file = place / "metadata.jsonl"
        if file.is_file() and _starts_with_objects(file):
            yield file, place.name if place != folder else ""


def _starts_with_objects(file: Path) -> bool:
    try:
        with open_regular(file) as opened:
            return b'"objects"' in opened.read(2**16)
    except OSError:
        return False


def _tables(folder: Path) -> list[Path]:
    return sorted(
        [*folder.glob("data/*.parquet"), *(f for f in folder.glob("*.parquet") if f.name != "metadata.parquet")]
    )


def _has_objects(file: Path) -> bool:
    if not has_parquet():
        return False
    import pyarrow
    import pyarrow.parquet

    try:
        return "objects" in pyarrow.parquet.read_schema(file).names
    except (pyarrow.ArrowException, OSError):
        return False


def _listed_classes(folder: Path) -> list[str]:
    path = folder / "classes.txt"
    lines = read_text(path, 2**24).splitlines() if path.is_file() else []
    return [line.strip() for line in lines if line.strip()]


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_text(file, MAX_BYTES).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"'{file}', line {number}: it is not JSON ({error}). Export the file again.") from error
        if not isinstance(row, dict):
            raise DataError(f"'{file}', line {number}: it is not a JSON object. Export the file again.")
        yield number, row


def _read_table(file: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of classes, if the table has them, and its rows without the images, but with their names and sizes."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as opened:
            schema = opened.schema_arrow
            known = [name for name in ("image_id", "width", "height", "file_name") if name in schema.names]
            has_image = "image" in schema.names
            needs_header = has_image and not {"width", "height"} <= set(schema.names)
            parts = ["image.path", *(["image.bytes"] if needs_header else [])] if has_image else []
            rows = opened.read(columns=[*known, *parts, "objects"]).to_pylist()
    except (pyarrow.ArrowException, OSError, KeyError) as error:
        raise DataError(f"'{file}' is not a Parquet table of images with objects, or is damaged: {error}") from error
    for number, row in enumerate(rows):
        image = row.pop("image", None) or {}
        row["file_name"] = image.get("path") or row.get("file_name") or f"{file.stem}-{number:06d}"
        header = read_header(image["bytes"]) if image.get("bytes") else None
        if header is not None:
            row["width"], row["height"] = header.upright_size
    return _class_names(schema), rows


def _class_names(schema: Any) -> list[str]:
    """The names of Hugging Face's ``ClassLabel`` among the objects' features."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]["objects"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return []
    todo, seen = [features], 0
    while todo and seen < 1000:
        value, seen = todo.pop(), seen + 1
        if isinstance(value, Mapping):
            names = value.get("names")
            if (
                value.get("_type") == "ClassLabel"
                and isinstance(names, list)
                and all(isinstance(n, str) for n in names)
            ):
                return names
            todo += list(value.values())
        elif isinstance(value, list):
            todo += value
    return []


def _add(listing: Listing, where: str, name: str, row: Mapping[str, Any], part: str, classes: Sequence[str]) -> None:
    size = row.get("width"), row.get("height")
    is_known = all(isinstance(value, int) and not isinstance(value, bool) and value > 0 for value in size)
    image_id = listing.add_image(name, size if is_known else None, part)  # type: ignore[arg-type]
    columns = _columns(where, row.get("objects"))
    boxes, labels = _column(columns, _BOX_KEYS, where), _column(columns, _CLASS_KEYS, where)
    if len(boxes) != len(labels):
        raise DataError(f"{where} has {len(boxes)} boxes and {len(labels)} classes.")
    for box in boxes:
        if not (isinstance(box, list) and len(box) == 4 and all(map(is_number, box))):
            raise DataError(f"{where} has a box that is not [x, y, width, height]: {str(box)[:60]}.")
    named = [_class_name(label, classes, where) for label in labels]
    try:
        found = annotations_of({**columns, "bbox": boxes, "category": named}, {name: name for name in named})  # type: ignore[misc]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise DataError(f"{where} has objects that cannot be read ({error!r}).") from error
    for entries in found:
        box, class_name = entries.pop("bbox"), entries.pop("category_id")
        if box[2] <= 0 or box[3] <= 0:
            listing.left_out += 1
            continue
        listing.add(image_id, str(class_name), box, **entries)


def _columns(where: str, objects: Any) -> dict[str, list[Any]]:
    """Objects as columns: they are written as such, or as a list of objects."""
    if isinstance(objects, Mapping):
        return {key: value for key, value in objects.items() if isinstance(value, list)}
    if objects is None:
        return {}
    if not isinstance(objects, list) or not all(isinstance(one, Mapping) for one in objects):
        raise DataError(f"{where}: 'objects' must be a table of columns, or a list of objects.")
    return {key: [one.get(key) for one in objects] for key in dict.fromkeys(k for one in objects for k in one)}


def _column(columns: Mapping[str, list[Any]], keys: Sequence[str], where: str) -> list[Any]:
    found = next((columns[key] for key in keys if key in columns), None)
    if found is None and columns:
        raise DataError(f"{where}: 'objects' has no '{keys[0]}'. It has: {', '.join(columns)}.")
    return found or []


def _class_name(label: Any, classes: Sequence[str], where: str) -> str:
    if isinstance(label, str) and label:
        return label
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(classes):
        return classes[label]
    raise DataError(
        f"{where} has the class {label!r}, which has no name. Add a file classes.txt with one name per line, in the "
        "order of the numbers."
    )

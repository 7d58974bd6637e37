# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads YOLO datasets: one text file per image, one line per box in image units, class names in data.yaml."""

from __future__ import annotations

import contextlib
import json
import math
import re
from pathlib import Path, PurePath
from typing import Any

from ...engine.errors import DataError
from ..formats.coco import CocoFile
from ..formats.coco_check import check_coco, raise_problems
from ..formats.dataset_reader import DatasetReader, read_text
from ..formats.image_files import IMAGE_SUFFIXES
from ..image_header import MAX_PIXELS, read_header
from ..imports.shapes import polygon_area

MAX_TEXT_BYTES = 2**26
"""Larger files of labels or names are refused."""


class Yolo(DatasetReader):
    """A folder of YOLO, exported by whatever tool; the last to be asked, because many folders have such files."""

    title = "YOLO"

    def matches(self, folder: Path) -> bool:
        names = any((folder / name).is_file() for name in ("classes.txt", "obj.names"))
        return names or (folder / "labels").is_dir() or any(folder.glob("*.y*ml"))

    def read(self, folder: Path) -> CocoFile:
        return read_yolo(folder)


def read_yolo(folder: str | Path) -> CocoFile:
    """Read a YOLO dataset as if it were COCO.

    Class names come from ``data.yaml`` (or another ``.yaml`` with ``names``), ``classes.txt`` or ``obj.names``. Each
    image of ``images/`` (or of the folder itself), at any depth, has its labels at the same place under ``labels/``,
    beside it, or in a folder ``labels`` beside its folder ``images``. Boxes and polygons are understood; oriented boxes
    are polygons of four points. Of labels for poses the boxes are read.

    Raises
    ------
    DataError
        If the folder, names, images or labels are missing or invalid; labels with file and line.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"The YOLO folder '{folder}' does not exist. Check the path.")
    names, further = _read_names(folder), _keypoint_numbers(folder)
    root = folder / "images" if (folder / "images").is_dir() else folder
    pictures = sorted(p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not pictures:
        raise DataError(f"The YOLO folder '{folder}' has no images in '{root}'.")
    part_of = _listed_parts(folder)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    problems: list[str] = []
    has_labels = False
    for image_id, picture in enumerate(pictures, start=1):
        width, height = _upright_size(picture)
        relative = picture.relative_to(root)
        part = part_of.get(picture.resolve(), part_of_folder(relative))
        known = {"part": part} if part else {}
        images.append({"id": image_id, "file_name": relative.as_posix(), "width": width, "height": height, **known})
        beside = picture.with_suffix(".txt")
        parallel = folder / _labels_of(picture.relative_to(folder))
        places = (folder / "labels" / relative.with_suffix(".txt"), beside, parallel)
        label = next((place for place in places if place.is_file()), None)
        if label is None:
            continue
        has_labels = True
        for class_number, bbox, outline in _read_label(label, width, height, len(names), further, problems):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_number + 1,
                    "bbox": bbox,
                    "area": polygon_area(outline) if outline else bbox[2] * bbox[3],
                    "iscrowd": 0,
                    **({"segmentation": [outline]} if outline else {}),
                }
            )
    if not has_labels:
        raise DataError(f"The YOLO folder '{folder}' has no label file for its {len(pictures)} images.")
    raise_problems(folder, problems)
    categories = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
    return CocoFile(
        folder, *check_coco(folder, {"images": images, "annotations": annotations, "categories": categories})
    )


def _labels_of(picture: PurePath) -> PurePath:
    """Where trainers look for the labels of an image: its last folder ``images`` replaced by ``labels``."""
    parts = list(picture.with_suffix(".txt").parts)
    for k in reversed(range(len(parts) - 1)):
        if parts[k] == "images":
            parts[k] = "labels"
            break
    return PurePath(*parts)


def _read_label(
    path: Path, width: int, height: int, classes: int, further: int, problems: list[str]
) -> list[tuple[int, list[float], list[float]]]:
    """Class number, box, and outline, empty where the label is a box; ``further`` numbers of keypoints may follow."""
    out = []
    for index, line in enumerate(read_text(path, MAX_TEXT_BYTES).splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            class_number, values = int(fields[0]), [float(v) for v in fields[1:]]
        except ValueError:
            class_number, values = -1, []
        if further and len(values) == 4 + further:
            values = values[:4]
        polygon = len(values) >= 6 and len(values) % 2 == 0
        if not (len(values) in (4, 5) or polygon) or not all(math.isfinite(v) for v in values):
            problems.append(
                f"{path.name}, line {index}: '{line.strip()}' is not a label of a class number and four numbers"
            )
            continue
        if not 0 <= class_number < classes:
            problems.append(f"{path.name}, line {index}: class {class_number} has no name; there are {classes} names")
            continue
        if polygon:
            x0, y0, x1, y1 = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
        else:
            x, y, w, h = values[:4]
            x0, y0, x1, y1 = x - w / 2, y - h / 2, x + w / 2, y + h / 2
        # Rounded to a thousandth of a pixel, so that whole pixels come back as they went out.
        box = [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height]
        outline = [round(v * (width, height)[k % 2], 3) for k, v in enumerate(values)] if polygon else []
        out.append((class_number, [round(v, 3) for v in box], outline))
    return out


def _keypoint_numbers(folder: Path) -> int:
    """How many numbers of keypoints follow a box in labels for poses, which ``kpt_shape`` says; 0 in others."""
    for path in sorted(folder.glob("*.yaml")):
        shape = re.search(
            r"^kpt_shape:\s*\[\s*(\d{1,4})\s*,\s*([23])\s*\]", read_text(path, MAX_TEXT_BYTES), re.MULTILINE
        )
        if shape:
            return int(shape[1]) * int(shape[2])
    return 0


def _listed_parts(folder: Path) -> dict[Path, str]:
    """The parts of images that ``train.txt`` and its like list, by the images' paths."""
    parts = {}
    for part in ("train", "val", "test"):
        path = folder / f"{part}.txt"
        for line in read_text(path, MAX_TEXT_BYTES).splitlines() if path.is_file() else ():
            if line.strip():
                parts[(folder / line.strip()).resolve()] = part
    return parts


def part_of_folder(relative: PurePath) -> str:
    """The part that a folder of an image is called by; "" where there is none."""
    names = {"train": "train", "val": "val", "valid": "val", "test": "test"}
    return next((names[name] for name in relative.parts[:-1] if name in names), "")


def _read_names(folder: Path) -> list[str]:
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")], key=lambda p: (p.name != "data.yaml", p.name))
    for path in files:
        names = _yaml_names(read_text(path, MAX_TEXT_BYTES))
        if names:
            return names
    for name in ("classes.txt", "obj.names", "labels/classes.txt"):
        if (folder / name).is_file():
            names = [line.strip() for line in read_text(folder / name, MAX_TEXT_BYTES).splitlines() if line.strip()]
            if names:
                return names
    raise DataError(
        f"The YOLO folder '{folder}' has no class names. Add a data.yaml with 'names', "
        "or a classes.txt with one name per line."
    )


def _yaml_names(text: str) -> list[str]:
    """The ``names`` of a data.yaml: a list or a mapping from numbers, in block or flow style."""
    match = re.search(r"^names\s*:[ \t]*(.*)$", text, re.MULTILINE)
    if match is None:
        return []
    inline = re.sub(r"\s+#.*$", "", match[1]).strip()
    rest = text[match.end() :]
    if inline.startswith(("[", "{")):
        return _flow_items(inline[0] + match[1].split(inline[0], 1)[1] + rest)
    names = []
    for line in rest.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry = re.match(r"^\s*(?:-\s+|\d+\s*:\s*)(.+)$", line)
        if entry is None:
            break
        names.append(_scalar(entry[1]))
    return names


def _flow_items(text: str) -> list[str]:
    """The values of a flow list or mapping, which may go over several lines; ends at its closing bracket."""
    text = re.sub(r"(?m)(^|\s)#.*$", "", text)
    quoted_or_plain = r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,\]}\s][^,\]}\n]*)"""
    token = re.compile(rf"\s*(?:\d+\s*:\s*)?{quoted_or_plain}\s*(.?)")
    items = []
    position = 1
    while match := token.match(text, position):
        items.append(_scalar(match[1]))
        if match[2] != ",":
            break
        position = match.end()
    return items


def _scalar(text: str) -> str:
    text = text.strip()
    if text.startswith('"'):
        with contextlib.suppress(ValueError):
            return str(json.loads(text[: text.rindex('"') + 1]))
    if text.startswith("'"):
        return text[1 : text.rindex("'")].replace("''", "'")
    return re.sub(r"\s+#.*$", "", text).strip()


def _upright_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as viewers show the image, which is what trainers of YOLO take, from the header."""
    try:
        header = read_header(path)
    except OSError as error:
        raise DataError(f"The image '{path}' cannot be read: {error.strerror or error}.") from error
    if header is None:
        raise DataError(f"The image '{path}' cannot be read. Remove it or save it again.")
    if header.width * header.height > MAX_PIXELS:
        raise DataError(f"The image '{path}' has more than {MAX_PIXELS:,} pixels. Use a smaller image.")
    return header.upright_size

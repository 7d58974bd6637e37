# SPDX-License-Identifier: GPL-3.0-or-later
"""KITTI: ``label_2/*.txt`` with 15 values per object, and ``image_2``."""

from __future__ import annotations

import math
from pathlib import Path

from ...engine.errors import DataError
from ..formats.coco import CocoFile
from ..formats.coco_check import raise_problems
from ..formats.dataset_reader import PART_NAMES, DatasetReader, Listing, image_beside, read_text, relative

MAX_BYTES = 2**24
VALUES = (15, 16)
"""Values of a line: detections have a score as well."""

IGNORED = "DontCare"


class Kitti(DatasetReader):
    """``training/label_2`` and ``training/image_2``, these two in the folder itself, or in folders of parts.

    ``DontCare`` regions have no class and are left out. Places in space are not read.
    """

    title = "KITTI"

    def matches(self, folder: Path) -> bool:
        return bool(_roots(folder))

    def read(self, folder: Path) -> CocoFile:
        listing = Listing(folder, self.title)
        problems: list[str] = []
        part_of = {name: part for part in PART_NAMES for name in _listed(folder, part)}
        roots = _roots(folder)
        for root in roots:
            own_part = root.name if len(roots) > 1 else ""
            for file in sorted((root / "label_2").glob("*.txt")):
                name = image_beside(root / "image_2", file.stem)
                if name is None:
                    raise DataError(f"'{root / 'image_2'}' has no image for '{file}'. Restore it.")
                part = part_of.get(file.stem, own_part)
                image_id = listing.add_image(relative(root / "image_2" / name, folder), None, part)
                _add_objects(listing, image_id, file, problems)
        raise_problems(folder, problems)
        return listing.coco()


def _roots(folder: Path) -> list[Path]:
    places = [folder, *(folder / part for part in dict.fromkeys(PART_NAMES))]
    return [place for place in places if (place / "label_2").is_dir() and (place / "image_2").is_dir()]


def _listed(folder: Path, part: str) -> list[str]:
    path = folder / "ImageSets" / f"{part}.txt"
    return list(map(str.strip, read_text(path, MAX_BYTES).splitlines())) if path.is_file() else []


def _add_objects(listing: Listing, image_id: int, file: Path, problems: list[str]) -> None:
    for number, line in enumerate(read_text(file, MAX_BYTES).splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] == IGNORED:
            continue
        try:
            left, top, right, bottom = map(float, fields[4:8])
            is_valid = len(fields) in VALUES and all(map(math.isfinite, (left, top, right, bottom)))
        except ValueError:
            is_valid = False
        if not is_valid:
            problems.append(
                f"{file.name}, line {number}: '{line.strip()[:60]}' is not a label of a class and 14 numbers"
            )
        elif right <= left or bottom <= top:
            listing.left_out += 1
        else:
            listing.add(image_id, fields[0], [left, top, right - left, bottom - top])

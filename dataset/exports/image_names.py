# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that formats with one flat folder of images give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any


def flat_names(images: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """A name without folder and suffix for each image, by its id: its own, or with its folders where two are alike."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for image in images:
        path = PurePosixPath(image["file_name"]).with_suffix("")
        name = path.name
        if name.lower() in taken:
            name = "_".join(path.parts)
        number = 2
        while name.lower() in taken:
            name, number = f"{'_'.join(path.parts)}_{number}", number + 1
        taken.add(name.lower())
        names[image["id"]] = name
    return names


def part_names(dataset_parts: Mapping[str, Any], images: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """The part of each image by its id; ``train`` where the dataset is one part or the image is in none."""
    names = {image["id"]: "train" for image in images}
    for part, members in dataset_parts.items():
        names |= dict.fromkeys(members, part)
    return names


def shown_suffix(path: Path, data: bytes | None) -> str:
    """The suffix of an image as ``FinishedDataset.image_file`` gives it: its file's, or that of the PNG instead."""
    return path.suffix.lower() if data is None else ".png"


def number_text(value: float) -> str:
    """A number as short text that reads back as the same float; whole numbers without a point."""
    return str(int(value)) if float(value) == int(value) else repr(float(value))

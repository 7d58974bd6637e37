# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains of real photos, their division into folds, and the COCO files of the folds."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from twinset.dataset.formats.coco import CocoFile, by_image, read_coco
from twinset.engine.errors import DataError

FOLDS = 2
ROOT = Path(__file__).resolve().parents[2]


def data_folder() -> Path:
    """The folder of the real material: TWINSET_DATA, or shared/data beside the checkout."""
    return Path(os.environ.get("TWINSET_DATA") or ROOT.parent / "shared" / "data")


@attrs.frozen
class Photo:
    """A real photo: its number within the domain, file, size in pixels, and COCO annotations with class indices.

    ``boxes`` are [x, y, w, h] of the domain's classes, ``classes`` their indices, ``crowd`` whether each is a crowd or
    to be ignored.
    """

    number: int
    path: Path
    width: int
    height: int
    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray


@attrs.frozen
class Domain:
    """Photos of one kind and the schedule of detectors for them: see domains.toml."""

    name: str
    title: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    steps: int
    batch: int
    photos: tuple[Photo, ...]
    fold_of: np.ndarray
    sets: tuple[tuple[Path, Path], ...]

    def test_photos(self, fold: int | None) -> list[Photo]:
        """Photos of a fold; all of them for None."""
        return [p for p, f in zip(self.photos, self.fold_of, strict=True) if fold is None or f == fold]

    def training_photos(self, fold: int) -> list[Photo]:
        """Photos of the other folds."""
        return [p for p, f in zip(self.photos, self.fold_of, strict=True) if f != fold]


def read_photos(sets: Sequence[tuple[Path, Path]], classes: Sequence[str]) -> list[Photo]:
    """Photos of COCO files with their folders of images, numbered from 1 across the files.

    Annotations of other classes are left out. A class that a file does not have is no error: its photos hold none.
    """
    photos = []
    for file, images in sets:
        photos += of_coco(read_coco(file), images, classes, 1 + len(photos))
    return photos


def of_coco(coco: CocoFile, images: Path, classes: Sequence[str], first: int = 1) -> list[Photo]:
    """Photos of one COCO file; see :func:`read_photos`."""
    index = {c["id"]: classes.index(c["name"]) for c in coco.categories if c["name"] in classes}
    of_image = by_image(a for a in coco.annotations if a["category_id"] in index and a.get("bbox"))
    photos = []
    for number, image in enumerate(coco.images, first):
        held = of_image.get(image["id"], [])
        photos.append(
            Photo(
                number,
                images / image["file_name"],
                image["width"],
                image["height"],
                np.array([a["bbox"] for a in held], dtype=float).reshape(-1, 4),
                np.array([index[a["category_id"]] for a in held], dtype=int),
                np.array([bool(a.get("iscrowd") or a.get("ignore")) for a in held], dtype=bool),
            )
        )
    return photos


def folds(photos: Sequence[Photo], together: Sequence[Sequence[str]], classes: int) -> np.ndarray:
    """A fold (n,) for each photo: groups in order of their boxes, each to the fold that needs it most.

    Folds get about equal numbers of boxes of each class, then of photos. Photos of a group stay together.
    """
    names = [p.path.name for p in photos]
    group = {name: k for k, listed in enumerate(together) for name in listed}
    members: dict[Any, list[int]] = {}
    for i, name in enumerate(names):
        members.setdefault(group.get(name, name), []).append(i)
    counts = {
        key: sum(np.bincount(photos[i].classes[~photos[i].crowd], minlength=classes) for i in rows)
        for key, rows in members.items()
    }
    total = np.maximum(sum(counts.values()), 1)
    fold_of = np.zeros(len(photos), dtype=int)
    held, sizes = np.zeros((FOLDS, classes)), np.zeros(FOLDS)
    for key in sorted(members, key=lambda k: (-int(counts[k].sum()), names[members[k][0]])):
        share = counts[key] / total
        # Where the fold with this group would stand above the others, by class and by photos.
        cost = [(((held[f] + share) ** 2).sum() - (held[f] ** 2).sum(), sizes[f]) for f in range(FOLDS)]
        best = min(range(FOLDS), key=lambda f: cost[f])
        fold_of[members[key]] = best
        held[best] += share
        sizes[best] += len(members[key])
    return fold_of


def load_domains(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """The settings of domains.toml by name."""
    return tomllib.loads((path or Path(__file__).with_name("domains.toml")).read_text("utf-8"))


def load_domain(name: str, changes: dict[str, Any] | None = None) -> Domain:
    """Read a domain and its photos; ``changes`` replace settings, such as ``steps``.

    Raises
    ------
    DataError
        If there is no such domain, or the real material is missing.
    """
    known = load_domains()
    if name not in known:
        raise DataError(f"There is no domain '{name}'. Domains: {', '.join(known)}.")
    settings = {**known[name], **(changes or {})}
    data = data_folder()
    if not data.is_dir():
        raise DataError(f"The real material is missing: '{data}'. Name its folder with TWINSET_DATA.")
    classes = tuple(settings["classes"])
    sets = tuple((data / s["annotations"], data / s["images"]) for s in settings["sets"])
    photos = read_photos(sets, classes)
    fold_of = folds(photos, settings.get("together", ()), len(classes))
    size = (int(settings["size"][0]), int(settings["size"][1]))
    steps, batch = settings["steps"], settings["batch"]
    return Domain(name, settings["title"], classes, size, steps, batch, tuple(photos), fold_of, sets)

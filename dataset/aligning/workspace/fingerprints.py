# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of what a step depends on, by names that a user knows: tables of the recipe, files, options."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....engine.errors import DataError
from ....engine.recipe.reading import dump_recipe
from ....engine.recipe.settings import Recipe
from ...checksums import file_hash
from ...formats.coco import CocoFile
from ...formats.dataset_folder import INSTANCES
from ...formats.image_files import ImageFiles
from ...store.frames import FrameStore
from ...store.inputs import read_inputs

_MAX_LISTED = 4


def of_recipe(recipe: Recipe) -> dict[str, str]:
    """A fingerprint of each table of a recipe, of each file that it names, and of its own plugins.

    The number of images is left out: more images are added to those that exist. Paths below the recipe's own folder are
    relative, so that the folder can be moved.
    """
    tables = tomllib.loads(dump_recipe(recipe))
    del tables["images"]
    values = {key: value for key, value in tables.items() if not isinstance(value, dict | list)}
    found = {f"'{key}' of the recipe": json.dumps(value) for key, value in values.items()}
    found |= {f"[{key}] of the recipe": of_value(value) for key, value in tables.items() if key not in values}
    found |= {f"'{name}'": entry["sha256"] for name, entry in read_inputs(recipe).items()}
    for folder in recipe.plugin_folders:
        for path in sorted(recipe.path(folder).rglob("*.py")):
            found[f"plugin '{path.relative_to(recipe.path(folder).parent).as_posix()}'"] = file_hash(path)
    return found


def of_photos(coco: CocoFile, images: Path | None) -> dict[str, str]:
    """A fingerprint of annotations, and of each photo that there is."""
    found = {f"'{coco.path.name}'": of_value([coco.images, coco.annotations, coco.categories])}
    if images is not None:
        files = ImageFiles(coco.images, images)
        for image in coco.images:
            try:
                found[f"'{image.get('file_name')}'"] = file_hash(files.path(image))
            except (OSError, DataError):
                found[f"'{image.get('file_name')}'"] = ""
    return found


def of_files(folder: Path, paths: Sequence[Path]) -> dict[str, str]:
    """Hashes of files by their paths in a folder; "" of a missing one."""
    return {path.relative_to(folder).as_posix(): file_hash(path) if path.is_file() else "" for path in paths}


def of_value(value: Any) -> str:
    """The hash of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Phrases on what differs, such as ``'room.blend' has changed``; the first few, and how many more there are."""
    phrases = []
    for name in [*now, *(name for name in before if name not in now)]:
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if not old or not new:
            phrases.append(f"{name} is {'new' if new else 'missing'}")
        elif name.startswith("--") or (len(old) < 64 and len(new) < 64):
            phrases.append(f"{name} is {new} instead of {old}")
        else:
            phrases.append(f"{name} {'have' if name.startswith('the ') else 'has'} changed")
    more = len(phrases) - _MAX_LISTED
    return phrases if more <= 0 else [*phrases[:_MAX_LISTED], f"and {more} more"]


def of_dataset(folder: Path | None) -> str:
    """A fingerprint of a rendered dataset by its annotations and pictures; "" without one."""
    if folder is None or not (folder / INSTANCES).is_file():
        return ""
    hashes = [file_hash(folder / INSTANCES)]
    store = FrameStore(folder)
    hashes += [file_hash(store.record_path(frame)) for frame in store.frames()]  # they hold the hashes of pictures
    return of_value(hashes)


def of_model(model: Path | None) -> str:
    """A fingerprint of a vision model; "packaged" for the one of the package."""
    return "packaged" if model is None else file_hash(model)

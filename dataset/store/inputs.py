# SPDX-License-Identifier: GPL-3.0-or-later
"""The input files of a dataset: their hashes, and the licences and authors that models name."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ...engine.errors import OutputError
from ...engine.plugin.params import describe
from ...engine.recipe.settings import Recipe, SceneSettings
from ...engine.recipe.tables.classes import ClassSettings, DistractorSettings
from ...engine.recipe.variants import rooms_of, variants_of
from ...engine.regular_files import real_path
from ..formats.blenderproc_sources import (
    find_materials,
    find_objects,
    find_scene,
    pictures_of,
)

FILE = "inputs.json"

_GLB_MAGIC = b"glTF"
_ORIGIN_KEYS = ("copyright", "license", "author", "source", "title")
_MAX_JSON_BYTES = 64 * 2**20


def read_inputs(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """All files that a recipe names, by path relative to the recipe, or by file name if they are not below its folder.

    Files of a dataset elsewhere are named by their path in it. Each has ``bytes``, ``sha256`` and ``used`` (the keys
    of the recipe that name it), and under ``stated`` what a glTF model says of its origin. Files that glTF models refer
    to are included; for files linked by a .blend, see :func:`read_linked_files`. Several files of one name have the sum
    of their bytes and the hash of their hashes.
    """
    files: dict[str, dict[Path, None]] = {}
    keys: dict[str, dict[str, None]] = {}
    named = [(one.dataset, getattr(one, "materials", "")) for one in _dataset_settings(recipe)]
    roots = [recipe.path(folder) for folders in named for folder in folders if folder]
    for key, file in named_files(recipe):
        place = _relative_name(recipe.folder, file, roots)
        files.setdefault(place, {})[file] = None
        keys.setdefault(place, {})[key] = None
    entries: dict[str, dict[str, Any]] = {}
    for place, group in sorted(files.items()):
        entries[place] = {**_size_and_hash(group), "used": list(keys[place])}
        stated = next(filter(None, map(_gltf_origin, group)), None)
        if stated:
            entries[place]["stated"] = stated
    return entries


def read_linked_files(recipe: Recipe, files: Iterable[Path], owner: str) -> dict[str, dict[str, Any]]:
    """As :func:`read_inputs`, for files that scenes and models link, without those that the recipe names itself.

    ``linked_by`` holds the ``owner``. A missing file has 0 bytes and the hash "".
    """
    named = {real_path(path) for _, path in named_files(recipe)}
    by_place: dict[str, list[Path]] = {}
    for file in files:
        if real_path(file) not in named:
            by_place.setdefault(_relative_name(recipe.folder, file), []).append(file)
    return {place: {**_size_and_hash(group), "linked_by": [owner]} for place, group in sorted(by_place.items())}


def linked_files(inputs: Mapping[str, Any], owner: str = "") -> dict[str, Any]:
    """The recorded inputs that scenes or models link; those of one owner, or all."""

    def owners(entry: Any) -> list[str]:
        names = entry.get("linked_by") if isinstance(entry, Mapping) else None
        is_valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return [name for name in names or () if name == _encodable(name)] if is_valid else []

    return {
        name: {"bytes": entry.get("bytes"), "sha256": entry.get("sha256"), "linked_by": owners(entry)}
        for name, entry in inputs.items()
        if name == _encodable(name) and (owner in owners(entry) if owner else owners(entry))
    }


def merge_links(inputs: Mapping[str, Any], links: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded inputs with linked files added; a file that was linked before gets further owners."""
    known = linked_files(inputs)
    merged = dict(inputs)
    for name, entry in links.items():
        if name in known or name not in inputs:
            owners = known[name]["linked_by"] if name in known else []
            merged[name] = {**entry, "linked_by": sorted({*owners, *entry["linked_by"]})}
    return dict(sorted(merged.items()))


def check_unchanged(recorded: Mapping[str, Any], current: Mapping[str, Any], out: Path) -> None:
    """Raise OutputError if an input file of the frames in a folder has changed or is missing."""
    hashes = {name: entry.get("sha256") for name, entry in recorded.items()}
    gone = [name for name in hashes if name not in current or current[name]["sha256"] == "" != hashes[name]]
    changed = [name for name in hashes if name not in gone and hashes[name] != current[name]["sha256"]]
    for names, what in (
        (changed, "has changed since frames were rendered into"),
        (gone, "is missing, but was used for"),
    ):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise OutputError(
                f"The file '{names[0]}'{more} {what} '{out}'. Restore the old file, or choose another output folder."
            )


def named_files(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """Pairs of a recipe key and a file that it names, including files that glTF models refer to."""
    parts: list[tuple[str, Any]] = [("real", recipe.real)] if recipe.real else []
    for room in rooms_of(recipe):
        key = "room" if recipe.rooms else "scene"
        parts += [(key, room.scene), *((f"{key}.models", one) for one in room.models)]
    parts += [("class", one) for one in recipe.classes]
    parts += [("distractor", one) for one in recipe.distractors]
    parts += [("goal", one) for one in recipe.goals]
    parts += [("camera_model", recipe.camera_model)]
    for one in variants_of(recipe):
        parts += [(f"{kind}.{use.id}", use.plugin) for kind, uses in one.plugins.items() for use in uses]
    for key, part in parts:
        for p in describe(type(part)):
            value = getattr(part, p.name)
            if not p.path or not value:
                continue
            for pattern in [value] if isinstance(value, str) else value:
                for path in recipe.files(pattern):
                    # Folders are skipped: real photos are not inputs of the job, and plugins record their own.
                    if path.is_file():
                        yield from ((f"{key}.{p.name}", f) for f in (path, *_gltf_references(path)) if _is_file(f))
    for source in _dataset_settings(recipe):
        if isinstance(source, SceneSettings):
            key = "room" if recipe.rooms else "scene"
            files = find_scene(source, recipe.folder).files if source.blenderproc else ()
            yield from ((f"{key}.dataset", f) for f in files)
            textures = find_materials(source, recipe.folder).values() if source.materials else ()
            yield from ((f"{key}.materials", f) for folders in textures for one in folders for f in pictures_of(one))
        else:
            key = "distractor" if isinstance(source, DistractorSettings) else "class"
            yield from ((f"{key}.dataset", f) for o in find_objects(source, recipe.folder) for f in o.files())


def _dataset_settings(recipe: Recipe) -> list[SceneSettings | ClassSettings]:
    """The parts of a recipe that use datasets loaded by BlenderProc."""
    parts: list[SceneSettings | ClassSettings] = [
        *(r.scene for r in rooms_of(recipe)),
        *recipe.classes,
        *recipe.distractors,
    ]
    return [one for one in parts if one.blenderproc or getattr(one, "materials", "")]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def _relative_name(folder: Path, file: Path, roots: Iterable[Path] = ()) -> str:
    for start, prefix in ((real_path(folder), ""), *((root, f"{root.name}/") for root in roots)):
        for path in (file, real_path(file)):
            if path.is_relative_to(start):
                return _encodable(prefix + path.relative_to(start).as_posix())
    return _encodable(file.name)


def _encodable(name: str) -> str:
    """A file name with everything replaced that UTF-8 cannot encode."""
    return name.encode("utf-8", "replace").decode()


def _size_and_hash(files: Iterable[Path]) -> dict[str, Any]:
    hashes = [_hash(file) if file.is_file() else ("", 0) for file in files]
    digests = sorted({digest for digest, _ in hashes})
    both = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    return {"bytes": sum(size for _, size in hashes), "sha256": both}


def _hash(path: Path) -> tuple[str, int]:
    stat = path.stat()
    return _cached_hash(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=100_000)
def _cached_hash(path: Path, *_: int) -> tuple[str, int]:
    """The hash of a file, computed again only if the arguments, its inode, size or time, differ."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), os.fstat(file.fileno()).st_size


def _gltf_references(path: Path) -> list[Path]:
    """The files that a .gltf model refers to, in its order."""
    if path.suffix.lower() != ".gltf":
        return []
    content = _gltf(path)
    entries = [e for key in ("buffers", "images") for e in content.get(key) or () if isinstance(e, dict)]
    uris = [e["uri"] for e in entries if isinstance(e.get("uri"), str) and not e["uri"].startswith("data:")]
    return [path.parent / unquote(uri) for uri in uris]


def _gltf_origin(path: Path) -> dict[str, str]:
    """What a glTF model says of its origin."""
    if path.suffix.lower() not in (".gltf", ".glb"):
        return {}
    asset = _gltf(path).get("asset")
    if not isinstance(asset, dict):
        return {}
    extras = asset.get("extras")
    entries = {**(extras if isinstance(extras, dict) else {}), **asset}
    return {key: entries[key] for key in _ORIGIN_KEYS if isinstance(entries.get(key), str)}


def _gltf(path: Path) -> dict[str, Any]:
    """The JSON of a glTF model; empty if it cannot be read, which loading the model reports."""
    try:
        with open(path, "rb") as file:
            if path.suffix.lower() == ".glb":
                magic, _, _, length, _ = struct.unpack("<4sIIII", file.read(20))
                text = file.read(length) if magic == _GLB_MAGIC and length <= _MAX_JSON_BYTES else b"{}"
            else:
                text = file.read(_MAX_JSON_BYTES)
        content = json.loads(text)
    except (OSError, ValueError, struct.error, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}

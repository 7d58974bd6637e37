# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses scenes and models that refer to pipes or devices: Blender would wait for them, or read them without end."""

from __future__ import annotations

import functools
import json
import mmap
import os
import re
import stat
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from ...engine.errors import StageError
from ...engine.regular_files import open_regular, read_regular
from .blend_paths import blend_paths

_DIGITS = re.compile(r"<UDIM>|<UVTILE>|u\d+_v\d+|\d+")
_MAX_TEXT = 256 * 2**20
_MAX_ENTRIES = 100_000
"""Files of one folder that are looked at."""

_MAX_FILES = 1000
"""Linked files that are followed."""

_SEQUENCES = {"image", "volume", "cache"}
"""What is read from several files of a folder, of which only one is named."""

Reference = tuple[str, Path]
"""What a path leads to, such as ``"image"``, and the path."""


def check_references(path: Path) -> None:
    """Check that a scene or model, and what it links, refer to no pipe, device or socket.

    Files that are missing or cannot be understood are left to Blender. Of USD only text files are looked into.

    Raises
    ------
    StageError
        It does; the message names the file and what refers to it.
    """
    first = Path(os.path.abspath(path))
    waiting, seen = [first], set[Path]()
    # Many files are usually in few folders.
    entries = functools.cache(_special_entries)
    while waiting and len(seen) < _MAX_FILES:
        file = waiting.pop()
        reader = _READERS.get(file.suffix.lower())
        if file in seen or reader is None or not file.is_file():
            continue
        seen.add(file)
        try:
            references = list(reader(file))
        except (OSError, ValueError):
            continue
        for kind, target in references:
            special = _special(kind, target, entries)
            if special is not None:
                owner = "its" if file == first else f"it links '{file}', whose"
                raise StageError(
                    f"{path}: {owner} {kind} '{special}' is a pipe or device, which may never end. Put a file in its "
                    "place, or remove it in Blender."
                )
            waiting.append(target)


def _special(kind: str, path: Path, entries: Callable[[Path], list[Path]]) -> Path | None:
    """What a path stands for that is neither file nor folder: itself, one of its sequence, or one in its folder."""
    is_folder = False
    try:
        mode = os.stat(path).st_mode
        is_folder = stat.S_ISDIR(mode)
        if not (is_folder or stat.S_ISREG(mode)):
            return path
    except (OSError, ValueError):
        pass  # nothing to open, but its name may stand for several files
    if kind not in _SEQUENCES:
        return None
    if is_folder:
        return next(iter(entries(path)), None)
    like = _DIGITS.sub("#", path.name)
    return next((each for each in entries(path.parent) if "#" in like and _DIGITS.sub("#", each.name) == like), None)


def _special_entries(folder: Path) -> list[Path]:
    """The entries of a folder that are neither files nor folders."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(_MAX_ENTRIES), entries, strict=False):
                if not (entry.is_file() or entry.is_dir()) and os.path.exists(entry.path):
                    found.append(Path(entry.path))
    except (OSError, ValueError):
        return []
    return sorted(found)


def _of_blend(path: Path) -> Iterator[Reference]:
    for each in blend_paths(path):
        text = each.text.replace("\\", "/")
        if text.startswith("//"):
            yield each.kind, Path(os.path.normpath(path.parent / text[2:]))
        elif os.path.isabs(text):
            yield each.kind, Path(text)
    yield "cache", path.parent / f"blendcache_{path.stem}"


def _of_gltf(path: Path) -> Iterator[Reference]:
    data = read_regular(path, _MAX_TEXT) if path.suffix.lower() == ".gltf" else _json_of_glb(path)
    content = json.loads(data)
    for key, kind in (("buffers", "buffer"), ("images", "image")):
        for entry in content.get(key, ()) if isinstance(content, dict) else ():
            uri = entry.get("uri") if isinstance(entry, dict) else None
            if isinstance(uri, str) and not uri.startswith("data:"):
                yield kind, path.parent / unquote(uri)


def _json_of_glb(path: Path) -> bytes:
    with open_regular(path) as file:
        head = file.read(20)
        magic, _, _, length, _ = struct.unpack("<4s4I", head.ljust(20, b"\0"))
        if magic != b"glTF" or length > _MAX_TEXT:
            raise ValueError("no GLB")
        return file.read(length)


def _of_pattern(pattern: bytes, kind: str) -> Callable[[Path], Iterator[Reference]]:
    """References that stand anywhere in a file, possibly after options such as ``-s 1 1 1``."""

    def references(path: Path) -> Iterator[Reference]:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for match in re.finditer(pattern, data):
                text = match[1].decode(errors="surrogateescape").strip().replace("\\", "/")
                for name in dict.fromkeys((text, text.rpartition(" ")[2])):
                    yield kind, path.parent / name

    return references


def _of_fbx(path: Path) -> Iterator[Reference]:
    data = read_regular(path, _MAX_TEXT)
    for match in re.finditer(rb"(?:RelativeFilename|FileName|Filename)S", data):
        (length,) = struct.unpack_from("<I", data.ljust(match.end() + 4, b"\0"), match.end())
        yield from _names(path, data[match.end() + 4 : match.end() + 4 + min(length, 4096)])
    for match in re.finditer(rb"(?:RelativeFilename|FileName|Filename):\s*\"([^\"\n]*)\"", data):
        yield from _names(path, match[1])


def _names(path: Path, name: bytes) -> Iterable[Reference]:
    text = name.decode(errors="surrogateescape").replace("\\", "/")
    # The importer also looks for the name alone beside the model.
    return [("image", path.parent / text), ("image", path.parent / text.rpartition("/")[2])] if text else []


_IMAGE_OF_MTL = rb"(?:map_\w+|bump|disp|decal|refl|norm)[ \t]+([^\r\n]+)"
_ASSET_OF_USD = rb"@([^@\r\n\0]{1,4096})@"

_READERS: dict[str, Callable[[Path], Iterable[Reference]]] = {
    ".blend": _of_blend,
    ".gltf": _of_gltf,
    ".glb": _of_gltf,
    ".obj": _of_pattern(rb"mtllib[ \t]+([^\r\n]+)", "material library"),
    ".mtl": _of_pattern(_IMAGE_OF_MTL, "image"),
    ".usda": _of_pattern(_ASSET_OF_USD, "layer or image"),
    ".usd": _of_pattern(_ASSET_OF_USD, "layer or image"),
    ".fbx": _of_fbx,
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the paths that a .blend file refers to without opening it in Blender, which would open what they lead to."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import attrs

from ...engine.regular_files import open_regular

_FIELDS = {
    "Library": "library",
    "Image": "image",
    "ImageView": "image",
    "VFont": "font",
    "MovieClip": "movie",
    "Volume": "volume",
    "CacheFile": "cache",
    "CacheFileLayer": "cache",
    "MeshCacheModifierData": "cache",
    "OceanModifierData": "cache",
    "FluidDomainSettings": "cache",
    "PointCache": "cache",
    "NodeShaderTexIES": "light profile",
    "NodeShaderScript": "script",
    "bNodeSocketValueString": "text",
}
"""Structures of Blender's files with paths that renders read, and what the paths lead to."""

_PATH = re.compile(rb"(?:filepath|name|path|cachepath|cache_directory|value)\[(\d+)\]$")
_MIN_LENGTH = 200
"""Bytes from which on text is a path: names are shorter."""

_MAX_BLOCK = 64 * 2**10
"""Bytes; larger blocks hold geometry and pixels."""

_MAX_DNA = 16 * 2**20
_CHUNK = 2**20


@attrs.frozen
class BlendPath:
    """A path as it is written in the file, ``//`` for its folder, and what it leads to, such as ``"library"``."""

    text: str
    kind: str


def blend_paths(path: Path) -> list[BlendPath]:
    """The paths in a .blend file of any version of Blender, each once; none if it is not understood.

    Raises OSError if the file cannot be read.
    """
    with open_regular(path) as file, contextlib.suppress(ValueError, struct.error, EOFError, IndexError, KeyError):
        return list(dict.fromkeys(_paths(_uncompressed(file))))
    return []


def _uncompressed(file: BinaryIO) -> BinaryIO:
    start = file.read(4)
    file.seek(0)
    if start[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if start == b"\x28\xb5\x2f\xfd":
        try:
            import zstandard  # comes with Blender
        except ImportError:
            return io.BytesIO()
        return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    return file


def _paths(file: BinaryIO) -> Iterator[BlendPath]:
    layout, dna = _layout(file), b""
    blocks: list[tuple[int, bytes]] = []
    while True:
        code, length, number = layout.next_block(file)
        if code == b"ENDB":
            break
        if code == b"DNA1" and length <= _MAX_DNA:
            dna = _read(file, length)
        elif length <= _MAX_BLOCK:
            data = _read(file, length)
            if b"/" in data or b"\\" in data:
                blocks.append((number, data))
        else:
            _skip(file, length)
    fields = layout.path_fields(dna)
    for number, data in blocks:
        kind, size, offsets = fields.get(number, ("", 1, []))
        for start in range(0, len(data) - size + 1 if offsets else 0, size):
            for offset, width in offsets:
                text = data[start + offset : start + offset + width].partition(b"\0")[0]
                if text:
                    yield BlendPath(text.decode(errors="surrogateescape"), kind)


@attrs.frozen
class _Layout:
    """How a file writes numbers: byte order, bytes of a pointer, and the head of its blocks."""

    order: str
    pointer: int
    head: struct.Struct
    positions: tuple[int, int]
    """Which of the head's numbers are the length of the block, and the number of its structure."""

    def next_block(self, file: BinaryIO) -> tuple[bytes, int, int]:
        head = self.head.unpack(_read(file, self.head.size))
        length, number = (int(head[k]) for k in self.positions)
        if length < 0:
            raise ValueError("a block of negative length")
        return head[0], length, number

    def path_fields(self, dna: bytes) -> dict[int, tuple[str, int, list[tuple[int, int]]]]:
        """By the number of a structure with paths: what they lead to, its size, and where they are and how long."""
        view = io.BytesIO(dna)

        def numbers(letter: str, count: int) -> tuple[int, ...]:
            layout = struct.Struct(f"{self.order}{count}{letter}")
            return layout.unpack(_read(view, layout.size))

        def strings(tag: bytes) -> list[bytes]:
            _expect(view, tag)
            count = numbers("i", 1)[0]
            found = dna[view.tell() :].split(b"\0", count)[:count]
            view.seek(sum(len(text) + 1 for text in found), io.SEEK_CUR)
            view.seek(-view.tell() % 4, io.SEEK_CUR)
            return found

        _expect(view, b"SDNA")
        names, types = strings(b"NAME"), strings(b"TYPE")
        _expect(view, b"TLEN")
        sizes = numbers("H", len(types))
        view.seek(-view.tell() % 4, io.SEEK_CUR)
        _expect(view, b"STRC")
        out = {}
        for number in range(numbers("i", 1)[0]):
            own, count = numbers("H", 2)
            at, found = 0, []
            members = numbers("H", 2 * count)
            for kind, name in zip(members[::2], members[1::2], strict=True):
                match = _PATH.match(names[name])
                if match and types[kind] == b"char" and int(match[1]) >= _MIN_LENGTH:
                    found.append((at, int(match[1])))
                at += self._size(names[name], sizes[kind])
            what = _FIELDS.get(types[own].decode(errors="replace"))
            if what and found:
                out[number] = (what, sizes[own], found)
        return out

    def _size(self, name: bytes, size: int) -> int:
        if name.startswith((b"*", b"(")):
            size = self.pointer
        for length in re.findall(rb"\[(\d+)\]", name):
            size *= int(length)
        return size


def _layout(file: BinaryIO) -> _Layout:
    _expect(file, b"BLENDER")
    kind = _read(file, 1)
    if kind in (b"_", b"-"):
        order = "<" if _read(file, 1) == b"v" else ">"
        _read(file, 3)
        pointer = 4 if kind == b"_" else 8
        return _Layout(order, pointer, struct.Struct(f"{order}4si{'I' if pointer == 4 else 'Q'}ii"), (1, 3))
    # From Blender 5.0 on: the length of this head, the version of the format, and that of Blender.
    length = int(kind + _read(file, 1))
    _read(file, length - 9)
    return _Layout("<", 8, struct.Struct("<4siQqq"), (3, 1))


def _expect(file: BinaryIO, tag: bytes) -> None:
    if _read(file, len(tag)) != tag:
        raise ValueError(f"no {tag!r} where it should be")


def _read(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    while len(data) < length:
        more = file.read(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _skip(file: BinaryIO, length: int) -> None:
    if isinstance(file, io.BufferedReader):
        file.seek(length, io.SEEK_CUR)
        return
    while length > 0:
        length -= len(_read(file, min(length, _CHUNK)))

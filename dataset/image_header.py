# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of image files: format, size and EXIF orientation, without decoding a pixel."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import attrs

from ..engine.regular_files import open_regular

MAX_PIXELS = 2**28
"""Larger images are refused: the file is damaged, or made to use up all memory."""

MAX_DECODED_BYTES = 2**30
"""Images that take more memory once decoded are refused."""

_MAX_PARTS = 2**16
"""Segments, chunks and tags that are looked at in one file."""

_ORIENTATION = 0x0112
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


@attrs.frozen
class ImageHeader:
    """What the header of an image file says.

    Attributes
    ----------
    format : str
        ``"jpeg"``, ``"png"``, ``"bmp"``, ``"webp"``, ``"tiff"``, ``"pnm"`` or ``"jpeg2000"``.
    width, height : int
        In pixels, as stored.
    bytes_per_pixel : int
        Of the decoded image.
    orientation : int
        EXIF orientation, 1 to 8: how viewers turn and mirror the stored picture.
    orientation_at : int
        Place of the orientation in a TIFF file, in bytes; 0 elsewhere.
    """

    format: str
    width: int
    height: int
    bytes_per_pixel: int = 3
    orientation: int = 1
    orientation_at: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        return self.width, self.height

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as viewers show the picture, by its EXIF orientation."""
        return (self.height, self.width) if self.orientation >= 5 else self.size

    @property
    def decoded_bytes(self) -> int:
        """Memory that the decoded picture takes."""
        return self.width * self.height * max(self.bytes_per_pixel, 3)


def read_header(source: str | Path | bytes) -> ImageHeader | None:
    """The header of an image file, or of its bytes; None if the format is unknown or the header is damaged.

    Raises OSError if the file cannot be read or is no regular file.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else open_regular(source) as file:
        start = file.read(32)
        try:
            for begins, parse in _FORMATS:
                if begins.match(start):
                    header = parse(file)
                    return header if header.width > 0 and header.height > 0 else None
        except (struct.error, ValueError, IndexError):
            return None
    return None


def without_extras(data: bytes, header: ImageHeader) -> bytes:
    """The bytes of an image with nothing that decoders unpack or apply beside the pixels.

    PNG text can unpack to gigabytes; the orientation of TIFF files is applied by decoders even where it should not be.
    """
    if header.format == "png":
        file = io.BytesIO(data)
        pieces = [data[start : end + 4] for kind, start, end in _png_chunks(file) if kind in _PNG_PIXELS]
        return b"".join([data[:8], *pieces])
    if header.orientation_at:
        order = "<" if data[:2] == b"II" else ">"
        at = header.orientation_at
        return data[:at] + struct.pack(f"{order}H", 1) + data[at + 2 :]
    return data


def _unpack(file: BinaryIO, layout: str, at: int | None = None) -> tuple[int, ...]:
    if at is not None:
        file.seek(at)
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _jpeg(file: BinaryIO) -> ImageHeader:
    at, size, orientation = 2, (0, 0, 0), 1
    for _ in range(_MAX_PARTS):
        filler, marker = _unpack(file, "2B", at)
        if filler != 0xFF:
            break
        if marker == 0xFF:  # filler may be repeated
            at += 1
            continue
        if marker in (0xD9, 0xDA):  # end of image, or start of the compressed data
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            at += 2
            continue
        (length,) = _unpack(file, ">H")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and not size[0]:
            _, height, width, channels = _unpack(file, ">BHHB")
            size = (width, height, channels)
        elif marker == 0xE1 and orientation == 1:
            data = file.read(length - 2) if length > 8 else b""
            orientation = _exif_orientation(data) if data[:6] == b"Exif\0\0" else 1
        at += 2 + length
    return ImageHeader("jpeg", *size, orientation)


def _png(file: BinaryIO) -> ImageHeader:
    width, height, depth, colour = _unpack(file, ">IIBB", 16)
    orientation = 1
    for kind, start, end in _png_chunks(file):
        if kind == b"eXIf" and end - start < 2**20:
            file.seek(start + 8)
            orientation = _exif_orientation(file.read(end - start - 8))
    channels = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}[colour] if colour in (0, 2, 3, 4, 6) else 4
    return ImageHeader("png", width, height, channels * (2 if depth == 16 else 1), orientation)


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end (before the checksum) of each chunk."""
    total = file.seek(0, os.SEEK_END)
    at = 8
    for _ in range(_MAX_PARTS):
        if at + 12 > total:
            return
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        end = min(at + 8 + length, total)
        yield kind, at, end
        at = end + 4
        if kind == b"IEND":
            return
    raise ValueError("too many chunks")


def _bmp(file: BinaryIO) -> ImageHeader:
    (length,) = _unpack(file, "<I", 14)
    if length == 12:
        width, height, _, bits = _unpack(file, "<HHHH")
    else:
        width, height, _, bits = _unpack(file, "<iiHH")
    return ImageHeader("bmp", abs(width), abs(height), max(bits // 8, 3))


def _webp(file: BinaryIO) -> ImageHeader:
    file.seek(12)
    kind = file.read(4)
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in _unpack(file, "<HH", 26))
        return ImageHeader("webp", width, height, 4)
    if kind == b"VP8L":
        (bits,) = _unpack(file, "<I", 21)
        return ImageHeader("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 4)
    file.seek(24)
    data = file.read(6)
    width, height = (1 + int.from_bytes(data[k : k + 3], "little") for k in (0, 3))
    at, orientation = 30, 1
    total = file.seek(0, os.SEEK_END)
    for _ in range(_MAX_PARTS):
        if at + 8 > total:
            break
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind == b"EXIF" and length < 2**20:
            orientation = _exif_orientation(file.read(length))
        at += 8 + length + length % 2
    return ImageHeader("webp", width, height, 4, orientation)


def _tiff(file: BinaryIO) -> ImageHeader:
    tags = _tiff_tags(file, 0)
    (width, _), (height, _) = tags[256], tags[257]
    channels, bits = tags.get(277, (1, 0))[0], tags.get(258, (8, 0))[0]
    # With several channels the tag of bits holds the place of the bits: 16 at most.
    bits = bits if channels == 1 or bits in (8, 16, 32, 64) else 16
    orientation, at = tags.get(_ORIENTATION, (1, 0))
    known = 1 <= orientation <= 8
    return ImageHeader(
        "tiff", width, height, max(channels * bits // 8, 1), orientation if known else 1, at if known else 0
    )


def _tiff_tags(file: BinaryIO, base: int) -> dict[int, tuple[int, int]]:
    """Values of the tags of a TIFF structure's first directory that are one number, with their places."""
    file.seek(base)
    mark = file.read(4)
    order = {b"II": "<", b"MM": ">"}[mark[:2]] if mark[:2] in (b"II", b"MM") else "<"
    big = struct.unpack(f"{order}H", mark[2:])[0] == 43
    (at,) = _unpack(file, f"{order}Q", base + 8) if big else _unpack(file, f"{order}I", base + 4)
    (count,) = _unpack(file, f"{order}Q" if big else f"{order}H", base + at)
    tags: dict[int, tuple[int, int]] = {}
    place = file.tell()
    for number in range(min(count, 1024)):
        entry = place + number * (20 if big else 12)
        tag, kind, _ = _unpack(file, f"{order}HHQ" if big else f"{order}HHI", entry)
        layout = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if layout:
            value_at = file.tell()
            tags.setdefault(tag, (_unpack(file, order + layout)[0], value_at))
    return tags


def _exif_orientation(data: bytes) -> int:
    """The orientation in a block of EXIF data, with or without its name; 1 if there is none."""
    start = 6 if data[:6] == b"Exif\0\0" else 0
    try:
        value, _ = _tiff_tags(io.BytesIO(data[start:]), 0).get(_ORIENTATION, (1, 0))
    except (struct.error, ValueError, IndexError):
        return 1
    return value if 1 <= value <= 8 else 1


def _pnm(file: BinaryIO) -> ImageHeader:
    file.seek(0)
    text = re.sub(rb"#[^\n]*", b" ", file.read(4096))
    if text[:2] == b"P7":
        width, height, depth, largest = (
            int(re.search(rb"\b%s\s+(\d{1,9})" % key, text)[1])  # type: ignore[index]
            for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
        )
        return ImageHeader("pnm", width, height, depth * (2 if largest > 255 else 1))
    numbers = [int(word) for word in re.findall(rb"\s(\d{1,9})\b", text[2:256])[:3]]
    wide = 2 if text[1:2] not in b"14" and numbers[2] > 255 else 1
    return ImageHeader("pnm", numbers[0], numbers[1], 3 * wide)


def _jpeg2000(file: BinaryIO) -> ImageHeader:
    file.seek(0)
    data = file.read(2**16)
    at = data.find(b"\xff\x4f\xff\x51")
    x1, y1, x0, y0 = struct.unpack(">4I", data[at + 8 : at + 24] if at >= 0 else b"")
    (channels,) = struct.unpack(">H", data[at + 40 : at + 42])
    return ImageHeader("jpeg2000", x1 - x0, y1 - y0, channels * 2)


_FORMATS = tuple(
    (re.compile(begins, re.DOTALL), parse)
    for begins, parse in (
        (rb"\xff\xd8\xff", _jpeg),
        (rb"\x89PNG\r\n\x1a\n", _png),
        (rb"BM", _bmp),
        (rb"RIFF....WEBPVP8[ LX]", _webp),
        (rb"II[*+]\0|MM\0[*+]", _tiff),
        (rb"P[1-7]\s", _pnm),
        (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", _jpeg2000),
    )
)

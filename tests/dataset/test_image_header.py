# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers say what Pillow says; files made to exhaust memory are refused before they are decoded."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from twinset.dataset.formats.pixels import read_depth, read_image
from twinset.dataset.image_header import MAX_PIXELS, read_header
from twinset.engine.errors import DataError

PICTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (37, 53, 3)).astype(np.uint8), (0, 0), 3)


def saved(path, orientation=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif.tobytes()} if path.suffix != ".tif" else {"tiffinfo": {0x0112: orientation}}
    Image.fromarray(PICTURE).save(path, **options, **({"lossless": True} if path.suffix == ".webp" else {}))
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_those_of_pillow(tmp_path, suffix, orientation):
    path = saved(tmp_path / f"a.{suffix}", orientation)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    header = read_header(path)
    assert header.orientation == orientation
    assert header.size == (53, 37) and header.upright_size == upright.shape[1::-1]
    assert (read_image(path, upright=True) == upright).all()
    assert np.abs(read_image(path).astype(int) - PICTURE).max() <= (12 if suffix == "jpg" else 0)


@pytest.mark.parametrize("suffix", ["bmp", "ppm", "pgm", "jp2", "png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_sizes_of_all_formats(tmp_path, suffix, mode):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PICTURE).convert(mode).save(path)
    assert read_header(path).size == (53, 37) and read_image(path).shape == (37, 53, 3)


@pytest.mark.parametrize("size", [2, 12, 20, 30, 60])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "ppm"])
def test_headers_that_end_early_are_unknown(tmp_path, suffix, size):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PICTURE).save(path)
    path.write_bytes(path.read_bytes()[:size])
    header = read_header(path)
    assert header is None or header.size == (53, 37)
    with pytest.raises(DataError, match=r"a\."):
        read_image(path)


def png(width, height, *chunks, depth=8, colour=2):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"\0" * 64)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    extra = b"".join(chunk(*c) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb(kind):
    side = 40_000
    if kind == "png":
        return png(side, side)
    if kind == "jpg":
        _, data = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
        at = data.tobytes().index(b"\xff\xc0")
        return data.tobytes()[: at + 5] + struct.pack(">HH", side, side) + data.tobytes()[at + 9 :]
    if kind == "bmp":
        return b"BM" + struct.pack("<IIIIiiHH", 100, 0, 54, 40, side, -side, 1, 24) + b"\0" * 60
    if kind == "ppm":
        return b"P6\n# a comment\n%d %d\n255\n" % (side, side) + b"\0" * 60
    if kind == "tif":
        tags = [(256, 4, side), (257, 4, side), (258, 3, 8), (277, 3, 3)]
        entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 60
    if kind == "webp":
        return b"RIFF\x30\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (16_382).to_bytes(3, "little") * 2 + b"VP8 "
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (side, side)


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "ppm", "tif", "hdr"])
def test_images_that_would_fill_the_memory_are_refused(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(bomb(kind))
    with pytest.raises(DataError, match=f"{MAX_PIXELS:,} pixels|unknown format"):
        read_image(path)


def test_depth_maps_that_would_fill_the_memory_are_refused(tmp_path):
    import OpenEXR

    (tmp_path / "a.png").write_bytes(png(40_000, 40_000, depth=16, colour=0))
    with OpenEXR.File({"type": OpenEXR.scanlineimage}, {"Z": np.ones((2, 2), np.float32)}) as file:
        file.write(str(tmp_path / "a.exr"))
    data = (tmp_path / "a.exr").read_bytes()
    at = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    (tmp_path / "a.exr").write_bytes(data[: at + 8] + struct.pack("<ii", 2**20, 2**20) + data[at + 16 :])
    for name in ("a.png", "a.exr"):
        with pytest.raises(DataError, match=f"a.{name[-3:]}"):
            read_depth(tmp_path / name)


def test_text_in_a_picture_is_not_unpacked(tmp_path, monkeypatch):
    text = b"Comment\0\0" + zlib.compress(b"\0" * 2**20)
    data = io.BytesIO()
    Image.fromarray(PICTURE).save(data, "png")
    plain = data.getvalue()
    head, rest = plain[:33], plain[33:]
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    (tmp_path / "a.png").write_bytes(head + chunk + rest)
    decoded = []
    inner = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: decoded.append(bytes(data)) or inner(data, flags))
    assert (read_image(tmp_path / "a.png") == PICTURE).all()
    assert decoded == [plain]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    for name in ("a.png", "b.png"):
        with pytest.raises(DataError, match=f"{name}' cannot be read: it is not a regular file"):
            read_image(tmp_path / name)
    with pytest.raises(OSError, match="not a regular file"):
        read_header(tmp_path / "a.png")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the pixels of a dataset's files: images as RGB, depth maps in metres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ...engine.regular_files import open_regular, read_regular
from ..image_header import MAX_DECODED_BYTES, MAX_PIXELS, read_header, without_extras
from . import blenderproc_output

DEPTH_SUFFIXES = (".png", ".exr", blenderproc_output.SUFFIX)

MAX_FILE_BYTES = 2**30
"""Larger image files are refused."""


def read_image(path: Path, *, upright: bool = False) -> np.ndarray:
    """Read an image (H, W, 3) uint8 RGB, as stored or turned upright by its EXIF orientation.

    :class:`.image_files.ImageFiles` says which of the two the annotations of a dataset follow.

    Raises
    ------
    DataError
        If the file is missing or not an image.
    """
    import cv2

    if path.suffix.lower() == blenderproc_output.SUFFIX:
        return blenderproc_output.read_colors(path)
    image, orientation = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    image = image[..., ::-1]
    return np.ascontiguousarray(_turned(image, orientation) if upright else image)


def reduced(photo: np.ndarray, longer_side: int) -> np.ndarray:
    """A photo (H, W, 3) whose longer side has at most so many pixels."""
    import cv2

    height, width = photo.shape[:2]
    scale = longer_side / max(height, width)
    if scale >= 1:
        return photo
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def read_map(path: Path, image: Mapping[str, Any]) -> np.ndarray:
    """Read a map of an image's labels as stored: grey (H, W), or colours (H, W, 3) RGB without alpha.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of another size than the COCO ``image``.
    """
    import cv2

    pixels, _ = _decode(path, cv2.IMREAD_UNCHANGED)
    if pixels.shape[1::-1] != (image["width"], image["height"]):
        raise DataError(f"'{path}' has another size than its image. Remove it or restore it.")
    return pixels if pixels.ndim == 2 else pixels[..., 2::-1]


def read_depth(path: Path) -> np.ndarray:
    """Read a depth map (H, W) float32 in metres, NaN where nothing was hit.

    Formats: 16-bit PNG in millimetres (0 for nothing), EXR with one channel in metres, and BlenderProc's HDF5.

    Raises
    ------
    DataError
        If the file is missing or not a depth map.
    """
    import cv2

    if path.suffix.lower() == ".exr":
        return _read_exr(path)
    if path.suffix.lower() == blenderproc_output.SUFFIX:
        return blenderproc_output.read_frame_depth(path)
    stored, _ = _decode(path, cv2.IMREAD_UNCHANGED)
    if stored.ndim != 2 or stored.dtype != np.uint16:
        raise DataError(f"'{path}' is not a depth map: it must be a PNG with one 16-bit channel, in millimetres.")
    return np.where(stored > 0, stored.astype(np.float32) / 1000.0, np.float32(np.nan))


def read_channels(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Channels (H, W) float32 of an EXR file by name.

    Raises
    ------
    DataError
        If the file is missing, damaged, or has other channels.
    """
    channels = _read_exr_channels(path)
    absent = [name for name in names if name not in channels or channels[name].ndim != 2]
    if absent:
        raise DataError(f"'{path}' has no channel '{absent[0]}'. Render that frame again.")
    return [channels[name] for name in names]


def _read_exr(path: Path) -> np.ndarray:
    channels = _read_exr_channels(path)
    depth = channels.get("Z", next(iter(channels.values())))
    if depth.ndim != 2:
        raise DataError(f"'{path}' is not a depth map: it must have one channel of depth.")
    return np.where(np.isfinite(depth), depth, np.float32(np.nan))


def _read_exr_channels(path: Path) -> dict[str, np.ndarray]:
    try:
        import OpenEXR
    except ImportError as error:
        raise DataError(f"'{path}' needs the package OpenEXR to be read. Install it.") from error
    try:
        open_regular(path).close()
        with OpenEXR.File(str(path), header_only=True) as file:
            if _exr_bytes(file) > MAX_DECODED_BYTES:
                raise DataError(f"The map '{path}' has more than {MAX_PIXELS:,} pixels. Use a smaller one.")
        with OpenEXR.File(str(path)) as file:
            channels = {name: np.asarray(c.pixels, dtype=np.float32) for name, c in file.channels().items()}
    except (RuntimeError, OSError) as error:
        raise DataError(f"The map '{path}' cannot be read ({error}).") from error
    if not channels:
        raise DataError(f"The map '{path}' has no channels. Restore it.")
    return channels


def _exr_bytes(file: Any) -> int:
    """Memory that all channels of all parts of an EXR file take."""
    total = 0
    for part in file.parts:
        low, high = part.header["dataWindow"]
        width, height = (int(b) - int(a) + 1 for a, b in zip(low, high, strict=True))
        total += max(width, 1) * max(height, 1) * 4 * max(len(part.header.get("channels", ())), 1)
    return total


def _decode(path: Path, flags: int) -> tuple[np.ndarray, int]:
    """The pixels of an image as stored, and its EXIF orientation."""
    import cv2

    try:
        data = read_regular(path, MAX_FILE_BYTES)
        header = read_header(data)
        if header is None:
            raise DataError(f"The image '{path}' is in an unknown format or damaged. Save it as JPEG or PNG.")
        if header.width * header.height > MAX_PIXELS:
            raise DataError(f"The image '{path}' has more than {MAX_PIXELS:,} pixels. Use a smaller image.")
        if header.decoded_bytes > MAX_DECODED_BYTES:
            raise DataError(f"The image '{path}' takes more than {MAX_DECODED_BYTES:,} bytes. Use a smaller image.")
        pixels = cv2.imdecode(np.frombuffer(without_extras(data, header), np.uint8), flags)
    except FileNotFoundError:
        raise DataError(f"The image '{path}' does not exist.") from None
    except OSError as error:
        raise DataError(f"The image '{path}' cannot be read: {error.strerror or error}.") from None
    except (ValueError, cv2.error) as error:
        raise DataError(f"The image '{path}' cannot be read ({str(error).strip() or 'damaged'}).") from None
    if pixels is None or pixels.shape[1::-1] != header.size:
        raise DataError(f"The image '{path}' is in an unknown format or damaged.")
    return pixels, header.orientation


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """A stored picture as viewers show it, by its EXIF orientation."""
    turned = image.swapaxes(0, 1) if orientation >= 5 else image
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return turned[::-1] if orientation in (3, 4, 7, 8) else turned

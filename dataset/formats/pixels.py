# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the pixels of a dataset's files: images as RGB, depth maps in metres."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from ...engine.errors import DataError
from . import blenderproc_output
from .coco_check import MAX_PIXELS

DEPTH_SUFFIXES = (".png", ".exr", blenderproc_output.SUFFIX)


def read_image(path: Path) -> np.ndarray:
    """Read an image (H, W, 3) uint8 RGB as stored: EXIF orientation is ignored, as annotations do not follow it.

    Raises
    ------
    DataError
        If the file is missing or not an image.
    """
    import cv2

    if path.suffix.lower() == blenderproc_output.SUFFIX:
        return blenderproc_output.read_colors(path)
    image = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.ascontiguousarray(image[..., ::-1])


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
    stored = _decode(path, cv2.IMREAD_UNCHANGED)
    if stored.ndim != 2 or stored.dtype != np.uint16:
        raise DataError(f"'{path}' is not a depth map: it must be a PNG with one 16-bit channel, in millimetres.")
    return np.where(stored > 0, stored.astype(np.float32) / 1000.0, np.float32(np.nan))


def declared_pixels(data: bytes) -> int:
    """The number of pixels in an image header, to check before memory is allocated; 0 if unknown."""
    try:
        from PIL import Image
    except ImportError:  # Blender's own Python has no Pillow
        return 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data)) as image:
                return image.width * image.height
        except Image.DecompressionBombError:
            return MAX_PIXELS + 1
        except Exception:  # Pillow's errors share no base class; OpenCV reports what is wrong
            return 0


def _read_exr(path: Path) -> np.ndarray:
    try:
        import OpenEXR
    except ImportError as error:
        raise DataError(f"'{path}' needs the package OpenEXR to be read. Install it.") from error
    try:
        with OpenEXR.File(str(path)) as file:
            channels = file.channels()
            depth = np.asarray(channels.get("Z", next(iter(channels.values()))).pixels, dtype=np.float32)
    except (RuntimeError, OSError, StopIteration) as error:
        raise DataError(f"The depth map '{path}' cannot be read ({error}).") from error
    if depth.ndim != 2:
        raise DataError(f"'{path}' is not a depth map: it must have one channel of depth.")
    return np.where(np.isfinite(depth), depth, np.float32(np.nan))


def _decode(path: Path, flags: int) -> np.ndarray:
    import cv2

    try:
        data = path.read_bytes()
        if declared_pixels(data) > MAX_PIXELS:
            raise DataError(f"The image '{path}' has more than {MAX_PIXELS:,} pixels. Use a smaller image.")
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except FileNotFoundError:
        raise DataError(f"The image '{path}' does not exist.") from None
    except (OSError, ValueError, cv2.error) as error:
        raise DataError(f"The image '{path}' cannot be read ({str(error).strip() or 'damaged'}).") from None
    if pixels is None:
        raise DataError(f"The image '{path}' is in an unknown format or damaged.")
    return pixels

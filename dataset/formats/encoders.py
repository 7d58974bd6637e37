# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays as image files that hold nothing but the values: equal arrays give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...engine.errors import OutputError
from ..atomic_files import output_error


def encode(suffix: str, pixels: np.ndarray, options: list[int]) -> bytes:
    """Pixels as OpenCV writes them: (H, W), or (H, W, 3) in the order blue, green, red.

    Parameters
    ----------
    suffix : str
        With its dot.
    options : list of int
        OpenCV's flags, each followed by its value.
    """
    import cv2

    ok, data = cv2.imencode(suffix, pixels, options)
    if not ok:
        raise OutputError(f"OpenCV could not encode a picture of shape {pixels.shape} as {suffix}.")
    return data.tobytes()


def write_exr(path: Path, channels: Mapping[str, np.ndarray], instead: str) -> None:
    """Write float channels (H, W) as an EXR file.

    Parameters
    ----------
    instead : str
        What can be done without the package OpenEXR, for the sentence: ``set depth = "png"``.

    Raises
    ------
    OutputError
        Where the file cannot be written, or the package is not installed.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise OutputError(f"Maps as EXR need the package OpenEXR. Install it, or {instead}.") from error

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    plain = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in channels.items()}
    try:
        with OpenEXR.File(header, plain) as file:
            file.write(str(path))
    except OSError as error:
        raise output_error(error, path.parent) from error
    except RuntimeError as error:  # the library has no error numbers
        raise OutputError(
            f"The folder '{path.parent}' cannot be written to ({error}). "
            "Free space there or choose another output folder."
        ) from error


def encode_vectors(values: np.ndarray, known: np.ndarray) -> bytes:
    """Vectors (H, W, 3) in [0, 1] as a 16-bit PNG with their components as red, green and blue; 0, 0, 0 where they are
    not ``known`` (H, W)."""
    whole = np.rint(np.clip(np.nan_to_num(values), 0.0, 1.0) * 65535).astype(np.uint16)
    whole[~known] = 0
    return encode(".png", np.ascontiguousarray(whole[..., ::-1]), [])

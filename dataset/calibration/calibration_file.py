# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibration files, whichever program wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engine.errors import DataError
from ...engine.regular_files import read_regular_text
from ...engine.scene.intrinsics import Distortion, Intrinsics
from . import colmap, kalibr, matrices
from .calibration_error import CalibrationError

_MAX_BYTES = 4 * 2**20


def read_calibration(
    path: Path, camera: str = "", size: tuple[int, int] | None = None, distortion: Distortion = "none"
) -> Intrinsics:
    """The optics that a calibration file describes, in Twinset's pixels.

    Parameters
    ----------
    path : path
        YAML or JSON of OpenCV, ROS ``camera_info``, Kalibr's camchain, or COLMAP's ``cameras.txt``.
    camera : str
        Name or id of the camera, where the file has several.
    size : (int, int), optional
        Width and height of the calibrated image, where the file does not say.
    distortion : str
        What the coefficients mean, where the file does not say; ``"none"`` stands for OpenCV's usual model.

    Raises
    ------
    DataError
        Where the file cannot be read, or describes no camera that can be used.
    """
    try:
        found = _read(path, camera, distortion)
        if size is not None and found.size not in (None, size):
            raise CalibrationError(
                f"is for images of {found.size[0]} x {found.size[1]} pixels, but 'size' says {size[0]} x {size[1]}. "
                "Remove 'size'"
            )
        width, height = found.size or size or (0, 0)
        if not width:
            raise CalibrationError("does not say how large its images are. Add 'size' to [camera_model]")
        optics = Intrinsics(width, height, found.focal, found.center, found.distortion, found.coefficients)
    except CalibrationError as problem:
        raise DataError(f"The calibration file '{path}' {problem}.") from None
    except ValueError as error:
        raise DataError(f"The calibration file '{path}' describes no camera. {error}") from None
    return optics


def _read(path: Path, camera: str, distortion: Distortion) -> matrices.Calibration:
    text = _text(path)
    if path.suffix.lower() == ".txt" or colmap.looks_like_colmap(text):
        return colmap.read(text, camera)
    values = _values(text)
    if not isinstance(values, Mapping):
        raise CalibrationError("has no keys. Name a file of OpenCV, ROS, Kalibr or COLMAP")
    if kalibr.looks_like_kalibr(values):
        return kalibr.read(values, camera)
    if camera:
        raise CalibrationError("holds one camera. Remove 'camera' from [camera_model]")
    return matrices.read(values, distortion)


def _text(path: Path) -> str:
    try:
        return read_regular_text(path, _MAX_BYTES)
    except FileNotFoundError:
        raise CalibrationError("does not exist. Correct 'file' in [camera_model]") from None
    except UnicodeDecodeError:
        raise CalibrationError("is not text. Name a YAML, JSON or text file") from None
    except OSError as error:
        raise CalibrationError(f"cannot be read: {error.strerror or error}") from None


def _values(text: str) -> Any:
    """The values of a YAML or JSON text."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass  # a mapping of YAML may begin like this, too
    try:
        import yaml
    except ImportError:
        raise CalibrationError("is YAML, which needs the package pyyaml. Install it, or give JSON") from None
    # OpenCV's first line is no directive of YAML.
    lines = ["#" if line.startswith("%YAML") else line for line in text.splitlines()]
    try:
        # Of messages that `ros2 topic echo` prints, the first.
        return next(iter(yaml.load_all("\n".join(lines), _loader())), None)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise CalibrationError(f"is neither valid YAML nor valid JSON{where}. Correct it") from None
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):  # PyYAML's, of values with a wrong tag
        raise CalibrationError("is neither valid YAML nor valid JSON. Correct it") from None


def _loader() -> Any:
    """PyYAML's safe loader, which also reads OpenCV's matrices as plain mappings."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        pass

    def matrix(loader: Any, node: Any) -> Any:
        return loader.construct_mapping(node, deep=True)

    for tag in ("tag:yaml.org,2002:opencv-matrix", "tag:yaml.org,2002:opencv-nd-matrix", "!opencv-matrix"):
        Loader.add_constructor(tag, matrix)
    return Loader

# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of ``twinset fit-camera``: what was estimated of each photo, read with a check of every value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from ...engine.errors import DataError

VERSION = 1
LEVELS = 33
"""Quantiles of each tone distribution, at equally spaced probabilities from 0 to 1."""
SUBSAMPLINGS = ("4:4:4", "4:4:0", "4:2:2", "4:2:0", "4:1:1", "4:1:0")

_MAX_BYTES = 256 << 20
_MAX_PHOTOS = 100_000

Check = Callable[[Any, str], Any]
"""Takes a JSON value and its place in the file; returns what is stored, or raises ValueError."""


def _number(low: float, high: float) -> Check:
    def check(value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"'{where}' must be a number from {low:g} to {high:g}. Got {_shown(value)}.")
        return float(value)

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"'{where}' must be a whole number from {low} to {high}. Got {_shown(value)}.")
        return value

    return check


def _word(*choices: str) -> Check:
    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or (choices and value not in choices):
            of = f"one of {', '.join(choices)}" if choices else "text"
            raise ValueError(f"'{where}' must be {of}. Got {_shown(value)}.")
        return value

    return check


def _numbers(count: int, low: float, high: float, *, rising: bool = False) -> Check:
    one = _number(low, high)

    def check(value: Any, where: str) -> tuple[float, ...]:
        if not isinstance(value, list) or len(value) != count:
            raise ValueError(f"'{where}' must be a list of {count} numbers. Got {_shown(value)}.")
        numbers = tuple(one(v, f"{where}[{i}]") for i, v in enumerate(value))
        if rising and any(b < a for a, b in pairwise(numbers)):
            raise ValueError(f"The numbers of '{where}' must not fall.")
        return numbers

    return check


def _object(cls: type) -> Check:
    return lambda value, where: _parse(cls, value, where)


def _entry(check: Check, *, optional: bool = False, default: Any = None) -> Any:
    """A field with its check; an ``optional`` one, and one with a default, may be null or missing."""
    optional = optional or default is not None
    metadata = {"check": check, "optional": optional}
    return attrs.field(default=default, metadata=metadata) if optional else attrs.field(metadata=metadata)


_QUANTILES = _numbers(LEVELS, 0.0, 1.0, rising=True)


@attrs.frozen
class Noise:
    """Noise of a pixel's red, green or blue value I in linear light, in [0, 1]: its variance is ``shot * I + read**2``.

    The noise of the three channels is independent; it is that before sharpening, which comes last in a camera.
    ``grain`` is the standard deviation in pixels of a Gaussian that makes neighbours alike without changing their
    variance; 0 for white noise.
    """

    shot: float = _entry(_number(0.0, 1.0))
    read: float = _entry(_number(0.0, 1.0))
    grain: float = _entry(_number(0.0, 20.0), default=0.0)


@attrs.frozen
class Sharpen:
    """Unsharp mask of the sRGB-encoded picture: ``amount`` times its difference from its Gaussian blur, of standard
    deviation ``radius`` in pixels, is added."""

    amount: float = _entry(_number(0.0, 20.0))
    radius: float = _entry(_number(0.0, 100.0))


@attrs.frozen
class Jpeg:
    """Quality from 1 to 100 on libjpeg's scale, the lowest that the photo shows signs of, and chroma subsampling such
    as ``4:2:0``."""

    quality: int = _entry(_whole(1, 100))
    subsampling: str = _entry(_word(*SUBSAMPLINGS))


@attrs.frozen
class ChannelQuantiles:
    """Quantiles of the sRGB-encoded channels in [0, 1], at equally spaced probabilities."""

    r: tuple[float, ...] = _entry(_QUANTILES)
    g: tuple[float, ...] = _entry(_QUANTILES)
    b: tuple[float, ...] = _entry(_QUANTILES)


@attrs.frozen
class Exif:
    """What the camera wrote into the photo: focal lengths in mm, exposure time in seconds, ISO speed, model."""

    focal_length: float | None = _entry(_number(0.0, 1e5), optional=True)
    focal_length_35mm: float | None = _entry(_number(0.0, 1e5), optional=True)
    f_number: float | None = _entry(_number(0.0, 1e3), optional=True)
    exposure_time: float | None = _entry(_number(0.0, 1e6), optional=True)
    iso: float | None = _entry(_number(0.0, 1e8), optional=True)
    model: str | None = _entry(_word(), optional=True)


@attrs.frozen
class PhotoFit:
    """What one photo says of its camera; None where it gives no estimate.

    Attributes
    ----------
    file : str
        Name of the photo.
    width, height : int
        In pixels.
    noise : Noise or None
    blur_sigma : float or None
        Standard deviation in pixels of the Gaussian that edges are blurred by, sharpening left aside.
    sharpen : Sharpen or None
    vignette : float or None
        Share of the light that the corners lack, in linear light, 0 to 1: the fall-off is ``1 - vignette * r**2``
        with r the distance from the centre over that of a corner.
    jpeg : Jpeg or None
        None for other formats.
    luma_quantiles : tuple of 33 float
        Of the sRGB-encoded luma (ITU-R BT.601) in [0, 1], at equally spaced probabilities.
    channel_quantiles : ChannelQuantiles
    lab_mean, lab_std : tuple of 3 float
        Mean and standard deviation of CIE L*, a* and b* (D65).
    exif : Exif
    """

    file: str = _entry(_word())
    width: int = _entry(_whole(1, 1 << 20))
    height: int = _entry(_whole(1, 1 << 20))
    luma_quantiles: tuple[float, ...] = _entry(_QUANTILES)
    channel_quantiles: ChannelQuantiles = _entry(_object(ChannelQuantiles))
    lab_mean: tuple[float, ...] = _entry(_numbers(3, -300.0, 300.0))
    lab_std: tuple[float, ...] = _entry(_numbers(3, 0.0, 300.0))
    noise: Noise | None = _entry(_object(Noise), optional=True)
    blur_sigma: float | None = _entry(_number(0.0, 100.0), optional=True)
    sharpen: Sharpen | None = _entry(_object(Sharpen), optional=True)
    vignette: float | None = _entry(_number(0.0, 1.0), optional=True)
    jpeg: Jpeg | None = _entry(_object(Jpeg), optional=True)
    exif: Exif = attrs.field(factory=Exif, metadata={"check": _object(Exif), "optional": True})


@attrs.frozen
class Statistic:
    """A value over all photos: median, its 95 % interval by bootstrap over photos, the quantiles at 5, 25, 75 and
    95 %, and the number of photos that gave a value."""

    median: float = _entry(_number(-1e9, 1e9))
    interval: tuple[float, ...] = _entry(_numbers(2, -1e9, 1e9, rising=True))
    quantiles: tuple[float, ...] = _entry(_numbers(4, -1e9, 1e9, rising=True))
    photos: int = _entry(_whole(1, _MAX_PHOTOS))


def _statistics(value: Any, where: str) -> dict[str, Statistic]:
    if not isinstance(value, dict):
        raise ValueError(f"'{where}' must be an object. Got {_shown(value)}.")
    return {name: _parse(Statistic, v, f"{where}.{name}") for name, v in value.items() if v is not None}


def _photos(value: Any, where: str) -> tuple[PhotoFit, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_PHOTOS:
        raise ValueError(f"'{where}' must be a list of 1 to {_MAX_PHOTOS} photos.")
    return tuple(_parse(PhotoFit, v, f"{where}[{i}]") for i, v in enumerate(value))


@attrs.frozen
class CameraFit:
    """All that ``twinset fit-camera`` found: ``statistics`` by name over all photos, and the joint estimates of each of
    the ``photos``."""

    statistics: dict[str, Statistic] = _entry(_statistics)
    photos: tuple[PhotoFit, ...] = _entry(_photos)
    version: int = _entry(_whole(VERSION, VERSION))

    def to_dict(self) -> dict[str, Any]:
        """The content of the file, in JSON types but for tuples."""
        return attrs.asdict(self)


def load_camera_fit(path: str | Path) -> CameraFit:
    """Read a file of ``twinset fit-camera``; entries that this version does not know are ignored.

    Raises
    ------
    DataError
        If the file is missing, is no such file, is of another version, or holds an invalid value.
    """
    path = Path(path)
    remedy = "Make it with `twinset fit-camera`."
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"'{path}' has more than {_MAX_BYTES >> 20} MiB, too many for a camera fit. {remedy}")
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"The file '{path}' does not exist. {remedy}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"'{path}' is no camera fit: it cannot be read as JSON. {remedy}") from error
    if not isinstance(values, dict) or "photos" not in values:
        raise DataError(f"'{path}' is no camera fit: it has no 'photos'. {remedy}")
    if values.get("version") != VERSION:
        found = _shown(values.get("version"))
        raise DataError(f"'{path}' has version {found}; this Twinset reads version {VERSION}. Fit the camera again.")
    try:
        fit: CameraFit = _parse(CameraFit, values, "")
    except ValueError as error:
        raise DataError(f"'{path}': {error} {remedy}") from error
    return fit


def _parse(cls: type, value: Any, where: str) -> Any:
    """An instance of an attrs class whose fields carry checks; raises ValueError with the place of a bad value."""
    if not isinstance(value, dict):
        raise ValueError(f"'{where}' must be an object. Got {_shown(value)}.")
    given = {}
    for field in attrs.fields(cls):
        place = f"{where}.{field.name}".lstrip(".")
        if value.get(field.name) is not None:
            given[field.name] = field.metadata["check"](value[field.name], place)
        elif not field.metadata["optional"]:
            raise ValueError(f"'{place}' is missing.")
    return cls(**given)


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    if isinstance(value, str | int | float | bool) or value is None:
        text = json.dumps(value)
        return text if len(text) <= 40 else f"{text[:37]}..."
    return f"a list of {len(value)}" if isinstance(value, list) else "an object"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks records that come from files, whoever wrote them, against their declaration."""

from __future__ import annotations

import json
import logging
from functools import cache
from typing import Any

try:
    import msgspec
except ModuleNotFoundError:  # a Blender that was given the extension without its packages
    msgspec = None  # type: ignore[assignment]

from ...engine.output.annotation_source import declared_entries
from ..image_header import MAX_PIXELS
from .frame_record import ACCEPTED, FrameRecord

log = logging.getLogger(__name__)

_MAX_ID = 2**31


def decode_record(data: bytes) -> Any:
    """The values of a record; raises ValueError if it is not JSON. msgspec refuses NaN and infinite numbers."""
    return json.loads(data) if msgspec is None else msgspec.json.decode(data)


@cache
def _warn_unchecked() -> None:
    log.warning("The package msgspec is missing, so records of frames are read without checking their structure.")


def record_problem(record: Any) -> str:
    """What is wrong with a parsed record and where, such as ``Expected `str`, got `int` - at `$.verdict```; "" if
    nothing is.

    Parameters
    ----------
    record : object
        From :func:`decode_record`.
    """
    if msgspec is None:
        _warn_unchecked()
        return "" if isinstance(record, dict) else "Expected `object`"
    try:
        checked = msgspec.convert(record, FrameRecord)
    except (msgspec.ValidationError, OverflowError) as error:
        return str(error)
    image = checked.get("image", {})
    if not 0 < image.get("width", 1) * image.get("height", 1) <= MAX_PIXELS:
        return "Image size out of range - at `$.image`"
    entries = declared_entries()
    for number, instance in enumerate(checked.get("instances", ())):
        for key, is_valid in (
            ("id", 0 <= instance["id"] < _MAX_ID),
            ("class", instance["class"] != ""),
            ("bbox", not instance["bbox"] or len(instance["bbox"]) == 4),
        ):
            if not is_valid:
                return f"Invalid value - at `$.instances[{number}].{key}`"
        raw = record["instances"][number]  # with entries that msgspec does not know
        for key, entry in entries.items():
            if key in raw and not entry.check(raw[key]):
                return f"Invalid value - at `$.instances[{number}].{key}`"
    if checked["verdict"] == ACCEPTED and "image" in checked["files"]:
        for key in ("image", "instances"):
            if key not in checked:
                return f"Object missing required field `{key}`"
    return ""

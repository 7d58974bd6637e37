# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks records that come from files, whoever wrote them, against their declaration."""

from __future__ import annotations

from typing import Any

import msgspec

from ...engine.output.annotation_source import declared_entries
from ..formats.coco_check import MAX_PIXELS
from .frame_record import ACCEPTED, FrameRecord

_MAX_ID = 2**31


def record_problem(record: Any) -> str:
    """What is wrong with a parsed record and where, such as ``Expected `str`, got `int` - at `$.verdict```; "" if
    nothing is.

    Parameters
    ----------
    record : object
        As ``msgspec.json.decode`` gives it: it refuses NaN and infinite numbers.
    """
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

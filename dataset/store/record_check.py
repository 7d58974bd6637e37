# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a record has the structure that its readers rely on, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..atomic_files import is_number
from ..formats.coco_check import MAX_PIXELS

Rule = Callable[[Any], str]
"""Takes a value and says where in it something is of the wrong kind; "" where nothing is."""

FEW = 2**31
"""Counts and ids are below."""


def wrong_place(record: Mapping[str, Any]) -> str:
    """Where something of a record is of the wrong kind, such as ``instances.2.bbox``; "" where nothing is.

    What is missing is not told of, but for what the shot of an accepted frame must have.
    """
    found = _RECORD(record)
    if found or record["verdict"] != "accepted" or "image" not in record["files"]:
        return found
    return next((key for key in ("image", "instances") if key not in record), "")


def _object(needs: tuple[str, ...] = (), more: Mapping[str, Rule] | None = None, **rules: Rule) -> Rule:
    """An object that has some keys, and whose known keys follow rules as far as they are there."""
    rules |= more or {}

    def rule(value: Any) -> str:
        if not isinstance(value, Mapping):
            return "."
        for key in needs:
            if key not in value:
                return f".{key}"
        for key, inner in rules.items():
            if key in value and (found := inner(value[key])):
                return f".{key}{'' if found == '.' else found}"
        return ""

    return rule


def _list(inner: Rule, lengths: tuple[int, ...] = ()) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, list) or (lengths and len(value) not in lengths):
            return "."
        for number, entry in enumerate(value):
            if found := inner(entry):
                return f".{number}{'' if found == '.' else found}"
        return ""

    return rule


def _when(holds: Callable[[Any], bool]) -> Rule:
    return lambda value: "" if holds(value) else "."


def _optional(inner: Rule) -> Rule:
    return lambda value: "" if value is None else inner(value)


def _tuple(*rules: Rule) -> Rule:
    def rule(value: Any) -> str:
        if not isinstance(value, list) or len(value) != len(rules):
            return "."
        return next((f".{k}" for k, (r, v) in enumerate(zip(rules, value, strict=True)) if r(v)), "")

    return rule


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < FEW


_TEXT = _when(lambda value: isinstance(value, str))
_NAME = _when(lambda value: isinstance(value, str) and value != "")
_COUNT = _when(_is_count)
_NUMBER = _when(is_number)
_SCORE = _optional(_NUMBER)
_YES = _when(lambda value: isinstance(value, bool))
_ANY = _object()
_MATRIX = _list(_NUMBER, (16,))
_CALLS = _list(_object(("call",), call=_TEXT))
_MASK = _object(("size", "counts"), size=_list(_COUNT, (2,)), counts=_TEXT)
_FILE = _object(("path", "sha256"), sha256=_TEXT)
_SIZED = _when(lambda value: 0 < value.get("width", 1) * value.get("height", 1) <= MAX_PIXELS)
_IMAGE = _object(width=_COUNT, height=_COUNT)
_RECORD = _object(
    ("verdict", "files"),
    verdict=_when(lambda value: value in ("accepted", "given up", "filtered")),
    attempts=_COUNT,
    rejected=_list(_TEXT),
    refused=_list(
        _object(
            ("attempt", "stage", "score", "boxes", "elevation", "appearance"),
            attempt=_COUNT,
            stage=_TEXT,
            reason=_TEXT,
            score=_SCORE,
            boxes=_list(_tuple(_TEXT, _TEXT, _SCORE, _NUMBER)),
            elevation=_NUMBER,
            appearance=_CALLS,
        )
    ),
    goals=_object(area=_NUMBER, class_name=_TEXT),
    draws=_object(camera=_TEXT, variant=_TEXT, appearance=_CALLS),
    image=lambda value: _IMAGE(value) or _SIZED(value),
    camera=_object(("matrix",), matrix=_MATRIX),
    gate=_object(("score", "traits"), score=_SCORE, traits=_list(_when(lambda value: True))),
    columns=_ANY,
    instances=_list(
        _object(
            ("id", "class", "annotated", "bbox"),
            {"class": _NAME},
            id=_COUNT,
            shape=_optional(_TEXT),
            annotated=_YES,
            bbox=_optional(_list(_NUMBER, (0, 4))),
            area=_NUMBER,
            columns=_ANY,
            matrix=_MATRIX,
            segmentation=_MASK,
            amodal_segmentation=_MASK,
        )
    ),
    bystanders=_list(_object(matrix=_MATRIX)),
    files=_object(image=_FILE, ids=_FILE, depth=_FILE),
)

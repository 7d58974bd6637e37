# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what plugins return: types, shapes and ranges."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...engine.geometry.reachability import Reached
from ...engine.geometry.support import Site
from ...engine.goals import Goals
from ...engine.plugin.params import shorten
from ...engine.plugin.results import Columns, Verdict
from ...engine.sampling.evaluation import check_value
from ...engine.stage import CameraPose
from .situations import AREAS, Situation, real_boxes


def answer_problem(kind: str, at: Situation, answers: Mapping[str, Any]) -> str:
    """What is wrong with the values that a plugin returned, as one sentence; "" if nothing is."""
    try:
        return _KINDS[kind](at, answers)
    except Exception as error:  # whatever a plugin may return
        return f"the value that it returned cannot be read ({type(error).__name__}: {error})."


def _placement(at: Situation, answers: Mapping[str, Any]) -> str:
    if answers["place"] is not None:
        return f"place() must return nothing. Got {shorten(answers['place'])} instead."
    site = answers.get("offer_site")
    if site is not None and not isinstance(site, Site):
        return f"offer_site() must return a Site or None. Got {shorten(site)} instead."
    for instance in at.stage.instances:
        if not _is_matrix(instance.matrix) or abs(np.linalg.det(instance.matrix[:3, :3])) < 1e-12:
            return f"it placed '{instance.asset.name}' with a matrix that is no finite, invertible (4, 4) matrix."
    return ""


_VECTORS = frozenset({"color", "direction", "displacement", "position", "tint"})
"""Arguments of the stage's methods that are three numbers."""


def _appearance(at: Situation, answers: Mapping[str, Any]) -> str:
    if answers["vary"] is not None:
        return f"vary() must return nothing. Got {shorten(answers['vary'])} instead."
    for method, arguments in at.stage.calls:
        for name, value in arguments.items():
            numbers = value if isinstance(value, tuple) else (value,)
            length = 3 if name in _VECTORS or (method, name) == ("set_motion", "rotation") else 1
            if len(numbers) != length or any(isinstance(v, float) and not math.isfinite(v) for v in numbers):
                return f"it called {method} with {name} = {shorten(value)}; that takes {length} finite numbers."
            if name in ("color", "tint", "strength", "factor", "power", "radius", "size") and min(numbers) < 0:
                return f"it called {method} with {name} = {shorten(value)}, which is negative."
    return ""


def _camera(at: Situation, answers: Mapping[str, Any]) -> str:
    reached = answers.get("reachable_boxes")
    if "reachable_boxes" in answers and not (isinstance(reached, Reached) and np.shape(reached.areas) == AREAS.shape):
        return f"reachable_boxes() must return Reached with a bool for each area. Got {shorten(reached)} instead."
    given = [name for name in ("pose", "place_and_pose") if name in answers]
    return next((problem for name in given if (problem := _pose(at, name, answers[name]))), "")


def _pose(at: Situation, name: str, pose: Any) -> str:
    if not isinstance(pose, CameraPose):
        return f"{name}() must return a CameraPose. Got {shorten(pose)} instead."
    if not _is_matrix(pose.matrix):
        return "the matrix of its pose must be a finite (4, 4) array."
    turn = pose.matrix[:3, :3]
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-6) or np.linalg.det(turn) < 0:
        return "the matrix of its pose must be rotation and translation only, without scale or mirror."
    if (pose.width, pose.height) != at.stage.resolution:
        return (
            f"its pose must have the stage's resolution {at.stage.resolution}. Got {pose.width, pose.height} instead."
        )
    if not (math.isfinite(pose.lens) and pose.lens > 0 and pose.sensor_width > 0 and 0 < pose.near < pose.far):
        return "the lens, sensor width and clipping distances of its pose must be above 0, and near before far."
    return ""


def _effect(at: Situation, answers: Mapping[str, Any]) -> str:
    image, size = answers["apply"], at.given["image"].shape
    if not isinstance(image, np.ndarray) or image.shape != size or image.dtype != np.float32:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else shorten(image)
        return f"apply() must return a float32 image of shape {size}. Got {got} instead."
    if not np.isfinite(image).all():
        return "apply() must return finite numbers."
    if not isinstance(answers["applies"], bool | np.bool_):
        return f"applies() must return a bool. Got {shorten(answers['applies'])} instead."
    source = answers.get("source_pixels")
    if source is not None and (np.shape(source) != (*size[:2], 2) or not np.isfinite(source).all()):
        return f"source_pixels() must return finite numbers of shape {(*size[:2], 2)}. Got {np.shape(source)} instead."
    drawn = answers.get("draw", {})
    if not isinstance(drawn, Mapping) or not all(isinstance(name, str) for name in drawn) or "effect" in drawn:
        return f"draw() must return a dict by names, none of them 'effect'. Got {shorten(drawn)} instead."
    return _json("drawn values", drawn)


def _target(at: Situation, answers: Mapping[str, Any]) -> str:
    for name in ("draw", "draw again"):
        if name in answers and (problem := _goals(answers[name])):
            return problem
    if not isinstance(answers["notes"], list) or not all(isinstance(n, str) for n in answers["notes"]):
        return f"notes() must return a list of sentences. Got {shorten(answers['notes'])} instead."
    return _json("report", answers["report"])


def _goals(goals: Any) -> str:
    if not isinstance(goals, Goals):
        return f"draw() must return Goals. Got {shorten(goals)} instead."
    main, real = goals.main, real_boxes()
    if main is not None:
        if main.class_name not in real:
            return f"its goal has the class {main.class_name!r}, which has no real boxes."
        if not 0 < main.area <= 1 or len(main.center) != 2 or not all(0 <= c <= 1 for c in main.center):
            return f"the goal {main} must have an area in (0, 1] and a centre in [0, 1], both relative to the image."
    for pair in goals.open_area:
        if len(pair) != 2 or not all(math.isfinite(v) for v in pair) or pair[1] < 0:
            return f"open_area of its goals must hold pairs (square root of area, weight >= 0). Got {shorten(pair)}."
    return ""


def _metric(at: Situation, answers: Mapping[str, Any]) -> str:
    assert at.shot is not None
    for name in ("measure", "measure of a probe"):
        if name in answers and (problem := _columns(answers[name], len(at.shot.instances))):
            return problem
    measured = answers["measure"]
    if "measure of a probe" in answers:
        probe = answers["measure of a probe"]
        if measured.image.keys() != probe.image.keys() or measured.bbox.keys() != probe.bbox.keys():
            return "it says measures_probes = True, and measures other columns of probes, whose picture is empty."
    rows = len(at.given["rows"])
    completed = answers.get("dataset_columns", {})
    if not isinstance(completed, Mapping) or any(len(v) != rows for v in completed.values()):
        return f"dataset_columns() must return a dict of columns with one value for each of {rows} rows."
    summary = answers.get("dataset_summary", {})
    return "" if isinstance(summary, Mapping) else "dataset_summary() must return a dict."


def _columns(columns: Any, number: int) -> str:
    if not isinstance(columns, Columns):
        return f"measure() must return Columns. Got {shorten(columns)} instead."
    for name, value in columns.image.items():
        if _is_list(value):
            return f"its image column '{name}' must be one value. Got {shorten(value)} instead."
    for name, values in columns.bbox.items():
        if not _is_list(values) or len(values) != number:
            got = f"{len(values)} values" if _is_list(values) else shorten(values)
            return f"its column '{name}' must have one value for each of {number} instances. Got {got} instead."
    for name, values in (*((n, [v]) for n, v in columns.image.items()), *columns.bbox.items()):
        if not isinstance(name, str) or not name.isidentifier():
            return f"its column {name!r} must be called by letters, digits and underscores alone."
        try:
            for value in values:
                check_value(name, value)
        except ValueError as error:
            return f"its column {error}."
    return ""


def _filter(at: Situation, answers: Mapping[str, Any]) -> str:
    assert at.shot is not None
    ids = {i.id for i in at.shot.instances}
    for name in ("judge", "judge of a probe", "judge_draft"):
        verdict = answers.get(name, Verdict(True))
        if not isinstance(verdict, Verdict) or not isinstance(verdict.accepted, bool | np.bool_):
            return f"{name.split()[0]}() must return a Verdict. Got {shorten(verdict)} instead."
        if not verdict.accepted and not verdict.reason:
            return "it rejected a shot without a reason, by which the funnel counts."
        if not ids >= verdict.unannotated | verdict.painted:
            return f"its verdict names instances {set(verdict.unannotated | verdict.painted)}; there are {ids}."
        if not verdict.painted <= verdict.unannotated:
            return "what its verdict paints must be unannotated, too."
        for column, values in verdict.columns.items():
            if not isinstance(values, Mapping) or not ids >= set(values):
                return f"the column '{column}' of its verdict must be values by instance id."
        if problem := _json("traits of its verdict", verdict.traits):
            return problem
    return _json("report", answers.get("report"))


def _writer(at: Situation, answers: Mapping[str, Any]) -> str:
    data = answers.get("write_frame", b"")
    if not isinstance(data, bytes):
        return f"write_frame() must return the bytes of the file. Got {shorten(data)} instead."
    if answers.get("write") is not None:
        return f"write() must return nothing. Got {shorten(answers['write'])} instead."
    return "" if data or answers.get("files") else "it wrote no file."


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _json(what: str, value: Any) -> str:
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        return f"its {what} must be JSON values ({error})."
    return ""


def _is_matrix(matrix: Any) -> bool:
    return isinstance(matrix, np.ndarray) and matrix.shape == (4, 4) and bool(np.isfinite(matrix).all())


_KINDS: dict[str, Callable[[Situation, Mapping[str, Any]], str]] = {
    "placement": _placement,
    "appearance": _appearance,
    "camera": _camera,
    "effect": _effect,
    "target": _target,
    "metric": _metric,
    "filter": _filter,
    "writer": _writer,
}

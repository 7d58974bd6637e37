# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the record of a sampled frame, and counts recorded frames in their block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs

from ... import __version__
from ...engine.block import Block
from ...engine.goals import Goals
from ...engine.instance_row import InstanceRow
from ...engine.output.annotation_source import AnnotationSource, asked_sources, entries_of
from ...engine.recipe.settings import Recipe
from ...engine.sampling.frame import Frame
from ...engine.scene.extreme_exposure import extreme_exposure
from ...engine.sequences.groups import is_key_record
from ...engine.stage import CameraPose, Instance, Shot
from ..formats.coco import CocoFile
from ..formats.rle_masks import encode
from .frame_record import (
    ACCEPTED,
    FILTERED,
    GIVEN_UP,
    CameraEntry,
    ColumnGoals,
    Draws,
    FrameContent,
    GoalsEntry,
    InstanceRecord,
    RefusedAttempt,
)
from .frames import frame_name

_GROUP_KEYS = ("variant", "room", "part")
"""Draws that records have only where the recipe has several variants, rooms or parts."""


def make_record(frame: Frame, recipe: Recipe) -> FrameContent:
    """The record of a sampled frame; masks as COCO RLE, matrices row by row."""
    record: FrameContent = {
        "twinset": __version__,
        "seed": recipe.seed,
        "verdict": GIVEN_UP if frame.shot is None else ACCEPTED,
        "attempts": frame.attempts,
        "rejected": list(frame.rejected),
        "goals": _goals(frame.goals),
        "draws": _draws(frame),
        "instances": [],
    }
    if frame.refused:
        record["refused"] = cast(list[RefusedAttempt], [attrs.asdict(refused) for refused in frame.refused])
    shot = frame.shot
    if shot is None:
        return record
    height, width = shot.labels.ids.shape
    record["image"] = {
        "file_name": f"{frame_name(frame.index)}.{recipe.output.format}",
        "width": width,
        "height": height,
    }
    exposure = extreme_exposure(shot.image)
    if exposure:
        record["exposure"] = exposure
    if frame.score is not None or frame.traits:
        record["gate"] = {"score": frame.score, "traits": list(frame.traits)}
    if frame.goal_values:
        goals = {"compared": frame.compared, "shown": [attrs.asdict(shown) for shown in frame.goal_values]}
        record["aims"] = cast(ColumnGoals, goals)
    record["camera"] = _camera(shot.camera)
    record["columns"] = dict(frame.columns)
    sources = asked_sources(recipe.output)
    record["instances"] = [
        _instance(instance, row, shot, sources) for instance, row in zip(shot.instances, frame.rows, strict=True)
    ]
    record["bystanders"] = [
        {"id": i.id, "shape": i.asset.name, "matrix": i.matrix.ravel().tolist()} for i in frame.bystanders
    ]
    return record


def categories(recipe: Recipe, real: CocoFile | None) -> list[dict[str, Any]]:
    """COCO categories of the recipe's classes: as the real file has them, new ids after its highest for others."""
    known = {c["name"]: c for c in real.categories} if real else {}
    highest = max((c["id"] for c in known.values()), default=0)
    out: list[dict[str, Any]] = []
    sources = asked_sources(recipe.output)
    for settings in recipe.classes:
        category = known.get(settings.name)
        if category is None:
            highest += 1
            category = {"id": highest, "name": settings.name}
        added = (item for source in sources for item in source.category_of(settings).items())
        out.append({key: category[key] for key in ("id", "name", "supercategory") if key in category} | dict(added))
    return sorted(out, key=lambda c: c["id"])


def _goals(goals: Goals) -> GoalsEntry:
    """The main goal, and under ``boxes`` all of a layout, to which the instances' ``goal`` is an index."""
    if goals.main is None:
        return {}
    layout = {"boxes": [attrs.asdict(box) for box in goals.boxes]} if goals.boxes else {}
    return cast(GoalsEntry, attrs.asdict(goals.main) | layout)


def _draws(frame: Frame) -> Draws:
    draws: dict[str, Any] = {"camera": frame.camera, "appearance": [dict(call) for call in frame.appearance]}
    if frame.sequence:
        draws["sequence"] = dict(frame.sequence)
    if frame.layout is not None:
        draws["layout"] = {"frame": frame.layout, "view": frame.index - frame.layout}
    if frame.effects:
        draws["effects"] = [dict(effect) for effect in frame.effects.records]
    return cast(Draws, draws | {key: value for key in _GROUP_KEYS if (value := getattr(frame, key))})


def _camera(camera: CameraPose) -> CameraEntry:
    entry: CameraEntry = {
        "matrix": camera.matrix.ravel().tolist(),
        "lens": camera.lens,
        "sensor_width": camera.sensor_width,
        "focal": camera.focal,
        "near": camera.near,
    }
    if camera.intrinsics is not None:
        optics = camera.intrinsics
        entry["intrinsics"] = {
            "focal": list(optics.focal),
            "center": list(optics.center),
            "distortion": optics.distortion,
            "coefficients": list(optics.coefficients),
        }
    return entry


def _instance(instance: Instance, row: InstanceRow, shot: Shot, sources: Sequence[AnnotationSource]) -> InstanceRecord:
    out = cast(InstanceRecord, {**row, "matrix": instance.matrix.ravel().tolist()})
    if row["bbox"]:
        out["segmentation"] = encode(shot.mask(instance.id))
    added = (item for source in sources for item in entries_of(source, instance, row, shot).items())
    return cast(InstanceRecord, dict(out) | dict(added))


def add_to_block(block: Block, record: FrameContent) -> None:
    """Count a recorded frame in its block; one that was given up adds nothing.

    Of a sequence or rig only the frame counts for which the layout was made; of views, which have goals of their own,
    all count.
    """
    draws = record.get("draws", {})
    if not is_key_record(draws):
        return
    layout = draws.get("layout")
    makes_layout = layout is not None and not layout["view"]
    if layout is not None and makes_layout:
        block.layout = layout["frame"]
    if "sequence" in draws or makes_layout:
        block.attempt = None if record["verdict"] == GIVEN_UP else record["attempts"] - 1
        block.before = block.copy()
    if record["verdict"] == GIVEN_UP:
        return
    # What was filtered from the dataset later was there while the block was rendered.
    counted = (row for row in record["instances"] if row["annotated"] or row.get("reason") == FILTERED)
    size = record["image"]["width"], record["image"]["height"]
    boxes = ((row["class"], row["bbox"]) for row in counted if row["bbox"])
    traits = record["gate"]["traits"] if "gate" in record else ()
    goal_values = [shown["values"] for shown in record["aims"]["shown"]] if "aims" in record else []
    block.add(boxes, size, traits, goal_values)

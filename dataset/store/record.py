# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a frame: everything about it as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ... import __version__
from ...engine.block import Block
from ...engine.goals import Goals
from ...engine.recipe.settings import Recipe
from ...engine.sampling.sampler import Frame
from ...engine.stage import CameraPose, Instance, Shot
from ..formats.coco import CocoFile
from ..formats.rle_masks import encode
from .frames import ACCEPTED, FILTERED, GIVEN_UP, frame_name

_GROUP_KEYS = ("variant", "room", "part")
"""What a frame is one of many of; records have it where the recipe does."""


def make_record(frame: Frame, recipe: Recipe) -> dict[str, Any]:
    """The record of a sampled frame; masks as COCO RLE, matrices row by row."""
    record: dict[str, Any] = {
        "twinset": __version__,
        "seed": recipe.seed,
        "verdict": GIVEN_UP if frame.shot is None else ACCEPTED,
        "attempts": frame.attempts,
        "rejected": list(frame.rejected),
        "goals": _goals(frame.goals),
        "draws": {
            "camera": frame.camera,
            "appearance": [dict(call) for call in frame.appearance],
            **{key: value for key in _GROUP_KEYS if (value := getattr(frame, key))},
        },
        "instances": [],
    }
    if frame.refused:
        record["refused"] = [attrs.asdict(refused) for refused in frame.refused]
    shot = frame.shot
    if shot is None:
        return record
    height, width = shot.labels.ids.shape
    record["image"] = {
        "file_name": f"{frame_name(frame.index)}.{recipe.output.format}",
        "width": width,
        "height": height,
    }
    if frame.score is not None or frame.traits:
        record["gate"] = {"score": frame.score, "traits": list(frame.traits)}
    if frame.aims:
        record["aims"] = {"compared": frame.compared, "shown": [attrs.asdict(shown) for shown in frame.aims]}
    record["camera"] = _camera(shot.camera)
    record["columns"] = dict(frame.columns)
    record["instances"] = [
        _instance(instance, row, shot) for instance, row in zip(shot.instances, frame.rows, strict=True)
    ]
    record["bystanders"] = [{"id": i.id, "shape": i.asset.name, "matrix": i.matrix.ravel()} for i in frame.bystanders]
    return record


def categories(recipe: Recipe, real: CocoFile | None) -> list[dict[str, Any]]:
    """COCO categories of the recipe's classes: as the real file has them, new ids after its highest for others."""
    known = {c["name"]: c for c in real.categories} if real else {}
    highest = max((c["id"] for c in known.values()), default=0)
    out: list[dict[str, Any]] = []
    for settings in recipe.classes:
        category = known.get(settings.name)
        if category is None:
            highest += 1
            category = {"id": highest, "name": settings.name}
        out.append({key: category[key] for key in ("id", "name", "supercategory") if key in category})
    return sorted(out, key=lambda c: c["id"])


def _goals(goals: Goals) -> dict[str, Any]:
    """The main goal, and under ``boxes`` all of a layout, to which the instances' ``goal`` is an index."""
    if goals.main is None:
        return {}
    layout = {"boxes": [attrs.asdict(box) for box in goals.boxes]} if goals.boxes else {}
    return attrs.asdict(goals.main) | layout


def _camera(camera: CameraPose) -> dict[str, Any]:
    return {
        "matrix": camera.matrix.ravel(),
        "lens": camera.lens,
        "sensor_width": camera.sensor_width,
        "focal": camera.focal,
        "near": camera.near,
    }


def _instance(instance: Instance, row: Mapping[str, Any], shot: Shot) -> dict[str, Any]:
    out = {**row, "matrix": instance.matrix.ravel()}
    if row["bbox"]:
        out["segmentation"] = encode(shot.mask(instance.id))
    amodal = shot.amodal.get(instance.id)
    if amodal is not None and amodal.pixels:
        out["amodal_bbox"] = amodal.bbox
        out["amodal_segmentation"] = encode(amodal.mask)
        out["visible_share"] = amodal.visible_share(row["area"])
        out["truncated_share"] = 1.0 - int(amodal.mask.sum()) / amodal.pixels
    return out


def add_to_block(block: Block, record: Mapping[str, Any]) -> None:
    """Add a recorded frame to what its block has shown; one that was given up has shown nothing."""
    if record["verdict"] == GIVEN_UP:
        return
    # What was filtered from the dataset later was there while the block was rendered.
    there = (row for row in record["instances"] if row["annotated"] or row.get("reason") == FILTERED)
    size = record["image"]["width"], record["image"]["height"]
    boxes = ((row["class"], row["bbox"]) for row in there)
    traits, aims = (
        record.get("gate", {}).get("traits", ()),
        [shown["values"] for shown in record.get("aims", {}).get("shown", ())],
    )
    block.add(boxes, size, traits, aims)

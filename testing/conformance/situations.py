# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls each kind of plugin on the small test stage, frame by frame."""

from __future__ import annotations

import atexit
import copy
import functools
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...engine.block import Block
from ...engine.geometry.framing import look_rotation
from ...engine.goals import Boxes, Goal, Goals, Reach
from ...engine.instance_row import InstanceRow
from ...engine.plugin.hooks import attempts_per_draw, defines, lacks_method
from ...engine.rng import stream
from ...engine.sampling.evaluation import basic_row, main_of
from ...engine.stage import CameraPose, Instance, Shot
from ...plugins.metrics.bbox import BBox
from ...plugins.metrics.depth import Depth
from ...plugins.placements.on_surface import OnSurface
from ..fixtures.datasets import FilesInMemory, finished_dataset
from ..fixtures.scene import scene
from ..fixtures.stage import BruteStage
from .digest import digest

SEED = 7
RESOLUTION = (96, 72)
FRAMES = (0, 1, 2)
AREAS = np.array([0.02, 0.1, 0.3])
REACH = {"chair": Reach((1e-3, 0.9), (0.8, 1.25)), "bag": Reach((1e-3, 0.9))}


@attrs.frozen(eq=False)
class Situation:
    """One call of a plugin.

    Attributes
    ----------
    stage : BruteStage
        The stage before the call.
    given : mapping
        Arguments by name; the plugin must not change any of them.
    call : callable
        Calls the plugin; returns the results of its methods by their names.
    shot : Shot, optional
        The shot that metrics and filters get.
    """

    stage: BruteStage
    given: Mapping[str, Any]
    call: Callable[[], dict[str, Any]]
    shot: Shot | None = None


def tiny_stage() -> BruteStage:
    """The stage that plugins are checked on: :func:`..scene.scene`, furnished, its images 96 x 72 pixels."""
    return scene(RESOLUTION, furnished=True)


def goals_of(frame: int) -> Goals:
    """Goals for a layout of a chair and a bag, a bag alone and nothing in particular, in turns."""
    mains = (Goal("chair", 0.06, (0.45, 0.6)), Goal("bag", 0.03, (0.6, 0.55)), None)
    layout = (Goal("chair", 0.06, (0.45, 0.6), aspect=0.8), Goal("bag", 0.02, (0.9, 0.7), aspect=0.9, cut=("right",)))
    gaps = ((0.15, 0.2), (0.35, 0.5)) if frame % 3 else ()
    return Goals(main=mains[frame % 3], frame=frame, open_area=gaps, boxes=() if frame % 3 else layout)


def real_boxes() -> dict[str, Boxes]:
    """Forty boxes of chairs and thirty of bags, lognormal in area."""
    out = {}
    for name, number, middle in (("chair", 40, 0.05), ("bag", 30, 0.02)):
        rng = stream(SEED, name)
        area = np.clip(middle * np.exp(rng.normal(0, 0.6, number)), 2e-3, 0.6)
        aspect = np.exp(rng.normal(0, 0.2, number))
        out[name] = Boxes(area, rng.uniform(0.3, 0.7, (number, 2)), aspect, np.arange(number) // 2)
    return out


def situation(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any]) -> Situation:
    """Prepare the stage for a frame, and the call to make.

    Parameters
    ----------
    plugin : plugin instance
    frame : int
    stage : BruteStage
        Cleared.
    memory : dict
        What is kept over the frames of one job, such as the fitted target. Empty at first.
    """
    return _KINDS[plugin.plugin_kind](plugin, frame, stage, memory)


def furnish(stage: BruteStage, frame: int) -> None:
    """Put instances on the stage and pose a camera: side by side; one hiding another, a third out of view; a close-up
    that the border cuts."""
    stool, crate, block = stage.assets["chair"][0], stage.assets["bag"][0], stage.assets[""][0]
    spots = (
        ((stool, -0.35, 0.0), (crate, 0.35, 0.1), (block, 0.0, -0.3)),
        ((stool, 0.0, 0.0), (crate, 0.0, 0.6), (stool, 0.0, -2.6)),
        ((crate, -0.25, 0.0), (stool, 0.25, 0.0)),
    )[frame % 3]
    for asset, x, y in spots:
        matrix = np.eye(4)
        matrix[:3, 3] = (x, y, 0.0)
        stage.place(asset, matrix)
    away = (1.6, 1.8, 0.7)[frame % 3]
    matrix = np.eye(4)
    matrix[:3, :3] = look_rotation(np.array([np.pi / 2]), np.array([-0.3]), np.array([0.0]))[0]
    matrix[:3, 3] = (0.0, -away, 0.2 + 0.3 * away)
    stage.pose_camera(CameraPose(matrix, 28.0, *stage.resolution))


def rows_of(shot: Shot, goals: Goals) -> list[InstanceRow]:
    """One row per instance, with the columns of the metrics ``bbox`` and ``depth``."""
    main = main_of(shot.instances, shot.labels, goals)
    rows = [basic_row(i, shot.labels, main) for i in shot.instances]
    for metric in (BBox(), Depth()):
        for name, values in metric.measure(shot).bbox.items():
            for row, value in zip(rows, values, strict=True):
                if name not in row:
                    row["columns"][name] = value
    return rows


def placed(instances: tuple[Instance, ...]) -> list[tuple[int, str, np.ndarray]]:
    """Id, asset and matrix of each instance."""
    return [(i.id, i.asset.name, i.matrix) for i in instances]


@functools.cache
def _shot(frame: int) -> Shot:
    """The shot of a frame; callers copy it, since a plugin may change its arguments."""
    stage = tiny_stage()
    furnish(stage, frame)
    return stage.shoot()


def _placement(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any]) -> Situation:
    goals, rng = goals_of(frame), stream(SEED, frame, "check")

    def call() -> dict[str, Any]:
        offered = {"offer_site": plugin.offer_site(stage)} if defines(plugin, "offer_site") else {}
        return {"place": plugin.place(stage, goals, rng), **offered}

    return Situation(stage, {"goals": goals}, call)


def _appearance(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any]) -> Situation:
    furnish(stage, frame)
    goals, rng = goals_of(frame), stream(SEED, frame, "check")
    own_goals = (goals,) if plugin.uses_goals else ()

    def call() -> dict[str, Any]:
        return {"vary": plugin.vary(stage, rng, *own_goals)}

    return Situation(stage, {"goals": goals, "instances": stage.instances}, call)


def _camera(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any]) -> Situation:
    furnish(stage, frame)
    goals, rng = goals_of(frame), stream(SEED, frame, "check")

    def call() -> dict[str, Any]:
        out = {"pose": plugin.pose(stage, goals, rng)}
        floor = OnSurface(["Floor"]).offer_site(stage)  # type: ignore[call-arg]  # its fields are arguments by @plugin
        if defines(plugin, "reachable_boxes") and frame == FRAMES[0]:  # once, since it takes long
            own_rng = stream(SEED, frame, "reach")
            out["reachable_boxes"] = plugin.reachable_boxes(stage, stage.instances[0], AREAS, [floor], own_rng)
        if defines(plugin, "place_and_pose"):
            out["place_and_pose"] = plugin.place_and_pose(stage, goals, [floor], rng)
        return out

    return Situation(stage, {"goals": goals, "instances": stage.instances}, call)


def _effect(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any]) -> Situation:
    shot = copy.deepcopy(_shot(frame))
    bare = attrs.evolve(shot, image=np.empty((0, 0, 3), np.uint8))
    image = shot.image.astype(np.float32) / np.float32(255)

    def common(name: str) -> np.random.Generator:
        return stream(SEED, frame, "check", name)

    def call() -> dict[str, Any]:
        out: dict[str, Any] = {"applies": plugin.applies(stream(SEED, frame, "applies"))}
        values: tuple[Any, ...] = ()
        if defines(plugin, "draw"):
            out["draw"] = plugin.draw(bare, stream(SEED, frame, "draw"), common)
            values = (out["draw"],)
        if plugin.moves_pixels:
            out["source_pixels"] = plugin.source_pixels(bare, stream(SEED, frame, "source"), *values)
        return out | {"apply": plugin.apply(image, bare, stream(SEED, frame, "check"), *values)}

    return Situation(stage, {"image": image, "shot": shot}, call, shot)


def _target(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any]) -> Situation:
    real, reach, block = real_boxes(), dict(REACH), Block()
    for name in real:
        block.add([(name, (100.0, 80.0, 60.0, 90.0)), (name, (300.0, 200.0, 240.0, 200.0))], (640, 480))

    def call() -> dict[str, Any]:
        if "fitted" not in memory:
            memory["fitted"] = plugin.fit(real, reach, SEED, 4 / 3)
        fitted = memory["fitted"]
        out = {"draw": fitted.draw(frame, block), "notes": fitted.notes(), "report": fitted.report()}
        return out | ({"draw again": fitted.draw(frame, block, 1)} if attempts_per_draw(plugin, fitted) else {})

    return Situation(stage, {"real": real, "reach": reach, "block": vars(block)}, call)


def _metric(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any]) -> Situation:
    shot = copy.deepcopy(_shot(frame))
    rows: list[dict[str, Any]] = [
        {k: v for k, v in row.items() if k != "columns"} | row["columns"] for row in rows_of(shot, goals_of(frame))
    ]
    number = len(rows)

    def call() -> dict[str, Any]:
        out = {"measure": plugin.measure(shot)}
        if plugin.measures_probes:
            out["measure of a probe"] = plugin.measure(attrs.evolve(shot, image=np.empty((0, 0, 3), np.uint8)))
        for name, hook in (("dataset_columns", plugin.dataset_columns), ("dataset_summary", plugin.dataset_summary)):
            if defines(plugin, name):
                measured = {n: v for n, v in out["measure"].bbox.items() if len(v) == number}
                table = [row | {n: v[k] for n, v in measured.items()} for k, row in enumerate(rows[:number])]
                kept = copy.deepcopy(table)
                out[name] = hook(table)
                if digest(table) != digest(kept):
                    rows.append({"changed by": name})
        return out

    return Situation(stage, {"shot": shot, "rows": rows}, call, shot)


def _filter(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any]) -> Situation:
    if defines(plugin, "open_gate"):
        furnish(stage, frame)  # for drafts
    shot = copy.deepcopy(_shot(frame))
    rows = rows_of(shot, goals_of(frame))
    probed = Shot(np.empty((0, 0, 3), np.uint8), shot.labels, shot.instances, {}, shot.camera)

    def call() -> dict[str, Any]:
        if not defines(plugin, "open_gate"):
            before = {"judge of a probe": plugin.judge(probed, rows)} if plugin.judges_probes else {}
            return before | {"judge": plugin.judge(shot, rows)}
        if "gate" not in memory:
            memory["gate"] = plugin.open_gate()
        gate, left = memory["gate"], [row for row in rows if row["bbox"]]
        out = {"judge": gate.judge(shot, left), "fingerprint": gate.fingerprint, "report": gate.report()}
        if gate.draft is not None:
            picture = stage.draft(scale=gate.draft.scale, samples=gate.draft.samples)
            out["judge_draft"] = gate.judge_draft(picture, left, stage.resolution)
        return out

    return Situation(stage, {"shot": shot, "rows": rows}, call, shot)


@functools.cache
def _dataset_folder() -> Path:
    """A folder for the images of datasets, for as long as the process runs."""
    folder = Path(tempfile.mkdtemp(prefix="twinset-kit-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _writer(plugin: Any, frame: int, stage: BruteStage, memory: dict[str, Any]) -> Situation:
    shot = copy.deepcopy(_shot(frame))
    images, parts, crowds = ((4, False, False), (5, True, True), (1, False, False))[frame % 3]
    rendered = plugin.uses_records or plugin.uses_models or bool(plugin.uses_labels)
    dataset = finished_dataset(_dataset_folder(), images=images, parts=parts, crowds=crowds, rendered=rendered)
    categories = {"chair": 1, "bag": 2}

    def call() -> dict[str, Any]:
        out: dict[str, Any] = {}
        if plugin.frame_file:
            out["write_frame"] = plugin.write_frame(shot, categories)
        if not lacks_method(type(plugin), "write"):
            files = FilesInMemory()
            out["write"] = plugin.write(dataset, files)
            out["files"] = files.written
        return out

    given = {"shot": shot, "categories": categories, "images": dataset.images, "annotations": dataset.listed}
    return Situation(stage, given, call, shot)


_KINDS: dict[str, Callable[[Any, int, BruteStage, dict[str, Any]], Situation]] = {
    "placement": _placement,
    "appearance": _appearance,
    "camera": _camera,
    "effect": _effect,
    "target": _target,
    "metric": _metric,
    "filter": _filter,
    "writer": _writer,
}

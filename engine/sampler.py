# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one frame: draws goals, places, varies, poses, probes, shoots, measures and judges, until one is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from .errors import StageError
from .goals import Boxes, Goals
from .params import unknown
from .plugin import Columns, FittedTarget, Rejected, Verdict, naming
from .reach import aims, put_instances, survey
from .rng import low_discrepancy, stream
from .settings import PluginUse, Recipe
from .stage import Instance, Labels, Shot, Stage


@attrs.frozen(eq=False)
class Frame:
    """One frame as the sampler leaves it. ``shot`` and ``rows`` are None and empty where it was given up.

    ``rows`` holds one dict per annotatable instance, in the order of ``shot.instances``.
    """

    index: int
    attempts: int
    rejected: tuple[str, ...]
    camera: str
    goals: Goals
    shot: Shot | None = None
    rows: tuple[dict[str, Any], ...] = ()
    columns: Mapping[str, Any] = attrs.field(factory=dict)
    bystanders: tuple[Instance, ...] = ()


class Sampler:
    """The sampling loop of one recipe on one stage.

    Parameters
    ----------
    recipe : Recipe
    stage : Stage
    real : mapping
        Class name to real boxes; empty without a target.
    """

    def __init__(self, recipe: Recipe, stage: Stage, real: Mapping[str, Boxes]) -> None:
        self.recipe = recipe
        self.stage = stage
        uses = recipe.plugins
        # What stays where it is comes first, whatever the recipe's order, so that the rest is placed around it.
        self._placements = sorted(_named(uses.get("placement", ())), key=lambda p: not getattr(p[1], "first", False))
        self._appearances = _named(uses.get("appearance", ()))
        self._cameras = uses["camera"]
        self._metrics = _named(uses.get("metric", ()))
        self._filters = [u.plugin for u in uses.get("filter", ())]
        weights = np.array([u.weight for u in self._cameras])
        self._shares = np.cumsum(weights) / weights.sum()
        self._camera_offset = stream(recipe.seed, "camera").uniform()
        self._aimed = np.zeros(1, int)
        self.reach: dict[str, tuple[float, float]] = {}
        self.target: FittedTarget | None = None
        targets = uses.get("target", ())
        if targets:
            self.target = self._fit(targets[0].plugin, real)

    def frame(
        self,
        index: int,
        shown: Mapping[str, Sequence[float]],
        *,
        attempts: range | None = None,
        render: bool = True,
    ) -> Frame:
        """Sample one frame.

        Parameters
        ----------
        index : int
            Frame index.
        shown : mapping
            Class name to the relative box areas that earlier accepted frames of this block have shown.
        attempts : range, optional
            The attempts to make; default is all that the recipe allows. A replay makes the accepted one only.
        render : bool
            Without a render the frame ends with its probe: labels and boxes are those of the frame, picture, amodal
            masks and metrics are left out.
        """
        use = self._camera(index)
        goals = self._goals(index, use, shown)
        rejected: list[str] = []
        for attempt in attempts or range(self.recipe.render.max_attempts):
            result = self._attempt(index, attempt, use, goals, render)
            if isinstance(result, str):
                rejected.append(result)
                continue
            shot, rows, columns, bystanders = result
            return Frame(index, attempt + 1, tuple(rejected), use.id, goals, shot, rows, columns, bystanders)
        return Frame(index, len(rejected), tuple(rejected), use.id, goals)

    def _attempt(
        self, index: int, attempt: int, use: PluginUse, goals: Goals, render: bool
    ) -> str | tuple[Shot, tuple[dict[str, Any], ...], dict[str, Any], tuple[Instance, ...]]:
        """One try: the shot with its rows, or the reason why it was rejected."""
        seed, stage = self.recipe.seed, self.stage
        stage.clear()
        try:
            put_instances(stage, self._placements, goals, seed, index, attempt)
            for name, appearance in self._appearances:
                with naming(appearance):
                    appearance.vary(stage, stream(seed, index, attempt, name))
            with naming(use.plugin):
                pose = use.plugin.pose(stage, goals, stream(seed, index, attempt, f"camera.{use.id}"))
        except Rejected as rejection:
            return rejection.reason
        stage.pose_camera(pose)
        labels = stage.probe(1.0)
        annotatable = tuple(i for i in stage.instances if i.asset.class_name)
        main = self._main(annotatable, labels, goals)
        rows = [_basic_row(i, labels, main) for i in annotatable]
        bystanders = tuple(i for i in stage.instances if not i.asset.class_name)
        draft = Shot(np.empty((0, 0, 3), np.uint8), labels, annotatable, {}, pose)
        verdict = self._early_verdict(draft, rows, goals)
        if not verdict.accepted:
            return verdict.reason
        if not render:
            self._annotate(draft, rows, verdict)
            return draft, tuple(rows), {}, bystanders
        shot = stage.shoot(int(stream(seed, index, "render").integers(2**31)))
        columns = self._measure(shot, rows)
        verdict = _judge(self._filters, shot, rows)
        if not verdict.accepted:
            return f"{AFTER_RENDER}{verdict.reason}"
        self._annotate(shot, rows, verdict)
        return shot, tuple(rows), columns, bystanders

    def _early_verdict(self, draft: Shot, rows: list[dict[str, Any]], goals: Goals) -> Verdict:
        """All that can be said from the probe, before the render is paid for."""
        early = [f for f in self._filters if getattr(f, "early", False)]
        verdict = _judge(early, draft, rows)
        if not verdict.accepted:
            return Verdict(False, f"probe: {verdict.reason}")
        left = [row for row in rows if row["area"] > 0 and row["id"] not in verdict.unannotated]
        if not left:
            return Verdict(False, "probe: nothing to annotate in view")
        if goals.main is not None and not any(row["main"] for row in left):
            return Verdict(False, "probe: main instance too small")
        return verdict

    def _main(self, annotatable: tuple[Instance, ...], labels: Labels, goals: Goals) -> int:
        """Id of the instance whose visible box is nearest to the goal; 0 without one."""
        if goals.main is None:
            return 0
        goal, best, nearest = goals.main, 0, np.inf
        height, width = labels.ids.shape
        for instance in annotatable:
            box = labels.bbox(instance.id) if instance.asset.class_name == goal.class_name else None
            if box is None:
                continue
            center = ((box[0] + box[2] / 2) / width, (box[1] + box[3] / 2) / height)
            away = abs(np.log(box[2] * box[3] / (width * height) / goal.area)) + np.hypot(
                center[0] - goal.center[0], center[1] - goal.center[1]
            )
            if away < nearest:
                best, nearest = instance.id, away
        return best

    def _measure(self, shot: Shot, rows: list[dict[str, Any]]) -> dict[str, Any]:
        image: dict[str, Any] = {}
        for _, metric in self._metrics:
            with naming(metric):
                columns: Columns = metric.measure(shot)
                image.update(columns.image)
                for name, value in columns.image.items():
                    _check_value(name, value)
                for name, values in columns.bbox.items():
                    if len(values) != len(rows):
                        raise ValueError(f"{len(values)} values of '{name}' for {len(rows)} instances")
                    for value in values:
                        _check_value(name, value)
                    for row, value in zip(rows, values, strict=True):
                        if name not in row:
                            row["columns"][name] = value
        return image

    def _annotate(self, shot: Shot, rows: list[dict[str, Any]], verdict: Verdict) -> None:
        least = self.recipe.output.min_visible_share
        for row in rows:
            alone = shot.amodal.get(row["id"])
            share = None if alone is None else alone.visible_share(row["area"])
            if row["area"] == 0:
                row["reason"] = "not visible"
            elif row["id"] in verdict.unannotated:
                row["reason"] = verdict.reason or "filtered"
            elif share is not None and share < least:
                row["reason"] = "visible share too low"
            row["annotated"] = not row["reason"]

    def _goals(self, index: int, use: PluginUse, shown: Mapping[str, Sequence[float]]) -> Goals:
        if self.target is None or not aims(use.plugin):
            return Goals(frame=index)
        with naming(self.recipe.plugins["target"][0].plugin):
            goals = self.target.draw(self._aimed_index(index))
            name = goals.main.class_name if goals.main else ""
            gaps = tuple(self.target.gaps(name, np.array(shown.get(name, ())))) if name else ()
        return attrs.evolve(goals, frame=index, open_area=gaps)

    def _camera(self, index: int) -> PluginUse:
        return self._cameras[int(self._camera_of(np.array([index]))[0])]

    def _camera_of(self, indices: np.ndarray) -> np.ndarray:
        shares = low_discrepancy(indices, self._camera_offset)
        return np.minimum(np.searchsorted(self._shares, shares, side="right"), len(self._cameras) - 1)

    def _aimed_index(self, index: int) -> int:
        """How many frames before this one have a camera that aims at goals: the target's own frame counter."""
        if len(self._aimed) <= index:
            which = self._camera_of(np.arange(2 * index + 64))
            aimed = np.array([aims(u.plugin) for u in self._cameras])[which]
            self._aimed = np.concatenate([[0], np.cumsum(aimed)])
        return int(self._aimed[index])

    def _fit(self, target: Any, real: Mapping[str, Boxes]) -> FittedTarget:
        camera = next((u.plugin for u in self._cameras if aims(u.plugin)), None)
        if camera is not None:
            wanted = getattr(target, "classes", None) or list(real)
            for name in wanted:
                if name not in self.stage.assets:
                    raise StageError(
                        unknown("[target] the recipe has no class", name, [n for n in self.stage.assets if n])
                    )
            self.reach = survey(self.stage, self._placements, camera, wanted, self.recipe.seed)
        output = self.recipe.output
        with naming(target):
            return target.fit(real, self.reach, self.recipe.seed, output.width / output.height)


AFTER_RENDER = "render: "
"""Prefix of reasons given after the full render was paid for."""


def _check_value(name: str, value: Any) -> None:
    """Records are JSON, so columns hold numbers, strings, and lists of them."""
    if not isinstance(value, str | int | float | list | tuple | np.ndarray | np.generic | None):
        raise ValueError(f"'{name}' is a {type(value).__name__}; columns hold numbers, strings, and lists of them")


def _named(uses: Sequence[PluginUse]) -> list[tuple[str, Any]]:
    """Plugins with the names of their random streams, which stay apart when one plugin is used twice."""
    return [(f"{use.kind}.{use.id}.{number}", use.plugin) for number, use in enumerate(uses)]


def _basic_row(instance: Instance, labels: Labels, main: int) -> dict[str, Any]:
    bbox = labels.bbox(instance.id)
    return {
        "id": instance.id,
        "class": instance.asset.class_name,
        "shape": instance.asset.name,
        "main": instance.id == main,
        "bbox": bbox,
        "area": int((labels.ids == instance.id).sum()) if bbox else 0,
        "annotated": False,
        "reason": "",
        "columns": {},
    }


def _judge(filters: Sequence[Any], shot: Shot, rows: Sequence[Mapping[str, Any]]) -> Verdict:
    unannotated: frozenset[int] = frozenset()
    reason = ""
    for judge in filters:
        with naming(judge):
            verdict = judge.judge(shot, rows)
        if not verdict.accepted:
            return verdict
        unannotated |= verdict.unannotated
        reason = reason or verdict.reason
    return Verdict(True, reason, unannotated)

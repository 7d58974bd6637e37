# SPDX-License-Identifier: GPL-3.0-or-later
"""Previews a recipe by probes alone: single samples in detail, and the histograms of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import attrs
import numpy as np

from ...alignment.distances.histograms import (
    BINS,
    bhattacharyya_floor,
    bhattacharyya_of_histograms,
    histogram,
)
from ...engine.block import Block
from ...engine.events import Stepped
from ...engine.recipe.settings import Recipe
from ...engine.rng import stream
from ...engine.sampling.frame import Frame
from ...engine.sampling.rooms import sampler_of
from ...engine.sampling.sampler import Sampler, Survey
from ...engine.stage import Instance, Stage
from ..analysis.real_boxes import read_real, real_boxes
from ..store.frame_record import FrameContent
from ..store.record import add_to_block, make_record
from .frame_renderer import OpenStage

COLUMNS = ("sqrt_area", "center_x", "center_y")
"""Columns that are compared with the real boxes: those of probes with values in [0, 1]."""


class Preview:
    """Samples frames of a recipe without rendering, while the recipe may change.

    A sample is the frame that a render would give, except for verdicts that need the image: it has the same draws, and
    the same earlier frames in its block.

    Parameters
    ----------
    open_stage : callable
        Opens a recipe's scene; called again only where the new recipe has another scene, other classes or another
        image size.
    proceed : callable, optional
        Called before each attempt; an exception stops the sampling.
    """

    def __init__(self, open_stage: OpenStage, proceed: Callable[[], None] = lambda: None) -> None:
        self._open_stage = open_stage
        self._proceed = proceed
        self._stage: Stage | None = None
        self._opened = ""
        self._text = ""
        self._recipe: Recipe | None = None
        self._sampler: Sampler | None = None
        self._surveys: list[Survey] = []
        self._records: dict[int, dict[str, Any]] = {}
        self._on_stage: tuple[int, Frame] | None = None
        """Number and probe of the frame whose instances are on the stage."""

    @property
    def stage(self) -> Stage:
        """The current stage."""
        assert self._stage is not None, "change() comes first"
        return self._stage

    def change(self, recipe: Recipe, *, reopen: bool = False) -> Iterator[Stepped]:
        """Use this recipe from now on; yields the steps that take time.

        Parameters
        ----------
        recipe : Recipe
        reopen : bool
            Open the scene again even if its part of the recipe is unchanged, because its file has changed.

        Raises
        ------
        TwinsetError
            If the recipe's scene or target is unsuitable. The next call starts over.
        """
        opened, text = _scene_key(recipe), repr(recipe)
        if reopen or self._stage is None or opened != self._opened:
            self._forget()
            self._stage, self._surveys = None, []
            yield Stepped("Opening the scene")
            self._stage, self._opened = self._open_stage(recipe), opened
        if self._sampler is None or text != self._text:
            self._forget()
            yield Stepped("Surveying the scene")
            self._sampler = sampler_of(recipe, self._stage, real_boxes(recipe), surveys=self._surveys)
            self._recipe, self._text = recipe, text

    def notes(self) -> tuple[str, ...]:
        """Notes of the targets, such as which real boxes this scene cannot show."""
        targets = () if self._sampler is None else self._sampler.targets
        return tuple(dict.fromkeys(note for target in targets for note in target.notes()))

    def record(self, index: int) -> dict[str, Any]:
        """The record of a probed frame: without columns of metrics, with amodal masks only after :meth:`detail`.

        ``tried`` has an entry per rejected attempt, with its ``reason`` and the ``instances`` that it had placed.
        """
        if index not in self._records:
            self._records[index] = self._probe(index)
        return self._records[index]

    def detail(self, index: int) -> dict[str, Any]:
        """The record of a frame with amodal boxes and visible shares; its instances remain on the stage."""
        record = self.record(index)
        if record["image"] is None or "detail" in record:
            return record
        if self._on_stage is None or self._on_stage[0] != index:
            self._frame(index, attempts=range(record["attempts"] - 1, record["attempts"]), render=False)
        assert self._on_stage is not None
        frame = self._on_stage[1]
        assert frame.shot is not None and self._recipe is not None
        shot = attrs.evolve(frame.shot, amodal=frame.effects.of_amodal(self.stage.amodal()))
        fuller = make_record(attrs.evolve(frame, shot=shot), self._recipe)
        record["instances"], record["detail"] = fuller["instances"], True
        return record

    def picture(self, index: int) -> Frame:
        """A frame rendered in full."""
        return self._frame(index, render=True)

    def gap(self, indices: Sequence[int]) -> dict[str, Any]:
        """Compare the boxes of these frames, all sampled before, with the real ones.

        Returns
        -------
        dict
            ``frames``, ``given_up``: counts; ``rejected``: reason to number of attempts; ``classes``: class name to
            ``n_real``, ``n_synth`` and ``columns``, which maps each of :data:`COLUMNS` to the shares ``real`` (20,)
            and ``synth`` (20,) over [0, 1], their Bhattacharyya ``distance`` and its ``floor``, the mean distance of
            two resamples of the real boxes of these sizes. Entries without boxes are None. ``centers`` (N, 2) has the
            centres of the predicted boxes as shares of the image.
        """
        assert self._recipe is not None
        records = [self._records[i] for i in indices]
        coco = read_real(self._recipe)
        known = coco.classes() if coco is not None else {}
        classes: dict[str, Any] = {}
        for settings in self._recipe.classes:
            name = settings.name
            real = None
            if coco is not None and known.get(name):
                boxes = coco.boxes(name)
                real = np.column_stack([np.sqrt(boxes.area), boxes.center])
            classes[name] = _gap_of(name, real, _boxes_of(records, name))
        return {
            "frames": len(records),
            "given_up": sum(r["image"] is None for r in records),
            "rejected": dict(Counter(t["reason"] for r in records for t in r["tried"]).most_common()),
            "classes": classes,
        }

    def _forget(self) -> None:
        self._sampler, self._recipe, self._text = None, None, ""
        self._records, self._on_stage = {}, None

    def _probe(self, index: int) -> dict[str, Any]:
        assert self._recipe is not None
        tried: list[dict[str, Any]] = []
        for attempt in range(self._recipe.render.max_attempts):
            self._proceed()
            frame = self._frame(index, attempts=range(attempt, attempt + 1), render=False)
            if frame.shot is not None:
                break
            tried.append({"reason": frame.rejected[0], "instances": [_placed(i) for i in self.stage.instances]})
        probed = attrs.evolve(frame, rejected=tuple(t["reason"] for t in tried))
        return {"image": None, **make_record(probed, self._recipe), "tried": tried}

    def _frame(self, index: int, *, render: bool, **how: Any) -> Frame:
        """Sample a frame after the earlier frames of its block."""
        assert self._sampler is not None and self._recipe is not None, "change() comes first"
        block = Block()
        for earlier in range(index - index % self._recipe.render.block_size, index):
            add_to_block(block, cast(FrameContent, self.record(earlier)))
        self._on_stage = None
        frame = self._sampler.frame(index, block, render=render, **how)
        if not render:
            self._on_stage = (index, frame)
        return frame


def _placed(instance: Instance) -> dict[str, Any]:
    return {"class": instance.asset.class_name, "shape": instance.asset.name, "matrix": instance.matrix.ravel()}


def _scene_key(recipe: Recipe) -> str:
    """A key of everything in a recipe that the opened stage depends on."""
    # A scene is lit by default only where no appearance plugin does it; how strongly they do makes no difference.
    uses = recipe.plugins.get("appearance", ())
    lit = sorted((u.id, u.plugin.lights_scene) for u in uses)
    render = attrs.evolve(recipe.render, max_attempts=1, block_size=1)
    parts = (recipe.scene, recipe.models, recipe.rooms, recipe.classes, recipe.distractors, recipe.folder)
    return repr((parts, render, recipe.output.width, recipe.output.height, lit))


def _boxes_of(records: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """(N, 3): square root of the relative area, centre x and y of all annotated boxes of a class."""
    out = []
    for record in records:
        if record["image"] is None:
            continue
        width, height = record["image"]["width"], record["image"]["height"]
        for row in record["instances"]:
            if row["annotated"] and row["class"] == name:
                x, y, w, h = row["bbox"]
                out.append(((w * h / (width * height)) ** 0.5, (x + w / 2) / width, (y + h / 2) / height))
    return np.array(out).reshape(-1, 3)


def _gap_of(name: str, real: np.ndarray | None, synth: np.ndarray) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for k, column in enumerate(COLUMNS):
        p = None if real is None else histogram(real[:, k])
        q = histogram(synth[:, k]) if len(synth) else None
        distance = floor = None
        if real is not None and p is not None and q is not None:
            distance = bhattacharyya_of_histograms(p, q)
            floor = bhattacharyya_floor(real[:, k], len(real), len(synth), rng=stream(0, "gap", name, column))
        columns[column] = {"real": p, "synth": q, "distance": distance, "floor": floor}
    counts = {"n_real": 0 if real is None else len(real), "n_synth": len(synth), "bins": BINS}
    return {**counts, "columns": columns, "centers": synth[:, 1:].round(4).tolist()}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures configurations of a recipe by probes: metadata of boxes without any picture; remembered on disk."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ... import __version__
from ...engine.block import Block
from ...engine.errors import DataError, TwinsetError
from ...engine.goals import Boxes
from ...engine.instance_row import InstanceRow
from ...engine.plugin.hooks import flags_of
from ...engine.plugin.params import describe
from ...engine.plugin.registry import default
from ...engine.recipe.settings import PluginUse, Recipe
from ...engine.recipe.variants import with_changes
from ...engine.recipe.writing import dump_recipe
from ...engine.sampling.sampler import Frame, Sampler, Survey
from ...engine.stage import Shot, Stage
from ..atomic_files import is_number, json_bytes, to_builtin_types, write_atomic
from ..store.inputs import named_files
from .job import OpenStage

MAX_FAILURES = 3
"""So many frames given up, with none accepted, end the probing of a configuration."""

_NOT_COLLECTED = frozenset({"bbox", "shape"})


@attrs.frozen(eq=False)
class ProbeResult:
    """What probes of one configuration gave.

    Attributes
    ----------
    columns : dict of str to list
        One value per annotated box, under the names that ``twinset measure`` gives them.
    frames : int
        How many frames were asked for.
    accepted : int
        How many of them were accepted.
    seconds : float
        What they took.
    problem : str
        Why there are no boxes; "" where there are.
    """

    columns: dict[str, list[Any]]
    frames: int
    accepted: int
    seconds: float
    problem: str = ""


@attrs.frozen
class Step:
    """One frame is probed, or a whole configuration was known already."""

    done: int
    total: int
    configuration: int
    message: str = ""


class Prober:
    """Probes configurations of one recipe on one stage, which is opened once, when the first one is not known.

    Parameters
    ----------
    recipe : Recipe
        Without variants.
    open_stage : callable
    real : mapping
        Class name to real boxes, for the target.
    amodal : bool
        Whether to see each instance alone as well.
    scale : float
        Size of the probes as a share of the images'. Filters' parameters in pixels are scaled along.
    memory : Path, optional
        File that remembers what was measured. What is known of the same recipe, seed, files and version is not
        measured again.
    """

    def __init__(
        self,
        recipe: Recipe,
        open_stage: OpenStage,
        real: Mapping[str, Boxes],
        *,
        amodal: bool = False,
        scale: float = 1.0,
        memory: Path | None = None,
    ) -> None:
        self.recipe = scaled(recipe, scale)
        self._scale = scale
        self.found: dict[int, ProbeResult] = {}
        self._open_stage = open_stage
        self._real = real
        self._amodal = amodal or recipe.output.min_visible_share > 0
        self._memory = memory
        self._known = _read_memory(memory)
        self._stage: Stage | None = None
        self._surveys: list[Survey] = []
        self._metrics = _metrics(recipe)

    def run(self, configurations: Sequence[Mapping[str, Any]], frames: int) -> Iterator[Step]:
        """Probe ``frames`` frames of each configuration; what they gave lies in ``found``, by number.

        Configurations have different frames of one sequence, so that what is alike in them is not chance.
        """
        total = frames * len(configurations)
        for number, changes in enumerate(configurations):
            wanted = range(number * frames, (number + 1) * frames)
            recipe = _probe_recipe(with_changes(self.recipe, changes))
            key = self._key(recipe, wanted)
            known = self._known.get(key)
            if known is not None:
                self.found[number] = ProbeResult(**known)
                yield Step(wanted.stop, total, number, "known already")
                continue
            yield from self._probe(recipe, wanted, total, number)
            # Rounded as the file has it, so that a run that was stopped comes to the same as one that was not.
            self._known[key] = to_builtin_types(attrs.asdict(self.found[number]))
            self.found[number] = ProbeResult(**self._known[key])
            if self._memory is not None:
                write_atomic(self._memory, json_bytes(self._known))

    def fresh(self, recipe: Recipe, class_name: str, wanted: int, *, images: bool = False) -> Iterator[Step]:
        """Probe frames of a recipe, variants and all, until ``wanted`` boxes of a class are there; see ``found[-1]``.

        With ``images``, until so many frames show the class. Ends after four times as many frames, too.
        """
        collected = _ProbeCollector(self._metrics)
        sampler = Sampler(_probe_recipe(scaled(recipe, self._scale)), self._opened(), self._real, surveys=self._surveys)
        block = Block()
        for index in range(4 * wanted):
            if index % recipe.render.block_size == 0:
                block = Block()
            self._one(sampler, index, block, collected)
            seen = zip(collected.columns.get("class", ()), collected.columns.get("image_id", ()), strict=True)
            shown_in = [image for name, image in seen if name == class_name]
            count = len(set(shown_in)) if images else len(shown_in)
            yield Step(min(count, wanted), wanted, -1)
            if count >= wanted or (index + 1 == 4 * MAX_FAILURES and not collected.accepted):
                break
        self.found[-1] = collected.done()

    def _probe(self, recipe: Recipe, wanted: range, total: int, number: int) -> Iterator[Step]:
        if self._stage is None:
            yield Step(wanted.start, total, number, "Opening the scene")
        collected = _ProbeCollector(self._metrics)
        stage = self._opened()
        try:
            sampler = Sampler(recipe, stage, self._real, surveys=self._surveys)
        except TwinsetError as error:
            # One configuration may leave nothing in reach where others do not.
            self.found[number] = attrs.evolve(collected.done(), frames=len(wanted), problem=str(error))
            yield Step(wanted.stop, total, number)
            return
        block = Block()
        for done, index in enumerate(wanted, 1):
            if index % recipe.render.block_size == 0:
                block = Block()
            self._one(sampler, index, block, collected)
            yield Step(wanted.start + done, total, number)
            if done == MAX_FAILURES and not collected.accepted:
                break
        self.found[number] = collected.done()

    def _one(self, sampler: Sampler, index: int, block: Block, collected: _ProbeCollector) -> None:
        frame = sampler.frame(index, block, render=False)
        amodal = sampler.stage.amodal() if self._amodal and frame.shot is not None else None
        least = self.recipe.output.min_visible_share
        rows = collected.add(frame, amodal, least)
        if frame.shot is not None:
            block.add(((row["class"], row["bbox"]) for row in rows if row["bbox"]), sampler.stage.resolution)

    def _opened(self) -> Stage:
        if self._stage is None:
            self._stage = self._open_stage(self.recipe)
        return self._stage

    def _key(self, recipe: Recipe, frames: range) -> str:
        """Changes with all that the probes depend on, whatever files the recipe names included."""
        # Real boxes matter to probes only where a target learns from them.
        files = {f for key, f in named_files(recipe) if self._real or not key.startswith("real.")}
        files |= {f for folder in recipe.plugin_folders for f in recipe.path(folder).glob("*.py")}
        stats = sorted((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files)
        text = json.dumps([__version__, dump_recipe(recipe, anchor=True), str(frames), self._amodal, stats])
        return hashlib.sha256(text.encode()).hexdigest()


class _ProbeCollector:
    """Boxes as they come in, frame by frame."""

    def __init__(self, metrics: Sequence[Any]) -> None:
        self.columns: dict[str, list[Any]] = {}
        self.accepted = self.frames = 0
        self._metrics = metrics
        self._rejected: Counter[str] = Counter()
        self._start = time.perf_counter()

    def add(self, frame: Frame, amodal: Mapping[int, Any] | None, least: float) -> list[InstanceRow]:
        """Measure a probed frame; its annotated rows."""
        self.frames += 1
        self._rejected.update(frame.rejected)
        if frame.shot is None:
            return []
        self.accepted += 1
        shot: Shot = frame.shot if amodal is None else attrs.evolve(frame.shot, amodal=amodal)
        height, width = shot.labels.ids.shape
        measured: dict[str, Any] = {}
        for metric in self._metrics:
            measured |= metric.measure(shot).bbox
        out: list[InstanceRow] = []
        for number, row in enumerate(frame.rows):
            alone = None if amodal is None else amodal.get(row["id"])
            hidden = alone is not None and alone.visible_share(row["area"]) < least
            if not row["annotated"] or hidden:
                continue
            values: dict[str, Any] = {
                name: _number(v[number]) for name, v in measured.items() if name not in _NOT_COLLECTED
            }
            values |= {"class": row["class"], "image_id": frame.index, "image_width": width, "image_height": height}
            count = len(self.columns.get("class", ()))
            for name in values.keys() | self.columns.keys():
                self.columns.setdefault(name, [None] * count).append(values.get(name))
            out.append(row)
        return out

    def done(self) -> ProbeResult:
        reasons = ", ".join(f"{reason} ({n})" for reason, n in self._rejected.most_common(2))
        problem = "" if self.columns else reasons or "nothing to annotate in view"
        seconds = time.perf_counter() - self._start
        return ProbeResult(self.columns, self.frames, self.accepted, seconds, problem)


def scaled(recipe: Recipe, scale: float) -> Recipe:
    """The recipe for images of another size: parameters of filters in pixels, or pixels of area, change along."""
    if scale == 1.0:
        return recipe
    powers = {"px": scale, "px²": scale**2}
    filters = []
    for use in recipe.plugins.get("filter", ()):
        changed = {
            p.name: type(value)(max(round(value * powers[p.unit]), p.min or 0))
            for p in describe(type(use.plugin))
            if p.unit in powers and isinstance(value := getattr(use.plugin, p.name), int | float)
        }
        filters.append(attrs.evolve(use, plugin=attrs.evolve(use.plugin, **changed)))
    output = attrs.evolve(
        recipe.output,
        width=max(16, round(recipe.output.width * scale)),
        height=max(16, round(recipe.output.height * scale)),
    )
    return attrs.evolve(recipe, output=output, plugins={**recipe.plugins, "filter": tuple(filters)})


def _metrics(recipe: Recipe) -> list[Any]:
    """The recipe's metrics for which labels are enough, and the built-in ones among them."""
    own = [use.plugin for use in recipe.plugins.get("metric", ()) if use.plugin.measures_probes]
    there = {type(metric) for metric in own}
    built_in = [cls for cls in default().catalogue(builtin=True) if "measures_probes" in flags_of(cls)]
    return [*(cls() for cls in built_in if cls not in there), *own]


def _probe_recipe(recipe: Recipe) -> Recipe:
    """The recipe as probes need it: no metrics, and no filters that wait for the picture."""
    kept: tuple[PluginUse, ...] = tuple(use for use in recipe.plugins.get("filter", ()) if use.plugin.judges_probes)
    return attrs.evolve(recipe, plugins={**recipe.plugins, "metric": (), "filter": kept})


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, str | list | np.ndarray):
        return None
    number = float(value)
    return number if np.isfinite(number) else None


def _read_memory(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None or not path.exists():
        return {}
    try:
        known = json.loads(path.read_bytes())
        if not isinstance(known, dict) or not all(map(_is_result, known.values())):
            raise ValueError("not what it should be")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} does not hold remembered probes ({error}). Delete it, or name another output."
        ) from None
    return known


def _is_result(probed: Any) -> bool:
    """Whether a JSON value is what probes gave."""
    if not isinstance(probed, dict) or set(probed) != {a.name for a in attrs.fields(ProbeResult)}:
        return False
    columns = probed["columns"]
    if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
        return False
    cells = [cell for values in columns.values() for cell in values]
    return (
        len({len(values) for values in columns.values()}) <= 1
        and all(cell is None or isinstance(cell, str | bool) or is_number(cell) for cell in cells)
        and all(is_number(probed[key]) for key in ("frames", "accepted", "seconds"))
        and isinstance(probed["problem"], str)
    )

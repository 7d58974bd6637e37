# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures configurations of a recipe by probes, which give metadata of boxes without rendering; cached on disk."""

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
from ...engine.recipe.tables.sequence import SequenceSettings
from ...engine.recipe.variants import with_changes
from ...engine.recipe.writing import dump_recipe
from ...engine.sampling.frame import Frame
from ...engine.sampling.sampler import Sampler, Survey
from ...engine.stage import Shot, Stage
from ..atomic_files import is_number, json_bytes, to_builtin_types, write_atomic
from ..store.inputs import named_files
from .frame_renderer import OpenStage

MAX_FAILURES = 3
"""Probing a configuration stops after this many frames if none was accepted."""

_NOT_COLLECTED = frozenset({"bbox", "shape"})


@attrs.frozen(eq=False)
class ProbeResult:
    """The result of probing one configuration.

    Attributes
    ----------
    columns : dict of str to list
        One value per annotated box, under the names that ``twinset measure`` gives them.
    frames : int
        How many frames were requested.
    accepted : int
        How many of them were accepted.
    seconds : float
        Time taken.
    problem : str
        Why there are no boxes; "" if there are.
    """

    columns: dict[str, list[Any]]
    frames: int
    accepted: int
    seconds: float
    problem: str = ""


@attrs.frozen
class Step:
    """A frame was probed, or the result of a configuration was cached."""

    done: int
    total: int
    configuration: int
    message: str = ""


class Prober:
    """Probes configurations of one recipe on one stage, which is opened once, and only if a result is not cached.

    Parameters
    ----------
    recipe : Recipe
        Without variants.
    open_stage : callable
    real : mapping
        Class name to real boxes, for the target.
    amodal : bool
        Whether to render each instance alone as well.
    scale : float
        Size of the probes relative to the images. Parameters of filters in pixels are scaled, too.
    memory : Path, optional
        Cache file. Results for the same recipe, seed, files and version are not measured again.
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
        self.results: dict[int, ProbeResult] = {}
        self._open_stage = open_stage
        self._real = real
        self._amodal = amodal or recipe.output.min_visible_share > 0
        self._memory = memory
        self._known = _read_memory(memory)
        self._stage: Stage | None = None
        self._surveys: list[Survey] = []
        self._metrics = _metrics(recipe)

    def run(self, configurations: Sequence[Mapping[str, Any]], frames: int) -> Iterator[Step]:
        """Probe ``frames`` frames of each configuration; ``results`` holds the outcomes by number.

        Configurations use different frames of one sequence, so that their random errors are independent.
        """
        total = frames * len(configurations)
        for number, changes in enumerate(configurations):
            wanted = range(number * frames, (number + 1) * frames)
            recipe = _probe_recipe(with_changes(self.recipe, changes))
            key = self._key(recipe, wanted)
            known = self._known.get(key)
            if known is not None:
                self.results[number] = ProbeResult(**known)
                yield Step(wanted.stop, total, number, "cached")
                continue
            yield from self._probe(recipe, wanted, total, number)
            # Rounded as in the file, so that a resumed run gives the same results as an uninterrupted one.
            self._known[key] = to_builtin_types(attrs.asdict(self.results[number]))
            self.results[number] = ProbeResult(**self._known[key])
            if self._memory is not None:
                write_atomic(self._memory, json_bytes(self._known))

    def fresh(self, recipe: Recipe, class_name: str, wanted: int, *, images: bool = False) -> Iterator[Step]:
        """Probe a recipe with its variants until there are ``wanted`` boxes of a class; the outcome is ``results[-1]``.

        With ``images``, until so many frames show the class. Stops after four times as many frames.
        """
        collected = _ProbeCollector(self._metrics)
        sampler = Sampler(_probe_recipe(scaled(recipe, self._scale)), self._opened(), self._real, surveys=self._surveys)
        block = Block()
        for index in range(4 * wanted):
            if index % recipe.render.block_size == 0:
                block = Block()
            self._probe_frame(sampler, index, block, collected)
            seen = zip(collected.columns.get("class", ()), collected.columns.get("image_id", ()), strict=True)
            shown_in = [image for name, image in seen if name == class_name]
            count = len(set(shown_in)) if images else len(shown_in)
            yield Step(min(count, wanted), wanted, -1)
            if count >= wanted or (index + 1 == 4 * MAX_FAILURES and not collected.accepted):
                break
        self.results[-1] = collected.result()

    def _probe(self, recipe: Recipe, wanted: range, total: int, number: int) -> Iterator[Step]:
        if self._stage is None:
            yield Step(wanted.start, total, number, "Opening the scene")
        collected = _ProbeCollector(self._metrics)
        stage = self._opened()
        try:
            sampler = Sampler(recipe, stage, self._real, surveys=self._surveys)
        except TwinsetError as error:
            # A target may be out of reach in one configuration only.
            self.results[number] = attrs.evolve(collected.result(), frames=len(wanted), problem=str(error))
            yield Step(wanted.stop, total, number)
            return
        block = Block()
        for done, index in enumerate(wanted, 1):
            if index % recipe.render.block_size == 0:
                block = Block()
            self._probe_frame(sampler, index, block, collected)
            yield Step(wanted.start + done, total, number)
            if done == MAX_FAILURES and not collected.accepted:
                break
        self.results[number] = collected.result()

    def _probe_frame(self, sampler: Sampler, index: int, block: Block, collected: _ProbeCollector) -> None:
        frame = sampler.frame(index, block, render=False)
        wanted = self._amodal and frame.shot is not None
        amodal = frame.effects.of_amodal(sampler.stage.amodal()) if wanted else None
        least = self.recipe.output.min_visible_share
        rows = collected.add(frame, amodal, least)
        if frame.shot is not None:
            block.add(((row["class"], row["bbox"]) for row in rows if row["bbox"]), sampler.stage.resolution)

    def _opened(self) -> Stage:
        if self._stage is None:
            self._stage = self._open_stage(self.recipe)
        return self._stage

    def _key(self, recipe: Recipe, frames: range) -> str:
        """A hash of everything that probes depend on, including the files of the recipe."""
        # Real boxes matter to probes only if a target learns from them.
        files = {f for key, f in named_files(recipe) if self._real or not key.startswith("real.")}
        files |= {f for folder in recipe.plugin_folders for f in recipe.path(folder).glob("*.py")}
        stats = sorted((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files)
        text = json.dumps([__version__, dump_recipe(recipe, anchor=True), str(frames), self._amodal, stats])
        return hashlib.sha256(text.encode()).hexdigest()


class _ProbeCollector:
    """Collects the boxes of probed frames."""

    def __init__(self, metrics: Sequence[Any]) -> None:
        self.columns: dict[str, list[Any]] = {}
        self.accepted = self.frames = 0
        self._metrics = metrics
        self._rejected: Counter[str] = Counter()
        self._start = time.perf_counter()

    def add(self, frame: Frame, amodal: Mapping[int, Any] | None, least: float) -> list[InstanceRow]:
        """Measure a probed frame; returns its annotated rows."""
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

    def result(self) -> ProbeResult:
        reasons = ", ".join(f"{reason} ({n})" for reason, n in self._rejected.most_common(2))
        problem = "" if self.columns else reasons or "nothing to annotate in view"
        seconds = time.perf_counter() - self._start
        return ProbeResult(self.columns, self.frames, self.accepted, seconds, problem)


def scaled(recipe: Recipe, scale: float) -> Recipe:
    """The recipe for images of another size, with parameters of filters in pixels and square pixels scaled."""
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
    """The recipe's metrics that need labels only, and the built-in ones of these."""
    own = [use.plugin for use in recipe.plugins.get("metric", ()) if use.plugin.measures_probes]
    used = {type(metric) for metric in own}
    built_in = [cls for cls in default().catalogue(builtin=True) if "measures_probes" in flags_of(cls)]
    return [*(cls() for cls in built_in if cls not in used), *own]


def _probe_recipe(recipe: Recipe) -> Recipe:
    """The recipe without metrics, and without filters that need the rendered image; every frame has its own layout."""
    kept: tuple[PluginUse, ...] = tuple(use for use in recipe.plugins.get("filter", ()) if use.plugin.judges_probes)
    plugins = {**recipe.plugins, "metric": (), "filter": kept}
    return attrs.evolve(recipe, plugins=plugins, sequence=SequenceSettings(), rig=(), views=1)


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
            raise ValueError("unexpected content")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} is not a valid cache of probes ({error}). Delete it, or name another output."
        ) from None
    return known


def _is_result(probed: Any) -> bool:
    """Whether a JSON value is a valid :class:`ProbeResult`."""
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

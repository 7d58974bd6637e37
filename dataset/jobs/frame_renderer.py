# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders single frames of a job: opens the scene, lets the gates learn, samples frames and writes them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...engine.block import Block
from ...engine.events import Event, Stepped
from ...engine.goals import Boxes
from ...engine.recipe.settings import Recipe
from ...engine.sampling.frame import Frame
from ...engine.sampling.gates import OpenGates
from ...engine.sampling.kept_results import ResultStore, keeping_results
from ...engine.sampling.rooms import sampler_of
from ...engine.sampling.sampler import Sampler
from ...engine.stage import Asset, Stage
from ..analysis.goal_progress import read_goal_scorer
from ..analysis.real_boxes import read_real
from ..atomic_files import json_bytes
from ..checksums import append_checksum, read_own
from ..exports.asset_models import KEY as MODELS
from ..exports.asset_models import write_models
from ..formats.coco_check import are_categories
from ..store.dataset_files import frame_writers, recipe_writers, uses_models
from ..store.frames import FrameStore
from ..store.job_folder import GATE, STAGE, JobFolder
from ..store.label_files import label_files
from ..store.record import categories, make_record
from ..store.result_store import results_of

OpenStage = Callable[[Recipe], Stage]


class FrameRenderer:
    """Samples and writes frames of a recipe; :meth:`open` comes first.

    Parameters
    ----------
    recipe : Recipe
    store : FrameStore
    folder : JobFolder
        Of the same output folder.
    open_stage : callable
        Opens the recipe's scene.
    claim : callable
        Makes the output folder that of the job, before the first file is written into it.
    """

    def __init__(
        self, recipe: Recipe, store: FrameStore, folder: JobFolder, open_stage: OpenStage, claim: Callable[[], None]
    ) -> None:
        self.recipe = recipe
        self._store = store
        self._folder = folder
        self._open_stage = open_stage
        self._claim = claim
        self._sampler: Sampler | None = None
        self._results: ResultStore | None = None
        self._models: dict[str, dict[str, str]] = {}

    @property
    def is_open(self) -> bool:
        """Whether the scene is open, and the gates have learned."""
        return self._sampler is not None

    @property
    def sampler(self) -> Sampler:
        """The sampler of the open scene."""
        assert self._sampler is not None, "open() comes first"
        return self._sampler

    def open(self, real: Mapping[str, Boxes]) -> Iterator[Event]:
        """Open the scene and let the gates learn."""
        # Errors in models and features are raised before Blender opens the scene.
        gates = OpenGates(self.recipe)
        known = self._folder.known_gates(gates)
        scorer = read_goal_scorer(self.recipe)
        if not self.recipe.rooms:
            yield Stepped("Opening the scene")
        stage = self._open_stage(self.recipe)
        if not self.recipe.rooms:
            yield Stepped("Surveying the scene")
        self._results = results_of(self.recipe, stage)
        with keeping_results(self._results):
            sampler = sampler_of(self.recipe, stage, real, gates, scorer=scorer)
        yield from self._teach(sampler, known)
        self._sampler = sampler

    def enter_room(self, frame: int) -> Iterator[Event]:
        """Open the room of a frame, if the recipe has several."""
        has_entered = False
        steps = self.sampler.prepare(frame)
        while True:
            with keeping_results(self._results):
                step = next(steps, None)
            if step is None:
                break
            has_entered = True
            yield Stepped(step)
        if has_entered:
            self.write_stage_file()

    def render(self, frame: int, block: Block) -> Path | None:
        """Render a frame after the earlier ones of its block, and store it; its image, None if it was given up."""
        return self.write(self._store, self.sampler.frame(frame, block))

    def write(self, store: FrameStore, result: Frame) -> Path | None:
        """Store a sampled frame."""
        # Not in a thread: with a Python thread running beside its renders, Blender 4.5 has crashed within 2,000 frames.
        output = self.recipe.output
        shot = result.shot
        return store.write(
            result.index,
            make_record(result, self.recipe),
            None if shot is None else shot.image,
            format=output.format,
            quality=output.quality,
            labels=() if shot is None else label_files(output, shot, self._category_ids, self._writers),
        )

    def write_stage_file(self) -> None:
        """Record the stage and targets for readers, and for writing annotations on machines without the real data."""
        sampler = self.sampler
        room = getattr(sampler.stage, "name", "")
        self._folder.claim_links(getattr(sampler.stage, "links", ()), room)
        contents = sampler.report()
        if uses_models(self.recipe):
            if room not in self._models:
                self._models[room] = write_models(self._store.out, _annotated_assets(sampler.stage))
            for name, models in self._models.items():
                (contents[name] if self.recipe.rooms else contents)[MODELS] = models
        if self.recipe.rooms:
            # Other workers may have opened other rooms.
            contents = {**next(iter(contents.values())), "rooms": {**self._known_rooms(), **contents}}
        contents |= {"gates": sampler.gates.report()} if sampler.gates.report() else {}
        contents["categories"] = categories(self.recipe, read_real(self.recipe))
        self._store.write_text(STAGE, append_checksum(json_bytes(contents)).decode())

    def categories(self) -> list[dict[str, Any]]:
        """The COCO categories of the dataset, as recorded in its folder if the real data are missing."""
        known: list[dict[str, Any]] = read_own(self._store.out / STAGE).get("categories") or []
        return known if known and are_categories(known) else categories(self.recipe, read_real(self.recipe))

    def _teach(self, sampler: Sampler, known: list[list[dict[str, Any]]] | None) -> Iterator[Event]:
        """Let the gates learn, or restore what they learned earlier, on any machine."""
        gates = sampler.gates
        if not any(map(len, gates)):
            return
        if known is not None:
            for one, learned in zip(gates, known, strict=True):
                one.apply_learned(learned)
            return
        total = gates.warm_up
        for done in sampler.warm_up():
            if done == 1 or done * 10 // total != (done - 1) * 10 // total:
                yield Stepped(f"Warming up the gate: {done} of {total} frames")
        # Rounded as in the file, so that all workers use the same numbers.
        learned = json.loads(json_bytes([one.learned for one in gates]))
        for one, rounded in zip(gates, learned, strict=True):
            one.apply_learned(rounded)
        state = {"fingerprint": [one.fingerprint for one in gates], "learned": learned, "report": gates.report()}
        self._claim()
        self._store.write_text(GATE, append_checksum(json_bytes(state)).decode())

    def _known_rooms(self) -> dict[str, Any]:
        known = read_own(self._store.out / STAGE).get("rooms")
        return known if isinstance(known, dict) else {}

    @functools.cached_property
    def _writers(self) -> list[Any]:
        return frame_writers(recipe_writers(self.recipe))

    @functools.cached_property
    def _category_ids(self) -> dict[str, int]:
        return {category["name"]: category["id"] for category in self.categories()}


def _annotated_assets(stage: Stage) -> list[Asset]:
    return [asset for name, assets in stage.assets.items() if name for asset in assets]

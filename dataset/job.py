# SPDX-License-Identifier: GPL-3.0-or-later
"""A job: a recipe in, a dataset on disk out, frame by frame, resumable, as a generator of progress events."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from .. import __version__
from ..engine.errors import OutputError, StageError, TwinsetError
from ..engine.events import Event, Finished, FrameDone, Started, Stepped
from ..engine.gate import OpenGates
from ..engine.goals import Boxes
from ..engine.recipe import load_recipe
from ..engine.sampler import Frame, Sampler
from ..engine.settings import Recipe
from ..engine.stage import Stage
from ..engine.variants import variants_of
from ..engine.writing import dump_recipe
from .coco import CocoFile, read_coco
from .files import json_bytes
from .finish import finish
from .frames import ACCEPTED, FILTERED, GIVEN_UP, FrameStore
from .funnel import ENOUGH, Judged, funnel_of, judged_in, too_strict
from .record import categories, make_record
from .report.rendered import wants_report, write_report

log = logging.getLogger(__name__)

RECIPE = "recipe.toml"
STAGE = "stage.json"
GATE = "gate.json"
HOPELESS = 5
"""So many frames given up, with none accepted, end the job: more would not help. A shorter job ends with its last."""

OpenStage = Callable[[Recipe], Stage]


class Job:
    """Renders the frames of a recipe into a folder.

    Parameters
    ----------
    recipe : Recipe
    out : Path
        Output folder. What is there of the same recipe is kept, so a job that was stopped goes on.
    open_stage : callable
        Opens the recipe's scene, ``twinset.blender.stage.open_stage`` for one; called only when a frame is missing.
    """

    def __init__(self, recipe: Recipe, out: Path, open_stage: OpenStage) -> None:
        self.recipe = recipe
        self.out = Path(out).resolve()
        self._open_stage = open_stage
        self._store = FrameStore(self.out)
        self._sampler: Sampler | None = None

    def run(self, frames: range | None = None) -> Iterator[Event]:
        """Render what is missing, then write annotations.

        Parameters
        ----------
        frames : range, optional
            Frames to render; default is all of the recipe. Earlier frames of their first block are rendered too where
            they are missing, because later frames of a block depend on them.

        Raises
        ------
        TwinsetError
            Whatever the user can put right; frames accepted so far are kept.
        """
        asked = range(self.recipe.images) if frames is None else frames
        block = self.recipe.render.block
        wanted = range(asked.start - asked.start % block, asked.stop)
        real = real_boxes(self.recipe)
        is_new = not self.out.exists()
        self._store.prepare()
        self._claim_folder()
        missing = set(self._store.missing(wanted))
        notes: list[str] = []
        if missing:
            earlier = sorted(missing - set(asked))
            if earlier:
                notes.append(
                    f"Frames {earlier[0]} to {earlier[-1]} are rendered too: later frames of a block of {block} depend "
                    "on them."
                )
            try:
                if self._sampler is None:
                    # Models and features that will not do are told before Blender has opened anything.
                    gates = OpenGates(self.recipe)
                    known = self._known_gates(gates)
                    yield Stepped("Opening the scene")
                    stage = self._open_stage(self.recipe)
                    yield Stepped("Surveying the scene")
                    self._sampler = Sampler(self.recipe, stage, real, gates)
                    yield from self._teach(self._sampler, known)
            except TwinsetError:
                if is_new and not self._store.frames():
                    shutil.rmtree(self.out, ignore_errors=True)
                raise
            sampler = self._sampler
            notes += dict.fromkeys(note for target in sampler.targets for note in target.notes())
            notes += dict.fromkeys(note for facts in sampler.gates.report() for note in facts.get("notes", ()))
            self._store.write_text(STAGE, json_bytes(self._facts(sampler)).decode())
        yield Started(len(wanted), len(wanted) - len(missing), tuple(notes))
        yield from self._frames(wanted, missing)
        yield Stepped("Writing annotations")
        finished = self._annotate()
        if wants_report(self.recipe, self._store):
            yield Stepped("Comparing with the real dataset")
            finished = attrs.evolve(finished, report=write_report(self.recipe, self.out))
        yield finished

    def finish(self) -> Finished:
        """Rebuild annotations and previews from the records. Works on any folder that records were copied into."""
        finished = self._annotate()
        wanted = wants_report(self.recipe, self._store)
        return attrs.evolve(finished, report=write_report(self.recipe, self.out)) if wanted else finished

    def _annotate(self) -> Finished:
        recipe = self.recipe
        metrics = [use.plugin for use in recipe.plugins["metric"]]
        summary = finish(
            self.out,
            categories=self._categories(),
            info={"description": "Rendered by Twinset", "version": __version__},
            polygons=recipe.output.polygons,
            yolo=recipe.output.yolo,
            complete=[m.complete for m in metrics if hasattr(m, "complete")],
            summarise=[m.summarise for m in metrics if hasattr(m, "summarise")],
        )
        for note in summary.notes:
            log.warning("%s", note)
        funnel = funnel_of(self._store, self._gate_file().get("report", ()))
        facts = {
            "images": summary.images,
            "annotations": summary.annotations,
            "classes": summary.classes,
            "funnel": attrs.asdict(funnel),
            "metrics": summary.metrics,
        }
        self._store.write_text("summary.json", json_bytes(facts).decode())
        return Finished(self.out, summary.images, summary.annotations, funnel, summary.contact_sheet)

    def replay(self, frame: int) -> Path:
        """Render one recorded frame again, by its accepted attempt alone.

        Returns
        -------
        Path
            The new image, ``replay/000123.jpg`` in the output folder.
        """
        record = self._store.read(frame)
        if record["verdict"] == GIVEN_UP:
            raise StageError(f"Frame {frame} was given up after {record['attempts']} attempts; there is no image.")
        start = frame - frame % self.recipe.render.block
        absent = self._store.missing(range(start, frame), verify=False)
        if absent:
            raise OutputError(f"Frame {frame} depends on frame {absent[0]} of its block, which has no record.")
        shown: dict[str, list[float]] = {}
        seen: list[list[Any]] = []
        for earlier in range(start, frame):
            earlier_record = self._store.read(earlier)
            add_shown(shown, earlier_record)
            _add_seen(seen, earlier_record)
        sampler = self._sampler
        if sampler is None:
            gates = OpenGates(self.recipe)
            known = self._known_gates(gates)
            sampler = Sampler(self.recipe, self._open_stage(self.recipe), real_boxes(self.recipe), gates)
            for _ in self._teach(sampler, known):
                pass
        attempt = record["attempts"] - 1
        result = sampler.frame(frame, shown, seen=seen, attempts=range(attempt, attempt + 1))
        if result.shot is None:
            raise StageError(
                f"Frame {frame} came out differently: its accepted attempt is now rejected ({result.rejected[0]}). "
                "Scene, models or program have changed since it was rendered."
            )
        target = FrameStore(self.out / "replay")
        target.prepare()
        image = self._write(target, result)
        assert image is not None
        return image

    def _frames(self, wanted: range, missing: set[int]) -> Iterator[Event]:
        shown: dict[str, list[float]] = {}
        seen: list[list[Any]] = []
        judged: list[Judged] = []
        accepted = rejected = 0
        # A share of a job may be unlucky where the job is not.
        hopeless = min(HOPELESS, self.recipe.images) if len(wanted) >= self.recipe.images else HOPELESS
        for done, frame in enumerate(wanted, 1):
            if frame % self.recipe.render.block == 0:
                shown, seen = {}, []
            image: Path | None = None
            if frame in missing:
                assert self._sampler is not None
                result = self._sampler.frame(frame, shown, seen=seen)
                image = self._write(self._store, result)
            record = self._store.read(frame)
            add_shown(shown, record)
            _add_seen(seen, record)
            judged += judged_in(record)
            rejected += len(record["rejected"])
            accepted += record["verdict"] != GIVEN_UP
            if frame not in missing and record["verdict"] == ACCEPTED:
                image = self._store.out / record["files"]["image"]["path"]
            yield FrameDone(frame, done, len(wanted), image, record["attempts"], resumed=frame not in missing)
            passed = sum(j["accepted"] for j in judged)
            if len(judged) >= ENOUGH and self._sampler and passed < self._sampler.gates.floor * len(judged):
                raise too_strict(judged, self._sampler.gates.report(), self.out)
            if done == hopeless and not accepted:
                if self._sampler and 2 * len(judged) > rejected:
                    raise too_strict(judged, self._sampler.gates.report(), self.out)
                raise _hopeless(record, done)

    def _gate_file(self) -> dict[str, Any]:
        """What an earlier run, here or on another machine, has learned for the gates; empty where there is nothing."""
        try:
            found: dict[str, Any] = json.loads((self.out / GATE).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if {"fingerprint", "learned", "report"} <= set(found) else {}

    def _known_gates(self, gates: OpenGates) -> list[list[dict[str, Any]]] | None:
        """What the gates have learned earlier; None where that is nothing, or of other files."""
        found = self._gate_file()
        if not found:
            return None
        if found["fingerprint"] != [one.fingerprint for one in gates]:
            if self._store.frames():
                raise OutputError(
                    f"{self.out} holds frames that other real features or another model have judged (see "
                    f"{self.out / GATE}). Choose another output folder, or put the files back."
                )
            return None
        learned: list[list[dict[str, Any]]] = found["learned"]
        return learned

    def _teach(self, sampler: Sampler, known: list[list[dict[str, Any]]] | None) -> Iterator[Event]:
        """Let the gates learn, or tell them what they have learned earlier: the same, on whichever machine it was."""
        gates = sampler.gates
        if not any(map(len, gates)):
            return
        if known is not None:
            for one, learned in zip(gates, known, strict=True):
                one.teach(learned)
            return
        total = gates.warm_up
        for done in sampler.warm_up():
            if done == 1 or done * 10 // total != (done - 1) * 10 // total:
                yield Stepped(f"Warming up the gate: {done} of {total} frames")
        # As the file has it, rounded, so that whoever reads it goes by the very same numbers.
        learned = json.loads(json_bytes([one.learned for one in gates]))
        for one, rounded in zip(gates, learned, strict=True):
            one.teach(rounded)
        facts = {"fingerprint": [one.fingerprint for one in gates], "learned": learned, "report": gates.report()}
        self._store.write_text(GATE, json_bytes(facts).decode())

    def _write(self, store: FrameStore, result: Frame) -> Path | None:
        output = self.recipe.output
        shot = result.shot
        return store.write(
            result.index,
            make_record(result, self.recipe),
            None if shot is None else shot.image,
            format=output.format,
            quality=output.quality,
            ids=shot.labels.ids if shot is not None and output.masks else None,
            depth=shot.labels.depth if shot is not None else None,
            depth_format=output.depth,
        )

    def _facts(self, sampler: Sampler) -> dict[str, Any]:
        """What readers want to know of stage and target, and :meth:`finish` on machines without the real file."""
        reports = [target.report() for target in sampler.targets]
        return {
            "stage": sampler.stage.info(),
            "reach": sampler.reach,
            "target": reports[0] if reports else None,
            **({"targets": reports} if len(reports) > 1 else {}),
            **({"gates": sampler.gates.report()} if sampler.gates.report() else {}),
            "categories": categories(self.recipe, read_real(self.recipe)),
        }

    def _categories(self) -> list[dict[str, Any]]:
        try:
            known: list[dict[str, Any]] = json.loads((self.out / STAGE).read_bytes())["categories"]
        except (OSError, ValueError, KeyError, TypeError):
            return categories(self.recipe, read_real(self.recipe))
        return known

    def _claim_folder(self) -> None:
        """Write the resolved recipe, or make sure that the one there is the same but for the number of images."""
        path = self.out / RECIPE
        text = dump_recipe(self.recipe, header=[f"Resolved by Twinset {__version__}."], anchor=True)
        there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else text
        mine = _without_images(there) == _without_images(text)
        if not mine and self._store.frames():
            raise OutputError(
                f"{self.out} holds frames of another recipe, seed or version (see {path}). Choose another output "
                "folder, or delete this one."
            )
        self._store.write_text(RECIPE, text)


def open_job(out: Path, open_stage: OpenStage) -> Job:
    """The job that an output folder belongs to, from the recipe kept in it."""
    path = Path(out) / RECIPE
    if not path.is_file():
        raise OutputError(f"{out} holds no {RECIPE}, so it is no output folder of Twinset. Name one that is.")
    # Annotations are rebuilt on machines that have the records but not the models.
    return Job(load_recipe(path, files_too=False), out, open_stage)


def read_real(recipe: Recipe) -> CocoFile | None:
    """The real annotations that a recipe names, or None."""
    return None if recipe.real is None else read_coco(recipe.path(recipe.real.annotations))


def real_boxes(recipe: Recipe) -> dict[str, Boxes]:
    """Real boxes of the classes that the recipe's target, or one of a variant, is to match; none without a target."""
    coco = read_real(recipe)
    if coco is None:
        return {}
    names: dict[str, None] = {}
    for one in variants_of(recipe):
        for use in one.plugins.get("target", ()):
            names |= dict.fromkeys(getattr(use.plugin, "classes", None) or [c.name for c in recipe.classes])
    return {name: coco.boxes(name) for name in names}


def _add_seen(seen: list[list[Any]], record: Mapping[str, Any]) -> None:
    """Add the traits of an accepted frame to those of its block."""
    if "gate" in record:
        seen.append(record["gate"]["traits"])


def add_shown(shown: dict[str, list[float]], record: Mapping[str, Any]) -> None:
    """Add the relative areas of a record's annotated boxes to those that its block has shown."""
    if record["verdict"] == GIVEN_UP:
        return
    pixels = record["image"]["width"] * record["image"]["height"]
    for row in record["instances"]:
        if row["annotated"] or row.get("reason") == FILTERED:
            shown.setdefault(row["class"], []).append(row["bbox"][2] * row["bbox"][3] / pixels)


def _hopeless(record: Mapping[str, Any], frames: int) -> StageError:
    reasons = ", ".join(f"{reason} ({n})" for reason, n in Counter(record["rejected"]).most_common(4))
    goal = record["goals"]
    aim = f" with a goal of {goal['area']:.2%} of the image for a {goal['class_name']}" if goal else ""
    return StageError(
        f"None of the first {frames} frames could be made. Frame {record['frame']}{aim} failed {record['attempts']} "
        f"attempts: {reasons}. Loosen the plugin named there, or raise 'max_attempts' in [render], and render into "
        "another output folder."
    )


def _without_images(text: str) -> str:
    """A recipe without its number of images, which stands above the first table."""
    lines = text.splitlines()
    tables = next((k for k, line in enumerate(lines) if line.startswith("[")), len(lines))
    return "\n".join(line for k, line in enumerate(lines) if k >= tables or not line.startswith("images ="))

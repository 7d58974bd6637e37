# SPDX-License-Identifier: GPL-3.0-or-later
"""A job renders a recipe to a dataset on disk, frame by frame; it is resumable and yields progress events."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import attrs

from ... import __version__
from ...engine.block import Block
from ...engine.errors import DataError, OutputError, StageError
from ...engine.events import Event, Finished, FrameDone, ShareDone, Started, Stepped
from ...engine.plugin.hooks import defines
from ...engine.recipe.reading import load_recipe
from ...engine.recipe.settings import Recipe
from ...engine.regular_files import real_path
from ...engine.sampling.frame import Frame
from ...engine.sampling.rooms import by_room, unused_room_notes
from ...engine.scene.extreme_exposure import exposure_sentences
from ...engine.sequences.groups import groups_of
from ..analysis.goal_progress import GoalTally
from ..analysis.real_boxes import real_boxes, real_images
from ..atomic_files import json_bytes
from ..checksums import FILE as CHECKSUMS
from ..checksums import changed_files, file_problem, has_text_checksum, write_list
from ..formats.coco_in_memory import CocoInMemory
from ..formats.dataset_folder import INSTANCES
from ..report.job_report import wants_report, write_job_report
from ..store.dataset_files import recipe_writers
from ..store.disk_space import disk_space_warning
from ..store.frame_record import ACCEPTED, GIVEN_UP, FrameRecord
from ..store.frames import FrameStore
from ..store.funnel import MIN_JUDGED, AttemptTally, GateTally, gate_error
from ..store.heartbeats import Heartbeat, Presence, remove_heartbeats
from ..store.inputs import FILE as INPUTS
from ..store.job_folder import HISTORY, RECIPE, STAGE, JobFolder, recipe_path
from ..store.record import add_to_block
from .drift import DriftTally
from .finish import finish
from .frame_renderer import FrameRenderer, OpenStage

log = logging.getLogger(__name__)

MAX_FAILURES = 5
"""A job stops after this many frames, or after its last one, if none was accepted."""

SUMMARY = "summary.json"

KEPT = (INPUTS, HISTORY)
"""Files of a job that are not made at its end, and hold no checksum of their own."""

VERIFIED = ("camera", "columns", "goals", "image", "instances", "bystanders", "draws")
"""Keys of a record that must be the same when its frame is rendered again, beside the hashes of its files."""


class Job:
    """Renders the frames of a recipe into a folder.

    Parameters
    ----------
    recipe : Recipe
    out : Path
        Output folder. Existing frames of the same recipe are kept, so a stopped job resumes.
    open_stage : callable
        Opens the recipe's scene, ``twinset.blender.stage.open_stage`` for one; called only when a frame is missing.
    """

    def __init__(self, recipe: Recipe, out: Path, open_stage: OpenStage) -> None:
        self.recipe = recipe
        self.out = real_path(out)
        self._store = FrameStore(self.out)
        self._folder = JobFolder(recipe, self._store)
        self._renderer = FrameRenderer(recipe, self._store, self._folder, open_stage, self.claim)
        self._presence = Presence(self.out)
        self._is_claimed = False

    def run(self, frames: range | None = None) -> Iterator[Event]:
        """Render missing frames, then write annotations; after a part of the frames, :meth:`finish` does that.

        Parameters
        ----------
        frames : range, optional
            Frames to render; default is all of the recipe. Earlier frames of their first block are rendered too where
            they are missing, because later frames of a block depend on them.

        Raises
        ------
        TwinsetError
            Errors that the user can correct; frames rendered so far are kept.
        """
        with self._presence:
            yield from self._run(frames)

    def _run(self, frames: range | None) -> Iterator[Event]:
        real = real_boxes(self.recipe)
        wanted, missing = self.begin(frames)
        notes: list[str] = []
        # Without its stage file, a folder could not be finished on a machine without the real data.
        if missing or (wanted and (file_problem(self.out / STAGE) or self._folder.lacks_models)):
            earlier = sorted(missing - set(wanted if frames is None else frames))
            if earlier:
                notes.append(
                    f"Frames {earlier[0]} to {earlier[-1]} are rendered, too: later frames of a block of "
                    f"{self.recipe.render.block_size} depend on them."
                )
            if not self._renderer.is_open:
                yield from self._renderer.open(real)
            yield from self._renderer.enter_room(min(missing or wanted, key=by_room(self.recipe)))
            self.claim()
            sampler = self._renderer.sampler
            notes += [] if len(wanted) < self.recipe.images else unused_room_notes(self.recipe)
            notes += dict.fromkeys(note for target in sampler.targets for note in target.notes())
            notes += dict.fromkeys(note for report in sampler.gates.report() for note in report.get("notes", ()))
            self._renderer.write_stage_file()
        yield Started(len(wanted), len(wanted) - len(missing), tuple(notes))
        with Heartbeat(self.out, wanted) as pulse:
            self._presence.end()
            for event in self._frames(wanted, missing):
                if isinstance(event, FrameDone) and not event.resumed:
                    pulse.beat()
                yield event
        self._folder.keep()
        if self._renderer.is_open and not (self.out / STAGE).exists():
            self._renderer.write_stage_file()
        if len(wanted) < self.recipe.images:
            # Otherwise all workers of a farm would write the same annotations, again and again.
            yield ShareDone(self.out, wanted.start, wanted.stop - 1)
            return
        yield from self._finish()

    def begin(self, frames: range | None = None) -> tuple[range, set[int]]:
        """Check the folder for this job; the frames that ``frames`` depend on, and those of them that are missing.

        A folder that does not exist is only created once the scene is open. A job that cannot start so leaves nothing
        behind, and never has to remove a folder in which another share of the job may already be at work.
        """
        asked = range(self.recipe.images) if frames is None else frames
        wanted = range(asked.start - asked.start % self.recipe.render.block_size, asked.stop)
        self._is_claimed = False
        if self.out.exists():
            self.claim()
        else:
            self._store.check_place()
        missing = set(self._store.missing(wanted))
        warning = disk_space_warning(self._store, self.recipe.output, len(missing)) if missing else ""
        if warning:
            log.warning("%s", warning)
        return wanted, missing

    @property
    def recipe_text(self) -> str:
        """The resolved recipe as TOML, with absolute paths, for other processes that take part in this job."""
        return self._folder.recipe_text

    def claim(self) -> None:
        """Prepare the folder, and make it that of this job, or check that it is."""
        if not self._is_claimed:
            self._store.prepare()
            self._presence.show()
            self._folder.claim()
            self._is_claimed = True

    def withdraw(self, pids: Iterable[int]) -> None:
        """Remove the folder of a job that made it and has no frame, unless anybody but these processes uses it."""
        self._folder.withdraw(pids)

    def finish(self) -> Finished:
        """Rebuild annotations and previews from the records, which may have been copied from several folders."""
        *_, finished = self._finish()
        assert isinstance(finished, Finished)
        return finished

    def _finish(self) -> Iterator[Event]:
        yield Stepped("Writing annotations")
        finished, in_memory, written = self._annotate()
        if wants_report(self.recipe, self._store):
            yield Stepped("Comparing with the real dataset")
            finished = attrs.evolve(finished, report=write_job_report(self.recipe, self.out, in_memory))
        written += [finished.report] if finished.report is not None else []
        write_list(self.out, written, kept=[self.out / name for name in KEPT])
        for name, clause in dict([*changed_files(self.out), *self._folder.problems()]).items():
            if name != RECIPE:  # said when it was read
                log.warning("'%s' %s. `twinset render` writes it again.", self.out / name, clause)
        yield finished

    def _annotate(self) -> tuple[Finished, CocoInMemory | None, list[Path]]:
        recipe = self.recipe
        metrics = [use.plugin for use in recipe.plugins["metric"]]
        tally, goals, drift = AttemptTally(), GoalTally(), DriftTally()

        def watch(record: FrameRecord) -> None:
            tally.add(record)
            goals.add(record)
            drift.add(record)

        summary = finish(
            self.out,
            categories=self._renderer.categories(),
            info={"description": "Rendered by Twinset", "version": __version__},
            writers=recipe_writers(recipe),
            read_real=partial(real_images, recipe),
            complete=[m.dataset_columns for m in metrics if defines(m, "dataset_columns")],
            summarise=[m.dataset_summary for m in metrics if defines(m, "dataset_summary")],
            watch=watch,
        )
        for note in summary.notes:
            log.warning("%s", note)
        funnel = tally.funnel(self._folder.gate().get("report", ()))
        funnel = attrs.evolve(funnel, goals=goals.summary(recipe), drift=drift.summary())
        for sentence in exposure_sentences(funnel.exposure, funnel.accepted):
            log.warning("%s", sentence)
        absent = sorted(set(range(recipe.images)) - set(self._store.frames()) | set(summary.left_out))
        if not absent:
            remove_heartbeats(self.out)
        contents = {
            "images": summary.images,
            "annotations": summary.annotations,
            "classes": summary.classes,
            **({"parts": summary.parts} if summary.parts else {}),
            "funnel": {k: v for k, v in attrs.asdict(funnel).items() if k not in ("exposure", "drift") or v},
            "metrics": summary.metrics,
        }
        self._store.write_text(SUMMARY, json_bytes(contents).decode())
        sheet = summary.contact_sheet
        finished = Finished(self.out, summary.images, summary.annotations, funnel, sheet, absent=tuple(absent))
        made = [path for paths in summary.written.values() for path in paths]
        made += [path for path in (summary.table, sheet, self.out / SUMMARY) if path is not None]
        made += self._folder.models()
        return finished, summary.in_memory, made

    def replay(self, frame: int) -> Path:
        """Render one recorded frame again, by its accepted attempt alone.

        Returns
        -------
        Path
            The new image, ``replay/000123.jpg`` in the output folder.
        """
        result = self._again(frame)
        target = FrameStore(self.out / "replay")
        target.prepare()
        image = self._renderer.write(target, result)
        assert image is not None
        return image

    def verify(self, frame: int) -> str:
        """Render a recorded frame again and compare it with what is recorded.

        Returns
        -------
        str
            What differs; "" if image, maps, camera, instances and labels are bit-identical.
        """
        recorded = self._store.read(frame)
        try:
            result = self._again(frame)
        except StageError as error:
            return str(error)
        with tempfile.TemporaryDirectory(dir=self.out, prefix=".verify-") as folder:
            store = FrameStore(Path(folder))
            self._renderer.write(store, result)
            again = store.read(frame)
        hashes = {kind: entry["sha256"] for kind, entry in recorded["files"].items()}
        changed = [kind for kind, entry in again["files"].items() if hashes.get(kind) != entry["sha256"]]
        changed += [key for key in VERIFIED if recorded.get(key) != again.get(key)]
        return f"Frame {frame} differs from its record: {', '.join(changed)}." if changed else ""

    def checksums(self) -> Iterator[tuple[int, int, int, str]]:
        """Read every file of every frame; yields how many are done, of how many, the frame, and its state.

        States are ``accepted``, ``given up``, ``filtered``, and ``damaged`` if a file differs from what was written.
        """
        frames = self._store.frames()
        for done, frame in enumerate(frames, 1):
            try:
                record = self._store.read(frame)
                state = record["verdict"] if self._store.intact(record) else "damaged"
            except DataError:
                state = "damaged"
            yield done, len(frames), frame, state

    def changed_files(self) -> list[tuple[str, str]]:
        """Files other than those of frames that are not as they were written, each with a clause on what is wrong.

        Folders of earlier releases have no checksums of such files.
        """
        problems = self._folder.problems()
        has_list = (self.out / CHECKSUMS).is_file()
        if has_list:
            problems += [(name, clause) for name, clause in changed_files(self.out) if name not in dict(problems)]
        elif (self.out / INSTANCES).is_file() and has_text_checksum(self.out / RECIPE):
            problems.append((CHECKSUMS, "is missing"))
        return problems

    def _again(self, frame: int) -> Frame:
        """Sample a recorded frame again, only its accepted attempt; raises StageError if that is now rejected."""
        record = self._store.read(frame)
        if record["verdict"] == GIVEN_UP:
            raise StageError(f"Frame {frame} was given up after {record['attempts']} attempts, so it has no image.")
        start = frame - frame % self.recipe.render.block_size
        absent = self._store.missing(range(start, frame), verify=False)
        if absent:
            raise OutputError(f"Frame {frame} depends on frame {absent[0]} of its block, which has no record.")
        block = Block()
        for earlier in range(start, frame):
            add_to_block(block, self._store.read(earlier))
        if not self._renderer.is_open:
            for _ in self._renderer.open(real_boxes(self.recipe)):
                pass
        attempt = record["attempts"] - 1
        result = self._renderer.sampler.frame(frame, block, attempts=range(attempt, attempt + 1))
        if result.shot is None:
            raise StageError(
                f"Frame {frame} cannot be reproduced: its accepted attempt is now rejected ({result.rejected[0]}). "
                "The scene, models or program have changed since it was rendered."
            )
        return result

    def _frames(self, wanted: range, missing: set[int]) -> Iterator[Event]:
        block = Block()
        gated = GateTally()
        accepted = rejected = 0
        is_share = len(wanted) < self.recipe.images
        size = groups_of(self.recipe).size  # frames of a sequence fail together
        hopeless = MAX_FAILURES * size if is_share else min(MAX_FAILURES * size, self.recipe.images)
        frames = sorted(wanted, key=by_room(self.recipe)) if self.recipe.rooms else wanted
        for done, frame in enumerate(frames, 1):
            if frame % self.recipe.render.block_size == 0:
                block = Block()
            image: Path | None = None
            if frame in missing:
                yield from self._renderer.enter_room(frame)
                image = self._renderer.render(frame, block)
            record = self._store.read(frame)
            add_to_block(block, record)
            gated.add(record)
            rejected += len(record["rejected"])
            accepted += record["verdict"] != GIVEN_UP
            if frame not in missing and record["verdict"] == ACCEPTED:
                image = self._store.image_path(record)
            yield FrameDone(frame, done, len(wanted), image, record["attempts"], resumed=frame not in missing)
            gates = self._renderer.sampler.gates if self._renderer.is_open else None
            if gates is not None and gated.judged >= MIN_JUDGED and gated.passed < gates.floor * gated.judged:
                raise gate_error(gated, gates.report(), self.out)
            # Another part of the job may have accepted frames.
            if done == hopeless and not accepted and not (is_share and self._store.images()):
                if gates is not None and 2 * gated.judged > rejected:
                    raise gate_error(gated, gates.report(), self.out)
                raise _no_frame_error(self._store.read(frame - frame % size), done)


def open_job(out: Path, open_stage: OpenStage) -> Job:
    """The job that an output folder belongs to, from the recipe kept in it."""
    path = recipe_path(out)
    # Annotations can be rebuilt on machines with the records but without the models.
    return Job(load_recipe(path, check_files=False), out, open_stage)


def _no_frame_error(record: FrameRecord, frames: int) -> StageError:
    reasons = ", ".join(f"{reason} ({n})" for reason, n in Counter(record["rejected"]).most_common(4))
    goal = record["goals"]
    aim = f" with a goal of {goal['area']:.2%} of the image for a {goal['class_name']}" if goal else ""
    return StageError(
        f"None of the first {frames} frames could be made. Frame {record['frame']}{aim} failed {record['attempts']} "
        f"attempts: {reasons}. Relax the named plugin, or increase 'max_attempts' in [render], and render into "
        "another output folder."
    )

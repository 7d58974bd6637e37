# SPDX-License-Identifier: GPL-3.0-or-later
"""Output folders whose files are fuzzed: what all commands make of them that read such folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from mutations import Subject
from twinset.alignment.features.density import fit_density
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.analysis.augment import augment
from twinset.dataset.analysis.measure import measure
from twinset.dataset.atomic_files import json_bytes
from twinset.dataset.formats.dataset_folder import read_dataset
from twinset.dataset.jobs.configuration_probes import Prober
from twinset.dataset.jobs.job import Job, open_job
from twinset.dataset.jobs.subset import SubsetChanges, write_subset
from twinset.dataset.jobs.tuned_recipe import probed_sample
from twinset.dataset.report.provenance import funnel, provenance
from twinset.dataset.report.report_dataset import read_report_dataset
from twinset.dataset.store.frames import FrameStore, append_checksum
from twinset.dataset.store.status import status_of
from twinset.engine.block import Block
from twinset.engine.errors import TwinsetError
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.sampling.rooms import Rooms
from twinset.engine.sampling.sampler import Sampler
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.models import pixel_model

RICH = """
seed = 4
images = 4
[split]
val = 0.5
[[room]]
name = "hall"
builtin = "hall"
[[room]]
builtin = "hall"
[[class]]
name = "chair"
models = ["stool.gltf"]
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [1, 2]
[[camera]]
plugin = "orbit"
distance = [1.2, 2.0]
[[metric]]
plugin = "shape"
[[metric]]
plugin = "depth"
[[filter]]
plugin = "feature_score"
features = "own.features"
model = "pixels.onnx"
min_box_side = 5
draft = true
draft_scale = 0.1
warm_up = 10
near_duplicate_distance = 0.2
threshold = 0.5
[[goal]]
column = "depth"
quantiles = [0.8, 1.2, 1.5, 1.8, 2.5]
[render]
block_size = 1
max_attempts = 30
[output]
width = 64
height = 48
format = "png"
"""


class Linked(BruteStage):
    """A stage whose scene refers to files, one of them missing."""

    links: tuple[Path, ...] = ()


def stage_of(recipe: Recipe) -> Any:
    stools = [asset("stool", "chair", box((0.4, 0.4, 0.45))), asset("high stool", "chair", box((0.35, 0.35, 0.7)))]
    stage = Linked({"Floor": plane((6.0, 6.0))}, stools, resolution=(recipe.output.width, recipe.output.height))
    stage.links = (recipe.folder / "stool.gltf", recipe.folder / "real.json", recipe.folder / "gone.png")
    return stage


def rooms_of(recipe: Recipe) -> Any:
    return Rooms(recipe, stage_of)


@attrs.frozen
class FuzzedJob:
    """A whole output folder, and how its stage is opened."""

    out: Path
    open_stage: Callable[[Recipe], Any]

    @property
    def folder(self) -> Path:
        return self.out.parent

    def subject(self, name: str, valid: bytes = b"") -> Subject:
        """What becomes of a file of the folder; a valid one is the one there, if not given."""
        valid = valid or (self.out / name).read_bytes()
        if name.startswith(("frames", "gate")):
            valid = valid[: valid.rindex(b',"sha256":')] + b"}\n"
        return Subject("toml" if name.endswith("toml") else "json", valid, partial(self.use, name))

    def use(self, name: str, data: bytes) -> None:
        """Put a file into the folder and let all look at it that read such folders; each may refuse it."""
        out, new = self.folder / "fuzzed", self.folder / "new"
        for folder in (out, new):  # other tests leave them behind
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.out, out, copy_function=os.link)
        path = out / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if name.startswith(("frames", "gate")) and data.rstrip().endswith(b"}"):
            data = append_checksum(data)
        path.write_bytes(data)
        before = {p for p in self.folder.iterdir() if p != out}
        refusals = []
        for look in self.looks(out, new):
            try:
                look()
            except TwinsetError as error:
                refusals.append(error)
            shutil.rmtree(new, ignore_errors=True)
        assert {p for p in self.folder.iterdir() if p != out} == before
        if refusals:
            raise refusals[0]

    def looks(self, out: Path, new: Path) -> Iterator[Callable[[], Any]]:
        yield lambda: status_of(out).sentence()
        yield lambda: list(open_job(out, self.open_stage).checksums())
        # What reads annotations comes before they are written anew.
        yield lambda: _report(out)
        yield lambda: measure(read_dataset(out), out / "images", workers=1)
        if self.open_stage is rooms_of:
            yield lambda: read_dataset(out / "annotations/instances_train.json")
        yield lambda: _thin(out, new)
        if self.open_stage is not rooms_of:  # of several rooms there is nothing to be augmented
            yield lambda: _augment(out)
        yield lambda: open_job(out, self.open_stage).finish()
        yield lambda: open_job(out, self.open_stage).verify(2)
        yield lambda: list(open_job(out, self.open_stage).run(range(3)))


def _report(out: Path) -> None:
    material = read_report_dataset(out)
    funnel(material)
    provenance(material, material)


def _thin(out: Path, new: Path) -> None:
    coco = read_dataset(out)
    first = coco.images[0]["id"] if coco.images else 0
    write_subset(coco, out / "images", new, SubsetChanges(without=frozenset({first})), {"command": "filter"})


def _augment(out: Path) -> None:
    recipe = load_recipe(out / "recipe.toml", check_files=False)
    augment(FrameStore(out), [1, 0], 2, recipe, out / "best.frames.json")


def plain_job(folder: Path) -> FuzzedJob:
    """The job of the recipe in a folder."""
    list(Job(load_recipe(folder / "r.toml"), folder / "out", stage_of).run())
    return FuzzedJob(folder / "out", stage_of)


def rich_job(folder: Path) -> FuzzedJob:
    """A job with rooms, parts, a goal for a column, and a gate that has learned and sees drafts."""
    (folder / "rich.toml").write_text(RICH[: RICH.index("[[filter]]")] + RICH[RICH.index("[[goal]]") :])
    extractor = Extractor(pixel_model(folder / "pixels.onnx"))
    recipe = load_recipe(folder / "rich.toml")
    single = attrs.evolve(recipe, rooms=(), scene=recipe.rooms[0].scene, split=type(recipe.split)(), goals=())
    sampler, vectors = Sampler(single, stage_of(single), {}), []
    for index in range(100, 112):
        frame = sampler.frame(index, Block())
        assert frame.shot is not None
        boxes = [row["bbox"] for row in frame.rows if row["annotated"]]
        vectors.append(extractor.extract_boxes(frame.shot.image, boxes).reshape(-1, 192))
    origin = {"model": extractor.sha256, "class": "chair", "margin": 0.1}
    (folder / "own.features").write_bytes(fit_density(np.concatenate(vectors), origin=origin).to_bytes())
    (folder / "rich.toml").write_text(RICH)
    list(Job(load_recipe(folder / "rich.toml"), folder / "rich", rooms_of).run())
    return FuzzedJob(folder / "rich", rooms_of)


def of_jobs(folder: Path) -> dict[str, Subject]:
    """The files of output folders."""
    plain, rich = plain_job(folder), rich_job(folder)
    made = {
        f"job {Path(name).parts[0]}": plain.subject(name)
        for name in ("frames/000001.json", "recipe.toml", "stage.json", "inputs.json", "summary.json")
    }
    pulse = {"host": "h", "pid": 7, "first": 0, "last": 2, "done": 1, "seconds": 1.5, "error": ""}
    made["job worker"] = plain.subject("workers/h-7.json", json_bytes(pulse))
    steps = {"steps": [{"command": "filter", "sha256": "0", "dropped": [1, 2]}]}
    made["job history"] = plain.subject("curation.json", json_bytes(steps))
    for name in ("frames/000001.json", "stage.json", "inputs.json", "gate.json", "summary.json"):
        made[f"job rich {Path(name).parts[0]}"] = rich.subject(name)
    for part in ("", "_train"):
        made[f"job annotations{part}"] = rich.subject(f"annotations/instances{part}.json")
    made["job chosen frames"] = of_chosen_frames(plain)
    made["job probes"] = of_probes(plain)
    return made


def of_chosen_frames(job: FuzzedJob) -> Subject:
    """The frames that ``augment`` writes, which plugins of its recipe read."""
    path = job.folder / "best.frames.json"
    found = augment(FrameStore(job.out), [1, 0], 2, load_recipe(job.out / "recipe.toml"), path)
    recipe = attrs.evolve(found.recipe, images=1)

    def use(data: bytes) -> None:
        path.write_bytes(data)
        shutil.rmtree(job.folder / "new", ignore_errors=True)
        list(Job(recipe, job.folder / "new", stage_of).run())

    return Subject("json", found.frames_file, use)


def of_probes(job: FuzzedJob) -> Subject:
    """What ``tune`` remembers of its probes."""
    path = job.folder / "probes" / "r.json"
    path.parent.mkdir()
    recipe = attrs.evolve(load_recipe(job.folder / "r.toml"), variants=())

    def use(data: bytes) -> None:
        path.unlink(missing_ok=True)
        if data:
            path.write_bytes(data)
        prober = Prober(recipe, stage_of, {}, memory=path)
        list(prober.run([{}], 2))
        probed_sample(prober.results[0], "chair", "bbox_area")

    use(b"")
    return Subject("json", path.read_bytes(), use)

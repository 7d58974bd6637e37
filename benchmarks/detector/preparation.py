# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the datasets of the arms, and makes those that are subsets of others, with the product's own commands."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from twinset.dataset.atomic_files import json_bytes, write_atomic
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.formats.dataset_folder import INSTANCES, open_dataset
from twinset.engine.errors import DataError

from .arms import Arm, FittedFile, by_fold, dataset, needed
from .domains import FOLDS, ROOT, Domain, Photo, data_folder, load_domain
from .runs import Run, detections_on_known


@attrs.frozen
class Plan:
    """What to prepare: arms of a domain, for one render, with the number of images (0: as the recipes say)."""

    arms: Mapping[str, Arm]
    domain: Domain
    out: Path
    render: int
    images: int = 0
    workers: int = 1

    def prepare(self, arm: Arm) -> None:
        """Make the datasets of an arm, and those that it is made from. What is done stays."""
        for name in needed(arm):
            self.prepare(self.arms[name])
        if arm.real or arm.merge:
            return
        for fold in range(FOLDS) if by_fold(arm, self.arms) else (None,):
            folder = self._folder(arm.name, fold)
            done = folder.with_suffix(".done")
            if not done.is_file():
                self._make(arm, folder, fold)
                write_atomic(done, b"")

    def _folder(self, name: str, fold: int | None) -> Path:
        place = dataset(self.arms[name], self.arms, self.out, self.domain.name, self.render)
        return Path(place.replace("{fold}", str(fold)))

    def _make(self, arm: Arm, folder: Path, fold: int | None) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if arm.recipe:
            images = ["--images", str(self.images)] if self.images else []
            options = ["-o", str(folder), "--workers", str(self.workers), *images]
            variables: dict[str, str] = {}
            for variable, file in arm.files.items():
                variables[variable] = str(self._fitted(file, fold, variables))
            _twinset(["render", str(self._recipe(arm, fold)), *options], variables)
        elif arm.like:
            random_subset(self._folder(arm.of, fold), self._folder(arm.like, fold), folder, self.render)
        elif folder.exists():
            raise DataError(f"'{folder}' is unfinished. Delete it.")
        else:
            _twinset(self._filled(arm.command, fold, folder, source=self._folder(arm.of, fold)))

    def _fitted(self, file: FittedFile, fold: int | None, variables: Mapping[str, str]) -> Path:
        """A file or folder that a recipe needs; made, with those before it in ``variables``, if it is not there."""
        of = "all" if fold is None else f"fold{fold}"
        path = self.out / "fitted" / self.domain.name / f"{of}-render{self.render}" / file.name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            others = {file.needs: self._folder(file.needs, fold)} if file.needs else {}
            if file.detections_of and fold is not None:
                others["base"] = self._recipe(self.arms[file.detections_of], fold)
                others["detections"] = self._detections(file.detections_of, fold, path.with_suffix(".detections.json"))
            _twinset(self._filled(file.command, fold, path, **others), variables)
        return path

    def _detections(self, arm: str, fold: int, path: Path) -> Path:
        """Write what an arm's first detector finds on the photos that may be known."""
        of_fold = fold if by_fold(self.arms[arm], self.arms) else None
        result = Run(arm, self.domain.name, "anchor-free", (), 0, self.render, of_fold).path(self.out)
        if not result.is_file():
            raise DataError(f"'{result}' is missing. Train arm {self.arms[arm].number} ({arm}) with seed 0 first.")
        found = detections_on_known(json.loads(result.read_text("utf-8")), self.domain, fold)
        write_predictions(path, found, self.real(fold)[0], self.domain.classes)
        return path

    def _filled(self, command: str, fold: int | None, out: Path, **others: Path) -> list[str]:
        """The words of a command with paths in place of names."""
        real, images = self.real(fold)
        put = {"out": out, "real": real, "images": images, "recipes": self._recipes(), **others}
        return [part.format(**put) for part in shlex.split(command)]

    def _recipes(self) -> Path:
        return ROOT / "examples" / "proof" / self.domain.name

    def _recipe(self, arm: Arm, fold: int | None) -> Path:
        """A recipe that changes the arm's in its seed, and in its real photos if those are a fold's.

        A recipe that learns from detections has chosen real boxes itself.
        """
        base = self._recipes() / f"{arm.recipe}.toml"
        if not base.is_file():
            raise DataError(f"Arm {arm.number} ({arm.name}) has no recipe for {self.domain.name}: '{base}' is missing.")
        lines = [f"extends = {json.dumps(str(base))}", f"seed = {self.render + arm.seed}"]
        if fold is not None and not any(file.detections_of for file in arm.files.values()):
            real, images = self.real(fold)
            lines += ["[real]", f"annotations = {json.dumps(str(real))}", f"images = {json.dumps(str(images))}"]
        name = arm.name if fold is None else f"{arm.name}-fold{fold}"
        path = self.out / "recipes" / self.domain.name / f"{name}-render{self.render}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, "\n".join([*lines, ""]).encode())
        return path

    def real(self, fold: int | None) -> tuple[Path, Path]:
        """The COCO file of the photos that may be known when a fold is tested, and their folder."""
        chosen = self.domain.photos if fold is None else self.domain.training_photos(fold)
        path = self.out / "real" / f"{self.domain.name}{'' if fold is None else f'-fold{fold}'}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_real(path, chosen, self.domain.sets)
        return path, data_folder() / "images"


def write_real(path: Path, photos: Sequence[Photo], sets: Sequence[tuple[Path, Path]]) -> None:
    """Write photos of COCO files as one, with all their annotations; file names start from the folder of all images."""
    wanted = {photo.path: photo.number for photo in photos}
    categories: dict[str, dict[str, Any]] = {}
    images, annotations = [], []
    for file, folder in sets:
        coco = read_coco(file)
        for category in coco.categories:
            categories.setdefault(category["name"], {**category, "id": len(categories) + 1})
        number = {i["id"]: wanted[folder / i["file_name"]] for i in coco.images if folder / i["file_name"] in wanted}
        name = {c["id"]: c["name"] for c in coco.categories}
        for image in coco.images:
            if image["id"] in number:
                place = (folder / image["file_name"]).relative_to(data_folder() / "images").as_posix()
                images.append({**image, "id": number[image["id"]], "file_name": place})
        for a in coco.annotations:
            if a["image_id"] in number:
                category = categories[name[a["category_id"]]]["id"]
                held = {"id": len(annotations) + 1, "image_id": number[a["image_id"]], "category_id": category}
                annotations.append({**a, **held})
    entries = {"images": images, "annotations": annotations, "categories": list(categories.values())}
    write_atomic(path, json_bytes(entries))


def write_predictions(path: Path, found: Sequence[Mapping[str, Any]], real: Path, classes: Sequence[str]) -> None:
    """Write detections, see :func:`.testing.detections`, with the categories of the COCO file of these photos."""
    ids = {c["name"]: c["id"] for c in json.loads(real.read_text("utf-8"))["categories"]}
    write_atomic(path, json_bytes([{**d, "category_id": ids[classes[d["category_id"] - 1]]} for d in found]))


def random_subset(source: Path, like: Path, folder: Path, seed: int) -> None:
    """Make a dataset of as many images of ``source`` as ``like`` has, drawn at random; the files are shared."""
    whole, wanted = open_dataset(source), len(open_dataset(like).coco.images)
    drawn = np.random.default_rng([seed, 9]).permutation(len(whole.coco.images))[:wanted]
    images = [whole.coco.images[i] for i in sorted(drawn)]
    kept = {image["id"] for image in images}
    for image in images:
        file = folder / "images" / image["file_name"]
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            os.link(whole.images / image["file_name"], file)
    entries = {
        "images": images,
        "annotations": [a for a in whole.coco.annotations if a["image_id"] in kept],
        "categories": whole.coco.categories,
    }
    (folder / "annotations").mkdir(exist_ok=True)
    write_atomic(folder / INSTANCES, json_bytes(entries))


def _twinset(arguments: list[str], variables: Mapping[str, str] | None = None) -> None:
    """Run a command of the product; its errors are its own."""
    print(f"twinset {shlex.join(arguments)}", file=sys.stderr, flush=True)
    program = Path(sys.executable).with_name("twinset")
    environment = {**os.environ, "TWINSET_DATA": str(data_folder()), **(variables or {})}
    code = subprocess.run([str(program), *arguments], env=environment, check=False).returncode
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise DataError(f"`twinset {arguments[0]}` ended with exit code {code}; see above.")


def plan(arms: Mapping[str, Arm], domain: str, out: Path, render: int, images: int, workers: int) -> Plan:
    """A plan for a domain by name."""
    return Plan(arms, load_domain(domain), out, render, images, workers)

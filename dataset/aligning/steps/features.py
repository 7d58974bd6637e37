# SPDX-License-Identifier: GPL-3.0-or-later
"""Learns what the real boxes look like to a vision model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ....engine.errors import DataError
from ...analysis.feature_scores import learn_class
from ...atomic_files import write_atomic
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, Step

FOLDER = "features"


class Features(Step):
    """A file of features for each class."""

    name = "features"
    title = "Learn what real boxes look like"
    needs_photos = True
    is_derived = True

    def inputs(self, work: Workspace) -> dict[str, str]:
        return {
            "the photos": work.exposed_fingerprint,
            "--class": ", ".join(work.classes),
            "--model": fingerprints.of_model(work.options.model),
        }

    def run(self, work: Workspace) -> Result:
        extractor = work.extractor()
        files: dict[str, Any] = {}
        refused: dict[str, str] = {}
        photos = work.exposed_photos
        stems = _file_stems(work.classes)
        for done, name in enumerate(work.classes):
            work.progress("Learning features of real boxes", done, len(work.classes))
            try:
                density, found = learn_class(photos.coco, photos.images, name, extractor)
            except DataError as error:
                refused[name] = str(error)
                continue
            path = work.out / FOLDER / f"{stems[name]}.features"
            write_atomic(path, density.to_bytes())
            files[name] = {"file": path.relative_to(work.out).as_posix(), "boxes": len(found.features)}
        return {"files": files, "refused": refused}

    def outputs(self, work: Workspace, result: Result) -> Sequence[Path]:
        return [work.out / one["file"] for one in result["files"].values()]

    def apply(self, work: Workspace, result: Result) -> None:
        work.features = tuple(work.out / one["file"] for one in result["files"].values())

    def sentences(self, result: Result) -> list[str]:
        lines = [f"{one['boxes']} real boxes of {name} in {one['file']}." for name, one in result["files"].items()]
        return lines + [f"No features of {name}: {text}" for name, text in result["refused"].items()]


def _file_stems(names: Iterable[str]) -> dict[str, str]:
    """A name of a file for each class; no two are the same, also where case does not count."""
    stems: dict[str, str] = {}
    for name in names:
        stem = base = re.sub(r"[^\w-]+", "_", name)
        number = 2
        while stem.lower() in (other.lower() for other in stems.values()):
            stem, number = f"{base}_{number}", number + 1
        stems[name] = stem
    return stems

# SPDX-License-Identifier: GPL-3.0-or-later
"""Divides the real photos: everything is fitted to the exposed ones, and gains are measured on the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....engine.errors import DataError
from ...analysis.image_groups import ImageGroups, group_images
from ...analysis.real_split import box_counts, part_of, split_images
from ...formats.coco import read_coco, write_coco
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, Step

EXPOSED = Path("photos") / "exposed.json"
TEST = Path("photos") / "test.json"
MIN_TEST_BOXES = 10
"""A class with fewer held-out boxes is not measured."""
MIN_EXPOSED_BOXES = 20
"""Photos are only held out if so many boxes of a measured class are left to fit to."""


class Photos(Step):
    """The exposed and the held-out photos."""

    name = "split"
    title = "Hold photos out"

    def inputs(self, work: Workspace) -> dict[str, str]:
        return {
            **fingerprints.of_photos(work.real, work.photos),
            "--class": ", ".join(work.classes),
            "--test": "0" if self.name in work.options.skip else f"{work.options.test_share:g}",
            "--seed": str(work.options.seed),
        }

    def run(self, work: Workspace) -> Result:
        reason, test = "it was skipped", np.zeros(len(work.real.images), bool)
        groups = None
        if self.name not in work.options.skip:
            groups = self._groups(work)
            reason, test = _chosen(work, groups)
        whole = not test.any()
        write_coco(work.out / EXPOSED, part_of(work.real, ~test))
        if not whole:
            write_coco(work.out / TEST, part_of(work.real, test))
        counts = box_counts(work.real, ~test if whole else test)
        return {
            "held_out": not whole,
            "reason": reason,
            "groups": None if groups is None else groups.count,
            "images": {"exposed": int((~test).sum()), "test": int(test.sum())},
            "boxes": {name: box_counts(work.real, ~test)[name] for name in work.classes},
            "test_boxes": {name: 0 if whole else counts[name] for name in work.classes},
            "test_classes": [name for name in work.classes if whole or counts[name] >= MIN_TEST_BOXES],
        }

    def outputs(self, work: Workspace, result: Result) -> Sequence[Path]:
        return [work.out / EXPOSED, *([work.out / TEST] if result.get("held_out") else [])]

    def apply(self, work: Workspace, result: Result) -> None:
        work.exposed = read_coco(work.out / EXPOSED)
        work.test = read_coco(work.out / TEST) if result["held_out"] else None
        work.test_classes = tuple(result["test_classes"])
        work.with_real(work.out / EXPOSED)

    def sentences(self, result: Result) -> list[str]:
        images, boxes = result["images"], result["boxes"]
        listed = ", ".join(f"{count} of {name}" for name, count in boxes.items())
        if not result["held_out"]:
            return [
                f"No photo is held out: {result['reason']}. Gains are measured on the photos that the steps learn from "
                f"({images['exposed']} photos; boxes: {listed}), which flatters them."
            ]
        held = ", ".join(f"{result['test_boxes'][name]} of {name}" for name in result["test_classes"])
        text = (
            f"{images['exposed']} photos to fit to (boxes: {listed}), {images['test']} held out, on which gains are "
            f"measured (boxes: {held})."
        )
        left = [name for name in boxes if name not in result["test_classes"]]
        return [text] + (
            [f"Not measured, for fewer than {MIN_TEST_BOXES} held-out boxes: {', '.join(left)}."] if left else []
        )

    @staticmethod
    def _groups(work: Workspace) -> ImageGroups:
        names = [str(image.get("file_name") or "") for image in work.real.images]
        if not all(names):
            raise DataError(f"'{work.real.path}' has images without a 'file_name'. Add their names.")
        return group_images(
            names, work.photos, progress=lambda done, total: work.progress("Comparing photos", done, total)
        )


def _chosen(work: Workspace, groups: ImageGroups) -> tuple[str, Any]:
    """The held-out photos (n,) bool, and why there are none."""
    none = np.zeros(len(work.real.images), bool)
    try:
        test = split_images(
            work.real, groups, test_share=work.options.test_share, classes=work.classes, seed=work.options.seed
        )[0].test
    except DataError as error:
        return str(error).rstrip("."), none
    exposed, held = box_counts(work.real, ~test), box_counts(work.real, test)
    if not any(held[name] >= MIN_TEST_BOXES and exposed[name] >= MIN_EXPOSED_BOXES for name in work.classes):
        counts = ", ".join(f"{name} {exposed[name]} and {held[name]}" for name in work.classes)
        return (
            f"there are too few boxes (exposed and held out: {counts}; at least {MIN_EXPOSED_BOXES} and "
            f"{MIN_TEST_BOXES} are needed)",
            none,
        )
    return "", test

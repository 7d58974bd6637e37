# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the gain of each step, and writes the pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....engine.errors import DataError
from ...atomic_files import write_atomic
from ...report.page import make_report
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.gains import FARTHER, NEARER, measure_gains
from ..workspace.step import Result, Step

REPORT = "report.html"


class Report(Step):
    """The gains of all steps on the held-out photos, and the usual report of the last dataset."""

    name = "report"
    title = "Measure"
    is_derived = True

    def inputs(self, work: Workspace) -> dict[str, str]:
        coco = work.test or work.exposed
        assert coco is not None
        return {
            **{f"the images of '{name}'": fingerprints.of_dataset(path) for name, path in work.datasets.items()},
            "the photos": fingerprints.of_value(fingerprints.of_photos(coco, work.photos)),
            "--class": ", ".join(work.test_classes),
            "--model": fingerprints.of_model(work.options.model),
            "--seed": str(work.options.seed),
        }

    def run(self, work: Workspace) -> Result:
        if not work.datasets:
            return {"gains": None, "reason": "no image was rendered", "advice": ""}
        try:
            gains = measure_gains(work, work.datasets)
        except DataError as error:
            return {"gains": None, "reason": str(error).rstrip("."), "advice": ""}
        result = {"gains": gains, "reason": "", "advice": _advice(gains)}
        page = self._page(work)
        if page is not None:
            write_atomic(work.out / REPORT, page)
        return {**result, "page": page is not None}

    def outputs(self, work: Workspace, result: Result) -> Sequence[Path]:
        return [work.out / REPORT] if result.get("page") else []

    def sentences(self, result: Result) -> list[str]:
        if result["reason"]:
            return [f"Nothing is measured: {result['reason']}."]
        return [result["advice"]] if result["advice"] else []

    @staticmethod
    def _page(work: Workspace) -> bytes | None:
        """The report of the last dataset on the photos that gains are measured on."""
        coco = work.test or work.exposed
        assert coco is not None and work.latest is not None
        extractor = None if work.photos is None else work.extractor()
        try:
            return make_report(
                coco.path,
                work.latest,
                real_images=work.photos,
                extractor=extractor,
                seed=work.options.seed,
                workers=work.options.workers,
                progress=work.progress,
            ).html
        except DataError as error:
            work.say(f"No report of the last dataset is written. {error}")
            return None


def _advice(gains: dict[str, Any]) -> str:
    """Which dataset to train on, if a filtered one is among them."""
    measured = gains["boxes"]
    if measured is None or "filter" not in measured["datasets"]:
        return ""
    change = measured["datasets"]["filter"]["change"]
    if change == NEARER:
        return "The filtered dataset is significantly nearer to the photos: train on it."
    is_farther = change == FARTHER
    verdict = f"is {'significantly farther from' if is_farther else 'not significantly nearer to'} the photos"
    return f"The filtered dataset {verdict}: train on the whole one."

# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaves out boxes of the dataset that do not look real [Zhang2023, §5]."""

from __future__ import annotations

from ....alignment.features.curation import reject_atypical, typicality
from ...analysis.feature_scores import read_densities
from ...formats.dataset_folder import open_dataset
from ...jobs.rejected_boxes import write_without
from ...store.frames import FrameStore
from ..workspace import fingerprints
from ..workspace.folder import Workspace
from ..workspace.step import Result, Step
from .final_dataset import FOLDER as DATASET

FOLDER = "filtered"
ACTION = "drop-annotation"


class Filter(Step):
    """A dataset without boxes beyond the elbow of the scores, if the scores have one."""

    name = "filter"
    title = "Filter boxes that do not look real"
    needs = ("features", "dataset")
    needs_photos = True
    is_derived = True

    def inputs(self, work: Workspace) -> dict[str, str]:
        return {
            **fingerprints.of_files(work.out, work.features),
            "the dataset": fingerprints.of_dataset(work.out / DATASET),
        }

    def run(self, work: Workspace) -> Result:
        self.remove(work)
        if not work.features:
            return {"reason": "there are no features of real boxes", "rejected": 0, "scored": 0}
        dataset = open_dataset(work.out / DATASET)
        densities, described = read_densities(work.features)
        scores = work.score_boxes(dataset, densities)
        judged = reject_atypical(
            scores.typicality,
            scores.class_name,
            scores.image,
            {name: typicality(one.calibration, one.calibration) for name, one in densities.items()},
        )
        result = {
            "reason": "",
            "scored": int(scores.known.sum()),
            "rejected": int(judged.rejected.sum()),
            "thresholds": judged.thresholds,
        }
        if result["rejected"]:
            step = {"command": "align", "rule": "elbow", "action": ACTION, "features": described, **result}
            write_without(
                dataset,
                work.out / FOLDER,
                scores,
                judged.rejected,
                ACTION,
                step,
                progress=lambda done, total: work.progress("Writing the filtered dataset", done, total),
            )
        return result

    def is_complete(self, work: Workspace, result: Result) -> bool:
        frames = FrameStore(work.out / DATASET).frames()
        return not result["rejected"] or work.is_rendered(work.out / FOLDER, frames)

    def apply(self, work: Workspace, result: Result) -> None:
        if result["rejected"]:
            work.datasets[self.name] = work.out / FOLDER

    def remove(self, work: Workspace) -> None:
        work.remove(work.out / FOLDER)

    def sentences(self, result: Result) -> list[str]:
        if result["reason"]:
            return [f"No box is judged: {result['reason']}."]
        if not result["rejected"]:
            return [f"The scores of {result['scored']} boxes have no elbow, so no box is left out."]
        limits = ", ".join(f"{name} {limit:.2f}" for name, limit in result["thresholds"].items())
        return [
            f"{result['rejected']} of {result['scored']} boxes have no label in {FOLDER}: typicality below {limits}."
        ]

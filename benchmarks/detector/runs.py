# SPDX-License-Identifier: GPL-3.0-or-later
"""Training runs: each is one JSON file, written when the run is done, and skipped when that file exists."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import attrs
from twinset.dataset.atomic_files import json_bytes, write_atomic
from twinset.dataset.formats.dataset_folder import open_dataset
from twinset.engine.errors import DataError

from .domains import Domain, Photo, data_folder, load_domain, of_coco

REAL = "real"
"""As a source: the real photos of the other folds."""


@attrs.frozen
class Run:
    """One training and its test.

    Attributes
    ----------
    arm, domain, detector : str
    sources : tuple of str
        What is trained on, with equal weight: folders or COCO files of datasets, or "real". ``{fold}`` in a path is
        replaced, for recipes that were fitted to the photos of the other folds.
    seed : int
    render : int
        Which of several renders of the arm it is.
    fold : int, optional
        The fold that is tested; all photos if the sources are the same for all folds.
    changes : dict
        Settings of the domain or of the schedule that differ, such as ``steps``.
    """

    arm: str
    domain: str
    detector: str
    sources: tuple[str, ...]
    seed: int
    render: int = 0
    fold: int | None = None
    changes: dict[str, Any] = attrs.field(factory=dict)

    def path(self, out: Path) -> Path:
        """Its result."""
        fold = "" if self.fold is None else f"-fold{self.fold}"
        return (
            out / "results" / self.detector / self.domain / f"{self.arm}{fold}-render{self.render}-seed{self.seed}.json"
        )


def with_folds(run: Run, folds: int) -> list[Run]:
    """A run per fold if what it is trained on depends on the fold, else the run itself."""
    if any(s == REAL or "{fold}" in s for s in run.sources):
        return [attrs.evolve(run, fold=f) for f in range(folds)]
    return [run]


def perform(run: Run, out: Path, threads: int) -> dict[str, Any]:
    """Train and test, and write the result."""
    import torch

    from .pictures import hold
    from .testing import detections
    from .training import Schedule, train

    torch.set_num_threads(threads)
    known = set(attrs.fields_dict(Schedule))
    of_domain = {k: v for k, v in run.changes.items() if k in ("size", "steps", "batch", "classes")}
    domain = load_domain(run.domain, of_domain)
    others = {k: v for k, v in run.changes.items() if k in known and k not in of_domain}
    schedule = Schedule(steps=domain.steps, batch=domain.batch, size=domain.size, **others)
    sources = [[hold(p, domain.size) for p in _photos(s, run, domain)] for s in run.sources]
    trained = train(sources, data_folder() / "weights", len(domain.classes), schedule, run.seed, run.detector)
    photos = domain.test_photos(run.fold)
    start = time.perf_counter()
    found = detections(trained.detector, photos, domain.size)
    # What a second round may learn from: photos that are known, if they are not what was trained on.
    known_photos = [] if run.fold is None or REAL in run.sources else domain.training_photos(run.fold)
    result = {
        **attrs.asdict(run),
        "schedule": attrs.asdict(schedule),
        "classes": list(domain.classes),
        "pictures": [len(s) for s in sources],
        "boxes": [sum(int((~h.ignored).sum()) for h in s) for s in sources],
        "seconds": round(trained.seconds, 1),
        "cpu_seconds": round(trained.cpu_seconds, 1),
        "steps_per_second": round(schedule.steps / trained.seconds, 3),
        "test_seconds": round(time.perf_counter() - start, 1),
        "loss": [round(float(v), 4) for v in trained.losses[:: max(1, schedule.steps // 50)]],
        "scores": _by_fold(domain, run.fold, found),
        "tested": [p.number for p in photos],
        "detections": found,
        "known_detections": detections(trained.detector, known_photos, domain.size),
    }
    path = run.path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json_bytes(result))
    if out.joinpath("weights").is_dir():  # made by who wants to keep them
        torch.save(trained.detector.state_dict(), out / "weights" / f"{run.domain}-{run.path(out).stem}.pt")
    return result


def _by_fold(domain: Any, fold: int | None, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Scores on each tested fold, by its number as text."""
    from .testing import scores_of

    scores = {}
    for f in range(domain.fold_of.max() + 1) if fold is None else (fold,):
        photos = domain.test_photos(f)
        numbers = {p.number for p in photos}
        scores[str(f)] = scores_of(photos, domain.classes, [d for d in found if d["image_id"] in numbers])
    return scores


def _photos(source: str, run: Run, domain: Any) -> Sequence[Photo]:
    if source == REAL:
        return domain.training_photos(run.fold)
    path = Path(source.replace("{fold}", str(run.fold)))
    dataset = open_dataset(path)
    photos = of_coco(dataset.coco, dataset.images, domain.classes)
    if not sum(len(p.boxes) for p in photos):
        raise DataError(f"'{path}' has no boxes of {', '.join(domain.classes)}. Name a dataset that has.")
    return photos


def perform_all(runs: Iterable[Run], out: Path, jobs: int, threads: int) -> int:
    """Do the runs that have no result yet, several at a time; the number that were done.

    Ctrl-C ends it; runs that were under way are lost and done again by the next call.
    """
    runs = list(runs)
    waiting = [r for r in runs if not r.path(out).is_file()]
    print(f"{len(runs)} runs, {len(runs) - len(waiting)} of them done before", file=sys.stderr)
    if not waiting:
        return 0
    if jobs == 1:
        for n, run in enumerate(waiting, 1):
            _report(n, len(waiting), perform(run, out, threads))
        return len(waiting)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(perform, run, out, threads) for run in waiting]
        try:
            for n, future in enumerate(as_completed(futures), 1):
                _report(n, len(waiting), future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():  # else Python waits for the trainings that are under way
                process.terminate()
            raise
    return len(waiting)


def detections_on_known(result: Mapping[str, Any], domain: Domain, fold: int) -> list[dict[str, Any]]:
    """Detections of a training on the photos that may be known when a fold is tested."""
    if result["fold"] is not None:
        return list(result["known_detections"])
    numbers = {p.number for p in domain.training_photos(fold)}
    return [d for d in result["detections"] if d["image_id"] in numbers]


def _report(n: int, count: int, result: dict[str, Any]) -> None:
    folds = ", ".join(
        f"fold {f}: " + ", ".join(f"{name} {_number(s['ap50'])}" for name, s in scores.items())
        for f, scores in result["scores"].items()
    )
    what = f"{result['arm']} render {result['render']} seed {result['seed']}, {result['domain']}"
    spent = f"{result['seconds']:.0f} s, {result['cpu_seconds']:.0f} s of processor time"
    print(f"[{n}/{count}] {what}: AP50 {folds} ({spent})", flush=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def read_results(out: Path) -> list[dict[str, Any]]:
    """All results in a folder."""
    return [json.loads(p.read_text("utf-8")) for p in sorted((out / "results").rglob("*.json"))]

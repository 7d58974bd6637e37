# SPDX-License-Identifier: GPL-3.0-or-later
"""Are real boxes detected better the nearer they are to the training images' features? Asked by `twinset evaluate`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twinset.dataset.atomic_files import json_bytes, write_atomic
from twinset.engine.errors import DataError

from .domains import Domain, data_folder, load_domain
from .preparation import write_predictions, write_real
from .runs import REAL, read_results


def nearness_path(out: Path, detector: str, domain: str, arm: str) -> Path:
    """Where the correlations of an arm are."""
    return out / "nearness" / detector / domain / f"{arm}.json"


def measure_nearness(out: Path, detector: str, domain_name: str) -> None:
    """Write the correlations of each arm with one synthetic source, from its first training; what exists is kept.

    A file holds for each class a list with an entry per fold: ``rho``, Spearman's correlation of the IoU of a real
    box's best prediction with its distance to the synthetic features, and the ends of its interval.
    """
    domain = load_domain(domain_name)
    first: dict[tuple[str, int | None], Mapping[str, Any]] = {}
    found = [r for r in read_results(out) if (r["domain"], r["detector"]) == (domain_name, detector)]
    for r in sorted(found, key=lambda r: (r["render"], r["seed"])):
        if len(r["sources"]) == 1 and r["sources"] != [REAL] and r["classes"] == list(domain.classes):
            first.setdefault((r["arm"], r["fold"]), r)
    for arm in sorted({name for name, _ in first}):
        path = nearness_path(out, detector, domain_name, arm)
        if path.is_file():
            continue
        of_class: dict[str, list[dict[str, Any]]] = {name: [] for name in domain.classes}
        for result in (r for (name, _), r in first.items() if name == arm):
            for fold in map(int, result["scores"]):
                for name, correlation in _correlations(out, domain, fold, result).items():
                    of_class[name].append({"fold": fold, **correlation})
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json_bytes(of_class))


def _correlations(out: Path, domain: Domain, fold: int, result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The correlation of each class on the photos of a fold."""
    photos = domain.test_photos(fold)
    real = out / "real" / f"{domain.name}-test{fold}.json"
    real.parent.mkdir(parents=True, exist_ok=True)
    write_real(real, photos, domain.sets)
    numbers = {p.number for p in photos}
    predictions = out / "nearness" / "predictions.json"
    predictions.parent.mkdir(parents=True, exist_ok=True)
    write_predictions(predictions, [d for d in result["detections"] if d["image_id"] in numbers], real, domain.classes)
    words = ["evaluate", str(real), str(predictions), "--real-images", str(data_folder() / "images"), "--json"]
    words += ["--synth", result["sources"][0].replace("{fold}", str(fold)), "--max-boxes", "500"]
    words += [word for name in domain.classes for word in ("--class", name)]
    program = Path(sys.executable).with_name("twinset")
    done = subprocess.run([str(program), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"`twinset evaluate` ended with exit code {done.returncode}: {done.stderr.strip()}")
    values = json.loads(done.stdout)["nearness"]
    correlations = {}
    for name in domain.classes:
        of = values.get(name, {}).get("nearness")
        if of:
            correlations[name] = {k: of["correlation"][k] for k in ("rho", "low", "high")}
    return correlations

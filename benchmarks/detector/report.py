# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of results with intervals: Markdown, CSV, JSON and plots."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from twinset.alignment.evaluation.holm import holm
from twinset.dataset.atomic_files import json_bytes, write_atomic
from twinset.engine.errors import DataError

from .arms import Arm, Question
from .domains import Domain, load_domain
from .nearness import nearness_path
from .plots import plot_arms, plot_differences
from .precision import matches
from .runs import read_results
from .statistics import RESAMPLES, Estimate, Resampled, difference, photo_draws, resample

Results = Sequence[Mapping[str, Any]]


@attrs.frozen(eq=False)
class Row:
    """An arm's line of the table.

    Attributes
    ----------
    name, title : str
    number : int
        0 for a dataset that is no arm.
    ap50 : Resampled
    per_class : dict of str to float
        AP50 by class, mean over folds, renders and seeds.
    ap : float
    small_share : float
        Share of the false positives that are small; NaN without any.
    excess : float
        Predictions in excess per close-up.
    nearness : float
        Correlation of IoU with the distance of features, mean over classes and folds; NaN where it is not measured.
    cpu_seconds : float
        Of a training, mean.
    """

    name: str
    title: str
    number: int
    ap50: Resampled
    per_class: Mapping[str, float]
    ap: float
    small_share: float
    excess: float
    nearness: float
    cpu_seconds: float


@attrs.frozen(eq=False)
class Answer:
    """A question with the difference in AP50, the corrected p-value, and a verdict in words."""

    question: Question
    difference: Estimate
    p: float
    verdict: str


def _asked(result: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a result that differ from the domain's; the order of the sources is the arm's own."""
    return {key: value for key, value in result["changes"].items() if key != "in_turn"}


def summarise(out: Path, detector: str, domain_name: str, arms: Mapping[str, Arm]) -> tuple[Domain, list[Row]]:
    """Lines of the table for a domain, in order of the arms' numbers."""
    results = [r for r in read_results(out) if r["domain"] == domain_name and r["detector"] == detector]
    if not results:
        raise DataError(f"'{out}' has no results of {detector} on {domain_name}. Train first.")
    kept = [k for k in ("classes", "size", "steps", "batch") if k in results[0]["changes"]]
    if any(_asked(r) != _asked(results[0]) for r in results):
        raise DataError(f"'{out}' holds results of different schedules. Use one folder for each.")
    domain = load_domain(domain_name, {k: results[0]["changes"][k] for k in kept})
    rng = np.random.default_rng([15, 0])
    draws = photo_draws([len(domain.test_photos(f)) for f in range(int(domain.fold_of.max()) + 1)], rng)
    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        by_arm.setdefault(result["arm"], []).append(result)
    rows = [_row(name, arms.get(name), found, domain, draws, rng, out) for name, found in by_arm.items()]
    return domain, sorted((r for r in rows if r), key=lambda r: (r.number or math.inf, r.name))


def _row(
    name: str,
    arm: Arm | None,
    results: Results,
    domain: Domain,
    draws: Sequence[np.ndarray],
    rng: np.random.Generator,
    out: Path,
) -> Row | None:
    """A line; None while no pair of render and seed is tested on all folds."""
    folds = range(len(draws))
    of_run: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for r in results:
        of_run.setdefault((r["render"], r["seed"]), []).append(r)
    whole = {k: v for k, v in of_run.items() if {f for r in v for f in r["scores"]} == {str(f) for f in folds}}
    if not whole:
        return None
    matched = {}
    for key, held in whole.items():
        found = [d for r in held for d in r["detections"]]
        matched[key] = [
            [matches(domain.test_photos(f), found, k + 1) for k in range(len(domain.classes))] for f in folds
        ]
    scores = [s for held in whole.values() for r in held for s in r["scores"].values()]
    wrong, small, close, over = (
        sum(s["all"][k] for s in scores)
        for k in ("false_positives", "small_false_positives", "close_ups", "overlapping")
    )
    used = [r for held in whole.values() for r in held]
    return Row(
        name,
        arm.title if arm else name,
        arm.number if arm else 0,
        resample(matched, draws, rng),
        {c: _mean([s[c]["ap50"] for s in scores if c in s]) for c in domain.classes},
        _mean([s["all"]["ap"] for s in scores]),
        small / wrong if wrong else math.nan,
        over / close if close else math.nan,
        _nearness(nearness_path(out, str(results[0]["detector"]), domain.name, name)),
        _mean([r["cpu_seconds"] for r in used]),
    )


def _nearness(path: Path) -> float:
    """The mean of the correlations in a file; NaN if there is none."""
    if not path.is_file():
        return math.nan
    return _mean([entry["rho"] for of_class in json.loads(path.read_text("utf-8")).values() for entry in of_class])


def _mean(values: Sequence[float | None]) -> float:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else math.nan


def answers(rows: Sequence[Row], questions: Sequence[Question], domain: str) -> list[Answer]:
    """Answers to the questions whose arms are both measured."""
    by_name = {r.name: r for r in rows}
    asked = [q for q in questions if all(a in by_name for a in q.arms)]
    differences = []
    for q in asked:
        a, b = (by_name[name].ap50 for name in q.arms)
        differences.append(difference(a, b, q.margin.get(domain, 0.0)))
    together = [k for k, q in enumerate(asked) if not q.first and not q.margin]
    p = [d.p for d in differences]
    for k, corrected in zip(together, holm([p[k] for k in together]), strict=True):
        p[k] = corrected
    return [Answer(q, d, v, _verdict(q, d, v, domain)) for q, d, v in zip(asked, differences, p, strict=True)]


def _verdict(question: Question, d: Estimate, p: float, domain: str) -> str:
    if question.margin:
        margin = question.margin.get(domain, 0.0)
        return "yes" if d.low > margin else "no" if d.high < margin else "not resolvable here"
    if p >= 0.05:
        return "not resolvable here"
    return "yes" if d.value > 0 else "no, the reverse"


def markdown(domain: Domain, rows: Sequence[Row], found: Sequence[Answer]) -> str:
    """The tables of arms and of questions."""
    classes = [f"{c} | " for c in domain.classes]
    lines = [
        f"| arm | trained on | AP50, 95 % | {''.join(classes)}AP "
        "| small false positives | excess per close-up | IoU by distance | runs |",
        "|" + " --- |" * (8 + len(classes)),
    ]
    for r in rows:
        low, high = r.ap50.interval()
        per_class = "".join(f"{_shown(r.per_class[c])} | " for c in domain.classes)
        runs = int(np.isfinite(r.ap50.each).sum())
        lines.append(
            f"| {r.number or ''} | {r.title} | **{r.ap50.value:.3f}** ({low:.3f} to {high:.3f}) | {per_class}"
            f"{_shown(r.ap)} | {_shown(r.small_share, 2)} | {_shown(r.excess, 2)} | {_shown(r.nearness, 2)} | {runs} |"
        )
    if found:
        lines += ["", "| question | arms | difference in AP50, 95 % | p | answer |", "| --- | --- | --- | --- | --- |"]
    for a in found:
        d = a.difference
        margin = f" (margin {a.question.margin[domain.name]:+.2f})" if a.question.margin else ""
        shown = f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})"
        arms = " - ".join(a.question.arms)
        lines.append(f"| {a.question.text}{margin} | {arms} | {shown} | {a.p:.3f} | {a.verdict} |")
    return "\n".join([*lines, ""])


def _shown(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _values(rows: Sequence[Row]) -> list[dict[str, Any]]:
    table = []
    for r in rows:
        low, high = r.ap50.interval()
        table.append(
            {
                "number": r.number,
                "arm": r.name,
                "title": r.title,
                "ap50": r.ap50.value,
                "ap50_low": low,
                "ap50_high": high,
                **{f"ap50 {c}": v for c, v in r.per_class.items()},
                "ap": r.ap,
                "small_share": r.small_share,
                "excess_per_close_up": r.excess,
                "nearness": r.nearness,
                "cpu_seconds": r.cpu_seconds,
            }
        )
    return table


def write_report(
    out: Path, detector: str, domain_name: str, arms: Mapping[str, Arm], questions: Sequence[Question]
) -> str:
    """Write the tables and plots of a domain into ``out/report``; the Markdown is returned."""
    domain, rows = summarise(out, detector, domain_name, arms)
    found = answers(rows, questions, domain_name)
    folder = out / "report"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{domain_name}-{detector}"
    text = markdown(domain, rows, found)
    table = _values(rows)
    sheet = io.StringIO()
    writer = csv.DictWriter(sheet, table[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    entries = {
        "domain": domain_name,
        "detector": detector,
        "resamples": RESAMPLES,
        "arms": [
            {**t, "runs": [[None if math.isnan(v) else v for v in line] for line in r.ap50.each.tolist()]}
            for t, r in zip(table, rows, strict=True)
        ],
        "questions": [
            {**attrs.asdict(a.question), **attrs.asdict(a.difference), "p": a.p, "verdict": a.verdict} for a in found
        ],
    }
    write_atomic(folder / f"{stem}.md", text.encode())
    write_atomic(folder / f"{stem}.csv", sheet.getvalue().encode())
    write_atomic(folder / f"{stem}.json", json_bytes(_without_nan(entries)))
    plot_arms(rows, domain, folder / f"{stem}.png")
    if found:
        plot_differences(found, folder / f"{stem}-differences.png")
    return text


def _without_nan(value: Any) -> Any:
    """The same with None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value

# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a report about the origin of datasets: attempts, assets, licences, versions and recipe."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from xml.etree.ElementTree import Element

from ... import __version__
from ...engine.recipe.settings import Recipe
from ...engine.recipe.variants import rooms_of
from ..analysis.goal_progress import goal_sentences
from . import charts
from .formatting import DASH
from .markup import Node, tag
from .report_dataset import ReportDataset
from .sections import table

log = logging.getLogger(__name__)

METHOD = "https://doi.org/10.3929/ethz-b-000632743"


def funnel(dataset: ReportDataset) -> Element | None:
    """The outcomes of attempts of a rendered dataset; None for others, and if the summary is damaged."""
    counts = dataset.summary.get("funnel")
    if not isinstance(counts, Mapping) or not counts.get("tried"):
        return None
    try:
        return _funnel(counts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("The summary of '%s' is damaged, so attempts are not shown: %r", dataset.name, error)
        return None


def _funnel(counts: Mapping[str, Any]) -> Element:
    tried = int(counts["tried"])
    rejected = counts.get("rejected") or {}
    steps = [("Tried", tried, "neutral")]
    steps += [(f"rejected: {reason}", int(n), "bad") for reason, n in sorted(rejected.items(), key=_by_count)]
    steps.append(("Accepted", int(counts.get("accepted", 0)), "good"))
    rows = [[name, f"{n:,}", tag("span", charts.bar(n / tried, kind), f" {n / tried:.1%}")] for name, n, kind in steps]
    late = int(counts.get("rejected_after_render", 0))
    given_up = int(counts.get("given_up", 0))
    sentences = [
        f"{late} attempts were rejected after their full render, which is costly."
        if late
        else "No attempt was rejected after its full render; all rejections were based on probes.",
        f"{given_up} frames were given up." if given_up else "No frame was given up.",
    ]
    return tag(
        "section",
        tag("h2", "Attempts"),
        tag("p", " ".join(sentences)),
        table("Outcomes of attempts", ("Step", "Attempts", "Share"), rows, numbers=(1,)),
        *(tag("p", text) for text in goal_sentences(counts.get("goals") or ())),
        *_gate(counts.get("gate")),
        id="attempts",
    )


def _gate(gate: Any) -> list[Node]:
    """Acceptance by a gate, by shape, camera and so on."""
    if not isinstance(gate, Mapping) or not gate.get("judged"):
        return []
    judged, accepted, drafts = (int(gate.get(key, 0)) for key in ("judged", "accepted", "refused_as_drafts"))
    sentences = f"{accepted:,} of {judged:,} judged attempts passed the gate; {drafts:,} were refused as drafts."
    parts: list[Node] = [tag("h3", "Gate"), tag("p", sentences)]
    for kind, entries in (gate.get("by") or {}).items():
        rows = []
        for entry in entries:
            passed, score = entry["accepted"] / max(entry["judged"], 1), entry["score"]
            bar = tag("span", charts.bar(passed, "good"), f" {passed:.0%}")
            rows.append([str(entry["value"]), f"{entry['judged']:,}", bar, DASH if score is None else f"{score:.2f}"])
        head = (kind.capitalize(), "Judged", "Passed", "Mean score")
        parts.append(table(f"Acceptance by {kind}", head, rows, numbers=(1, 3)))
    return parts


def provenance(real: ReportDataset, synth: ReportDataset) -> Element:
    """The origin of both datasets, as far as their files state it."""
    return tag(
        "section",
        tag("h2", "Provenance"),
        *_origin("Real", real),
        *_origin("Synthetic", synth),
        tag("p", f"Report by Twinset {__version__}; method: ", tag("a", "Zhang, 2023", href=METHOD), "."),
        id="provenance",
    )


def _origin(word: str, dataset: ReportDataset) -> list[Node]:
    about = dataset.coco.about
    info = about.get("info") if isinstance(about.get("info"), Mapping) else {}
    rows: list[tuple[str, Node | list[Node]]] = []
    for key in ("description", "source", "version", "year", "contributor", "license", "date_created", "url"):
        value = (info or {}).get(key)
        if isinstance(value, str | int | float) and str(value):
            rows.append((key.replace("_", " ").capitalize(), str(value)))
    rows += _licences(dataset)
    stage = dataset.stage.get("stage") if isinstance(dataset.stage.get("stage"), Mapping) else {}
    for key, name in (("blender", "Blender"), ("device", "Device"), ("machine", "Machine")):
        if (stage or {}).get(key):
            rows.append((name, str(stage[key])))  # type: ignore[index]
    if dataset.recipe is not None:
        rows.append(("Seed", str(dataset.recipe.seed)))
        rows += _sources(dataset)
    assets = (stage or {}).get("assets")
    if isinstance(assets, Mapping):
        rows += [(f"Assets: {name}", ", ".join(map(str, names))) for name, names in assets.items()]
    shown: Node = tag("p", "Its files do not state their origin.", class_="remark")
    if rows:
        shown = tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in rows), class_="facts")
    folded = None
    if dataset.recipe_text:
        folded = tag("details", tag("summary", "Recipe"), tag("pre", tag("code", dataset.recipe_text)))
    return [tag("h3", f"{word}: {dataset.name}"), shown, folded]


def _licences(dataset: ReportDataset) -> list[tuple[str, str]]:
    listed = dataset.coco.about.get("licenses")
    if not isinstance(listed, list):
        return []
    used = {image.get("license") for image in dataset.coco.images}
    names = [
        " ".join(str(entry[key]) for key in ("name", "url") if entry.get(key))
        for entry in listed
        if isinstance(entry, Mapping) and (entry.get("id") in used or used == {None})
    ]
    return [("Licences", "; ".join(filter(None, names)))] if any(names) else []


def _sources(dataset: ReportDataset) -> list[tuple[str, str]]:
    """The sources that the recipe names, without their folders."""
    recipe = dataset.recipe
    assert recipe is not None
    rows = []
    if recipe.real is not None:
        rows.append(("Target", PurePath(recipe.real.annotations).name))
    rows.append(("Scene", ", ".join(filter(None, map(_scene_of, rooms_of(recipe)))) or "none"))
    for settings in (*recipe.classes, *recipe.distractors):
        named: list[str] = [PurePath(p).name for p in settings.models]
        named += [f"{what} {value}" for what in ("collection", "builtin") if (value := getattr(settings, what))]
        named += settings.objects
        named += [PurePath(settings.dataset).name] if settings.dataset else []
        if named:
            rows.append((f"Models: {settings.name or 'distractors'}", ", ".join(named)))
    return rows


def _scene_of(recipe: Recipe) -> str:
    models = ", ".join(PurePath(m.path).name for m in recipe.models)
    if recipe.scene.blenderproc:
        return models or f"{PurePath(recipe.scene.dataset).name} {recipe.scene.scene}".strip()
    return models or recipe.scene.builtin or PurePath(recipe.scene.file).name


def _by_count(item: tuple[str, Any]) -> tuple[int, str]:
    return -int(item[1]), item[0]

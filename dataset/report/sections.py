# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a report that hold words and numbers: headline, verdict, and what is measured of each class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from ...alignment.columns.registry import find_column
from ...alignment.distances.bootstrap import CONFIDENCE_LEVEL
from ...alignment.distances.comparison import QUANTILES
from ...alignment.distances.registry import PRIMARY, all_distances
from ...alignment.distances.verdict import Statement, Verdict
from ...engine.recipe.settings import Recipe
from . import charts
from .class_summary import CONSISTENT, DIFFERENT, UNKNOWN, ClassSummary
from .formatting import DASH, format_number, format_quantity
from .levers import Advice, advice
from .markup import Node, tag
from .report_dataset import ReportDataset, spread

MAX_DOTS = 800
"""Dots of each side in a chart."""
_MAX_ADVICE = 3
_VERDICTS = {DIFFERENT: "off", CONSISTENT: "within chance", UNKNOWN: "not known"}
_UNHELPFUL_RANK = 2
"""From this rank on, aligning a column did not help detectors."""

FLOOR_NOTE = (
    "Even two samples of the same photos are never quite alike. The floor of a distance is how far apart two samples "
    "of the real dataset lie on average, as large as these two. A distance is significant above the value that it has "
    f"at most in {CONFIDENCE_LEVEL:.0%} of cases if the images are assigned to the two datasets at random."
)


def headline(real: ReportDataset, synth: ReportDataset) -> Element:
    """Names and sizes of the two datasets, and what the colours mean."""

    def side(kind: str, word: str, material: ReportDataset) -> Element:
        boxes = sum(material.coco.classes().values())
        return tag(
            "div",
            tag("dt", tag("span", class_=f"key {kind}"), word),
            tag("dd", tag("b", material.name), tag("span", f"{len(material.coco.images):,} images, {boxes:,} boxes")),
        )

    return tag(
        "header",
        tag("p", "Twinset report", class_="over"),
        tag("h1", f"{synth.name} against {real.name}"),
        tag("dl", side("real", "Real", real), side("synth", "Synthetic", synth), class_="sides"),
    )


def contents(sections: Iterable[Element]) -> Element:
    """Links to the sections that have an id and a heading."""
    links = []
    for section in sections:
        heading = section.find("h2")
        if heading is not None and section.get("id"):
            links.append(tag("li", tag("a", heading.text or "", href=f"#{section.get('id')}")))
    return tag("nav", tag("ul", *links), aria_label="Contents")


def verdict(classes: Sequence[ClassSummary], said: Verdict, recipe: Recipe | None, notes: Sequence[str]) -> Element:
    """The whole in words: what is off, which way, and what in the recipe would move it."""
    return tag(
        "section",
        tag("h2", "Verdict"),
        tag("p", said.sentences[0].rstrip(":").removesuffix(".") + ".", class_="lead"),
        tag("p", FLOOR_NOTE, class_="aside"),
        *(_class_verdict(facts, recipe) for facts in classes),
        *(tag("p", note, class_="note") for note in notes),
        id="verdict",
    )


def _class_verdict(facts: ClassSummary, recipe: Recipe | None) -> Element:
    off = [s for s in facts.statements.values() if s.significant]
    parts: list[Node] = [
        tag("h3", facts.name, " ", tag("small", f"{facts.compared['n_real']} real, {len(facts.synth)} synthetic boxes"))
    ]
    # Main boxes are spoken of where only they are off.
    main = [s for s in facts.of_main if s.column not in {other.column for other in off}]
    first = [s for s in (*off, *main) if s.rank < _UNHELPFUL_RANK]
    rest = [s for s in off if s.rank >= _UNHELPFUL_RANK]
    if first:
        parts.append(_statement_list(first, recipe))
    elif not rest:
        parts.append(tag("p", "Nothing is off." if facts.statements else "Nothing can be compared."))
    else:
        parts.append(tag("p", "Nothing that was found to matter to detectors is off."))
    if rest:
        words = f"Pixel statistics that are off: {len(rest)}"
        why = "Aligning these did not help detectors in the experiments of the method; a look at the pictures may do."
        parts.append(tag("details", tag("summary", words), tag("p", why, class_="rest"), _statement_list(rest, recipe)))
    for kind, words in ((CONSISTENT, "Within chance"), (UNKNOWN, "Not known")):
        names = [find_column(c).heading.lower() for c in facts.columns() if facts.verdict(c) == kind]
        if names:
            parts.append(tag("p", tag("b", f"{words}: "), ", ".join(names), ".", class_="rest"))
    return tag("article", *parts, class_="card")


def _statement_list(statements: Sequence[Statement], recipe: Recipe | None) -> Element:
    """Statements, with advice below the first of those that share it."""
    items = []
    told: list[list[Advice]] = []
    for s in statements:
        direction = {"larger": 1, "smaller": -1}.get(s.direction, 0)
        found = advice(s.column, s.class_name, direction, recipe)[:_MAX_ADVICE]
        line = None
        if found and found not in told:
            line = tag("div", "To move it: ", *_advice_nodes(found), ".", class_="advice")
            told.append(found)
        items.append(tag("li", *_sentence(s), line))
    return tag("ul", *items, class_="findings")


def _sentence(statement: Statement) -> list[Node]:
    """The sentence of a statement, its subject in bold, without the class that stands above it."""
    head, _, rest = statement.sentence.partition(": ")
    head = head.removeprefix(f"main {statement.class_name}, ").removeprefix(f"{statement.class_name}, ")
    if statement.main:
        head += ", boxes that targets aimed at"
    rest, _, evidence = rest.rstrip(".").partition(" (")
    evidence = evidence.removesuffix(")")
    muted = tag("span", f" {evidence[:1].upper()}{evidence[1:]}.", class_="muted") if evidence else None
    return [tag("strong", head[:1].upper() + head[1:]), f": {rest}.", muted]


def _advice_nodes(found: Sequence[Advice]) -> list[Node]:
    parts: list[Node] = []
    for one in found:
        new = one.action == "add"
        place = f" of a new {one.place}" if new else f" of {one.place}"
        place += f" (now {one.value})" if one.value and not new else ""
        action = "set" if new or not one.value else one.action
        parts += [", or " if parts else None, f"{action} ", tag("code", one.param, title=one.doc), place]
    return parts


def class_section(facts: ClassSummary, place: int, *more: Node) -> Element:
    """Everything measured of a class; ``more`` follows the charts of its boxes."""
    count = f"{facts.compared['n_real']} real and {len(facts.synth)} synthetic boxes"
    shown = facts.columns()
    return tag(
        "section",
        tag("h2", facts.name),
        tag("p", count, class_="muted"),
        _summary_table(facts, shown),
        tag("h3", "Distributions"),
        tag("p", "Triangles mark the medians. The figures below are distance, interval and floor.", class_="muted"),
        *_figures(facts, shown),
        tag("h3", "Position and area"),
        _positions(facts),
        *more,
        _all_distances(facts),
        id=f"class-{place}",
    )


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[int] = ()) -> Element:
    """A table whose first cell of each row is its header; ``numbers`` are the columns that hold numbers.

    Each cell knows its column's name, which a narrow page shows beside it.
    """
    styles = {i: "number" for i in numbers}
    body = []
    for row in rows:
        cells = [
            tag("th" if i == 0 else "td", cell, scope="row" if i == 0 else None, class_=styles.get(i), data_label=name)
            for i, (name, cell) in enumerate(zip(head, row, strict=True))
        ]
        body.append(tag("tr", *cells))
    heads = [tag("th", name, scope="col", class_=styles.get(i)) for i, name in enumerate(head)]
    return tag("table", tag("caption", caption), tag("thead", tag("tr", *heads)), tag("tbody", *body))


def _summary_table(facts: ClassSummary, columns: Sequence[str]) -> Element:
    rows = []
    for name in columns:
        found = facts.compared["columns"][name]
        value, (low, high), upper = (found[f"{PRIMARY}{key}"] for key in ("", "_interval", "_upper_floor"))
        judged = not math.isnan(upper)
        kind = facts.verdict(name)
        rows.append(
            [
                find_column(name).heading,
                *(_typical(name, found, side) for side in ("real", "synth")),
                distance(value) if judged else DASH,
                f"{format_number(low)} to {format_number(high)}" if judged and math.isfinite(value) else DASH,
                format_number(found["floor"]) if judged else DASH,
                format_number(upper) if judged else DASH,
                charts.gauge(value, (low, high), upper) if judged and upper > 0 else DASH,
                tag("span", _VERDICTS[kind], class_=f"chip {kind}"),
            ]
        )
    head = (
        *("Column", "Real median", "Synthetic median", "Distance", "95% interval", "Floor", "Significant above"),
        *("Beside chance", "Verdict"),
    )
    return table(f"{facts.name}: Bhattacharyya distance of each column", head, rows, numbers=(1, 2, 3, 4, 5, 6))


def _typical(name: str, found: Mapping[str, Any], side: str) -> str:
    """The median of a side; of a column of yes and no how many say yes."""
    if find_column(name).kind == "flag":
        return share(charts.yes_share(found, side))
    return format_quantity(name, middle(found, side))


def middle(found: Mapping[str, Any], side: str) -> float:
    """The median of a side; NaN for columns of names."""
    quantiles = found[f"{side}_quantiles"]
    return float(quantiles[QUANTILES.index(0.5)]) if quantiles else math.nan


def distance(value: float) -> str:
    """A distance; histograms that share no bin are infinitely far apart."""
    return format_number(value) if math.isfinite(value) else "no common bin"


def _figures(facts: ClassSummary, columns: Sequence[str]) -> list[Node]:
    """Charts of boxes, and those of whole images folded away."""
    figures: dict[bool, list[Element]] = {True: [], False: []}
    for name in columns:
        figures[name.startswith("image_")].append(_figure(facts, name))
    parts: list[Node] = [tag("div", *figures[False], class_="charts")]
    if figures[True]:
        words = f"Whole images with {facts.name}: {len(figures[True])} more"
        parts.append(tag("details", tag("summary", words), tag("div", *figures[True], class_="charts")))
    return parts


def _figure(facts: ClassSummary, name: str) -> Element:
    declared, found = find_column(name), facts.compared["columns"][name]
    key = PRIMARY
    (low, high), value = found[f"{key}_interval"], found[key]
    words = ""
    if math.isfinite(value) and not math.isnan(found["floor"]):
        words = f"{format_number(value)} [{format_number(low)}, {format_number(high)}], floor {format_number(found['floor'])}"
    elif not math.isnan(found["floor"]):
        words = f"no common bin, floor {format_number(found['floor'])}"
    kind = facts.verdict(name)
    return tag(
        "figure",
        tag("h4", declared.heading, tag("span", _VERDICTS[kind], class_=f"chip {kind}")),
        charts.histogram(name, found, (middle(found, "real"), middle(found, "synth"))),
        tag("figcaption", tag("span", declared.axis_text, class_="unit") if declared.axis_text else None, tag("span", words)),
        tag("p", found["remark"], class_="remark") if found["remark"] else None,
    )


def _positions(facts: ClassSummary) -> Element:
    sides = [(t.columns["center_x"], t.columns["center_y"]) for t in (facts.real, facts.synth)]
    peak = max(float(charts.centre_shares(*side).max()) for side in sides) or 1.0
    figures = [
        tag(
            "figure",
            tag("h4", f"Box centres, {word}"),
            charts.heat_map(*side, kind, f"Where the centres of {word} boxes lie in the image", peak),
            tag("figcaption", "The frame is the image; on one scale for both datasets"),
        )
        for side, kind, word in zip(sides, ("real", "synth"), ("real", "synthetic"), strict=True)
    ]
    dots = []
    for t in (facts.real, facts.synth):
        chosen = spread(len(t), MAX_DOTS)
        dots.append((t.columns["area"][chosen], t.columns["center_y"][chosen]))
    figures.append(
        tag(
            "figure",
            tag("h4", "Area against height in the image"),
            charts.area_against_y(*dots),
            tag("figcaption", "Share of the image, on a logarithmic axis; from the top of the image to its foot"),
        )
    )
    return tag("div", *figures, class_="charts")


def _all_distances(facts: ClassSummary) -> Element:
    """Every distance as ``twinset compare`` prints it, main boxes too."""
    parts: list[Node] = [tag("summary", "All distances, with both floors")]
    parts.append(_full_table(f"{facts.name}: all boxes", facts.compared["columns"]))
    main = facts.compared["main"]
    if main:
        parts.append(_full_table(f"{facts.name}: the {main['n_synth']} boxes that targets aimed at", main["columns"]))
    parts += [tag("p", remark, class_="remark") for remark in facts.compared["remarks"]]
    return tag("details", *parts)


def _full_table(caption: str, columns: Mapping[str, Mapping[str, Any]]) -> Element:
    rows = []
    for name, found in columns.items():
        for measure in all_distances(categories="categories" in found):
            key, floor = measure.name, found[measure.floor_key]
            low, high = found[f"{key}_interval"]
            floors = (floor, found[f"{key}_image_floor"], found[f"{key}_upper_floor"])
            shown = not math.isnan(floor)
            finite = shown and math.isfinite(found[key])
            rows.append(
                [
                    name,
                    measure.label,
                    distance(found[key]) if shown else DASH,
                    f"{format_number(low)} to {format_number(high)}" if finite else DASH,
                    *(DASH if math.isnan(f) else format_number(f) for f in floors),
                ]
            )
    head = ("Column", "Distance by", "Value", "95% interval", "Floor", "Floor by image", "Significant above")
    return table(caption, head, rows, numbers=(2, 3, 4, 5, 6))


def statement(text: str) -> Element:
    """A sentence in the place of what cannot be shown."""
    return tag("p", text, class_="remark")


def share(value: float) -> str:
    """A share in whole per cent, a dash where it is not known."""
    return DASH if not np.isfinite(value) else f"{value:.0%}"

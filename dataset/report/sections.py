# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a report with text and numbers: headline, verdict, and the measurements of each class."""

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
"""Dots per dataset in a chart."""
_MAX_ADVICE = 3
_VERDICTS = {DIFFERENT: "differs", CONSISTENT: "consistent", UNKNOWN: "unknown"}
_UNHELPFUL_RANK = 2
"""From this rank on, aligning a column did not help detectors."""

FLOOR_NOTE = (
    "Even two samples of the same photos differ. The floor is the average distance between two random samples of the "
    "real dataset, of the sizes of these two datasets. A difference is significant if its distance is larger than in "
    f"{CONFIDENCE_LEVEL:.0%} of random assignments of all images to the two datasets."
)


def headline(real: ReportDataset, synth: ReportDataset) -> Element:
    """Names and sizes of the two datasets, and what the colours mean."""

    def side(kind: str, word: str, dataset: ReportDataset) -> Element:
        boxes = sum(dataset.coco.classes().values())
        return tag(
            "div",
            tag("dt", tag("span", class_=f"key {kind}"), word),
            tag("dd", tag("b", dataset.name), tag("span", f"{len(dataset.coco.images):,} images, {boxes:,} boxes")),
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


def verdict(classes: Sequence[ClassSummary], overall: Verdict, recipe: Recipe | None, notes: Sequence[str]) -> Element:
    """The verdict: which columns differ, in which direction, and what in the recipe would change that."""
    return tag(
        "section",
        tag("h2", "Verdict"),
        tag("p", overall.sentences[0].rstrip(":").removesuffix(".") + ".", class_="lead"),
        tag("p", FLOOR_NOTE, class_="aside"),
        *(_class_verdict(summary, recipe) for summary in classes),
        *(tag("p", note, class_="note") for note in notes),
        id="verdict",
    )


def _class_verdict(summary: ClassSummary, recipe: Recipe | None) -> Element:
    different = [s for s in summary.statements.values() if s.significant]
    parts: list[Node] = [
        tag(
            "h3",
            summary.name,
            " ",
            tag("small", f"{summary.compared['n_real']} real, {len(summary.synth)} synthetic boxes"),
        )
    ]
    # Main boxes are only mentioned for columns in which all boxes together do not differ.
    main = [s for s in summary.of_main if s.column not in {other.column for other in different}]
    first = [s for s in (*different, *main) if s.rank < _UNHELPFUL_RANK]
    rest = [s for s in different if s.rank >= _UNHELPFUL_RANK]
    if first:
        parts.append(_statement_list(first, recipe))
    elif not rest:
        parts.append(tag("p", "No significant difference." if summary.statements else "Nothing can be compared."))
    else:
        parts.append(tag("p", "No significant difference in columns that are known to matter for detectors."))
    if rest:
        title = f"Pixel statistics that differ: {len(rest)}"
        why = "In published experiments, aligning these did not improve detectors. Compare the images by eye."
        parts.append(tag("details", tag("summary", title), tag("p", why, class_="rest"), _statement_list(rest, recipe)))
    for kind, title in ((CONSISTENT, "Consistent"), (UNKNOWN, "Unknown")):
        names = [find_column(c).heading.lower() for c in summary.columns() if summary.verdict(c) == kind]
        if names:
            parts.append(tag("p", tag("b", f"{title}: "), ", ".join(names), ".", class_="rest"))
    return tag("article", *parts, class_="card")


def _statement_list(statements: Sequence[Statement], recipe: Recipe | None) -> Element:
    """Statements, with advice below the first of those that share it."""
    items = []
    given: list[list[Advice]] = []
    for s in statements:
        direction = {"larger": 1, "smaller": -1}.get(s.direction, 0)
        suggestions = advice(s.column, s.class_name, direction, recipe)[:_MAX_ADVICE]
        line = None
        if suggestions and suggestions not in given:
            line = tag("div", "To change it: ", *_advice_nodes(suggestions), ".", class_="advice")
            given.append(suggestions)
        items.append(tag("li", *_sentence(s), line))
    return tag("ul", *items, class_="findings")


def _sentence(statement: Statement) -> list[Node]:
    """The sentence of a statement with its subject in bold, without the class, which is the heading above."""
    head, _, rest = statement.sentence.partition(": ")
    head = head.removeprefix(f"main {statement.class_name}, ").removeprefix(f"{statement.class_name}, ")
    if statement.main:
        head += ", boxes drawn by targets"
    rest, _, evidence = rest.rstrip(".").partition(" (")
    evidence = evidence.removesuffix(")")
    muted = tag("span", f" {evidence[:1].upper()}{evidence[1:]}.", class_="muted") if evidence else None
    return [tag("strong", head[:1].upper() + head[1:]), f": {rest}.", muted]


def _advice_nodes(suggestions: Sequence[Advice]) -> list[Node]:
    parts: list[Node] = []
    for one in suggestions:
        new = one.action == "add"
        place = f" of a new {one.place}" if new else f" of {one.place}"
        place += f" (now {one.value})" if one.value and not new else ""
        action = "set" if new or not one.value else one.action
        parts += [", or " if parts else None, f"{action} ", tag("code", one.param, title=one.doc), place]
    return parts


def class_section(summary: ClassSummary, place: int, *more: Node) -> Element:
    """All measurements of a class; ``more`` follows the charts of its boxes."""
    count = f"{summary.compared['n_real']} real and {len(summary.synth)} synthetic boxes"
    shown = summary.columns()
    return tag(
        "section",
        tag("h2", summary.name),
        tag("p", count, class_="muted"),
        _summary_table(summary, shown),
        tag("h3", "Distributions"),
        tag("p", "Triangles mark the medians. Below each chart: distance, 95% interval and floor.", class_="muted"),
        *_figures(summary, shown),
        tag("h3", "Position and area"),
        _positions(summary),
        *more,
        _all_distances(summary),
        id=f"class-{place}",
    )


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[int] = ()) -> Element:
    """A table with row headers in the first column; ``numbers`` are the indices of numeric columns.

    Cells carry the name of their column, which narrow pages show beside them.
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


def _summary_table(summary: ClassSummary, columns: Sequence[str]) -> Element:
    rows = []
    for name in columns:
        column = summary.compared["columns"][name]
        value, (low, high), upper = (column[f"{PRIMARY}{key}"] for key in ("", "_interval", "_upper_floor"))
        judged = not math.isnan(upper)
        kind = summary.verdict(name)
        rows.append(
            [
                find_column(name).heading,
                *(_typical(name, column, side) for side in ("real", "synth")),
                distance(value) if judged else DASH,
                f"{format_number(low)} to {format_number(high)}" if judged and math.isfinite(value) else DASH,
                format_number(column["floor"]) if judged else DASH,
                format_number(upper) if judged else DASH,
                charts.gauge(value, (low, high), upper) if judged and upper > 0 else DASH,
                tag("span", _VERDICTS[kind], class_=f"chip {kind}"),
            ]
        )
    head = (
        *("Column", "Real median", "Synthetic median", "Distance", "95% interval", "Floor", "Significant above"),
        *("Compared with chance", "Verdict"),
    )
    return table(f"{summary.name}: Bhattacharyya distance of each column", head, rows, numbers=(1, 2, 3, 4, 5, 6))


def _typical(name: str, column: Mapping[str, Any], side: str) -> str:
    """The median of a side; for yes-or-no columns, the share of yes."""
    if find_column(name).kind == "flag":
        return share(charts.yes_share(column, side))
    return format_quantity(name, middle(column, side))


def middle(column: Mapping[str, Any], side: str) -> float:
    """The median of a side; NaN for columns of categories."""
    quantiles = column[f"{side}_quantiles"]
    return float(quantiles[QUANTILES.index(0.5)]) if quantiles else math.nan


def distance(value: float) -> str:
    """A distance as text; it is infinite for histograms without a common bin."""
    return format_number(value) if math.isfinite(value) else "no common bin"


def _figures(summary: ClassSummary, columns: Sequence[str]) -> list[Node]:
    """Charts of boxes, and collapsed charts of whole images."""
    figures: dict[bool, list[Element]] = {True: [], False: []}
    for name in columns:
        figures[name.startswith("image_")].append(_figure(summary, name))
    parts: list[Node] = [tag("div", *figures[False], class_="charts")]
    if figures[True]:
        title = f"Whole images with {summary.name}: {len(figures[True])} more charts"
        parts.append(tag("details", tag("summary", title), tag("div", *figures[True], class_="charts")))
    return parts


def _figure(summary: ClassSummary, name: str) -> Element:
    declared, column = find_column(name), summary.compared["columns"][name]
    key = PRIMARY
    (low, high), value = column[f"{key}_interval"], column[key]
    caption = ""
    if math.isfinite(value) and not math.isnan(column["floor"]):
        interval = f"[{format_number(low)}, {format_number(high)}]"
        caption = f"{format_number(value)} {interval}, floor {format_number(column['floor'])}"
    elif not math.isnan(column["floor"]):
        caption = f"no common bin, floor {format_number(column['floor'])}"
    kind = summary.verdict(name)
    return tag(
        "figure",
        tag("h4", declared.heading, tag("span", _VERDICTS[kind], class_=f"chip {kind}")),
        charts.histogram(name, column, (middle(column, "real"), middle(column, "synth"))),
        tag(
            "figcaption",
            tag("span", declared.axis_text, class_="unit") if declared.axis_text else None,
            tag("span", caption),
        ),
        tag("p", column["remark"], class_="remark") if column["remark"] else None,
    )


def _positions(summary: ClassSummary) -> Element:
    sides = [(t.columns["center_x"], t.columns["center_y"]) for t in (summary.real, summary.synth)]
    peak = max(float(charts.centre_shares(*side).max()) for side in sides) or 1.0
    figures = [
        tag(
            "figure",
            tag("h4", f"Box centres, {word}"),
            charts.heat_map(*side, kind, f"Positions of {word} box centres in the image", peak),
            tag("figcaption", "The frame is the image; both datasets use the same colour scale"),
        )
        for side, kind, word in zip(sides, ("real", "synth"), ("real", "synthetic"), strict=True)
    ]
    dots = []
    for t in (summary.real, summary.synth):
        chosen = spread(len(t), MAX_DOTS)
        dots.append((t.columns["area"][chosen], t.columns["center_y"][chosen]))
    figures.append(
        tag(
            "figure",
            tag("h4", "Box area by vertical position"),
            charts.area_against_y(*dots),
            tag(
                "figcaption",
                "Horizontal: share of the image, logarithmic; vertical: from the top to the bottom of the image",
            ),
        )
    )
    return tag("div", *figures, class_="charts")


def _all_distances(summary: ClassSummary) -> Element:
    """All distances as in ``twinset compare``, including those of main boxes."""
    parts: list[Node] = [tag("summary", "All distances, with both floors")]
    parts.append(_full_table(f"{summary.name}: all boxes", summary.compared["columns"]))
    main = summary.compared["main"]
    if main:
        parts.append(_full_table(f"{summary.name}: the {main['n_synth']} boxes drawn by targets", main["columns"]))
    parts += [tag("p", remark, class_="remark") for remark in summary.compared["remarks"]]
    return tag("details", *parts)


def _full_table(caption: str, columns: Mapping[str, Mapping[str, Any]]) -> Element:
    rows = []
    for name, column in columns.items():
        for measure in all_distances(categories="categories" in column):
            key, floor = measure.name, column[measure.floor_key]
            low, high = column[f"{key}_interval"]
            floors = (floor, column[f"{key}_image_floor"], column[f"{key}_upper_floor"])
            shown = not math.isnan(floor)
            finite = shown and math.isfinite(column[key])
            rows.append(
                [
                    name,
                    measure.label,
                    distance(column[key]) if shown else DASH,
                    f"{format_number(low)} to {format_number(high)}" if finite else DASH,
                    *(DASH if math.isnan(f) else format_number(f) for f in floors),
                ]
            )
    head = ("Column", "Distance", "Value", "95% interval", "Floor", "Floor by image", "Significant above")
    return table(caption, head, rows, numbers=(2, 3, 4, 5, 6))


def statement(text: str) -> Element:
    """A sentence in place of something that cannot be shown."""
    return tag("p", text, class_="remark")


def share(value: float) -> str:
    """A share as a whole percentage; a dash if it is unknown."""
    return DASH if not np.isfinite(value) else f"{value:.0%}"

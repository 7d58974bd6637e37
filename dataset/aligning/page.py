# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of an alignment: each step with what it changed, what it gained, and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import attrs

from ..report import charts
from ..report import page as report_page
from ..report.markup import Node, data_uri, document, tag
from ..report.sections import table
from .workspace.gains import FARTHER, NEARER, SAME

_CHIPS = {NEARER: "consistent", FARTHER: "different", SAME: "unknown"}
_WORDS = {SAME: "no significant difference"}
_SHEET = "contact_sheet.jpg"

ABOUT = (
    "The composite is the geometric mean of its components; 1 means that none exceeds its floor, the distance of real "
    "samples of this size. A component is 1 plus what its distance exceeds the floor by, in units of the distance "
    "between halves of the real photos. The last column says whether a step's images are significantly nearer to the "
    "photos than those of the step before."
)


@attrs.frozen
class StepText:
    """What the page says about a step: its name and title, whether it was skipped and why, and what it found."""

    name: str
    title: str
    skipped: str
    sentences: Sequence[str]


def align_page(
    title: str, steps: Sequence[StepText], gains: Mapping[str, Any] | None, datasets: Mapping[str, Path], recipe: str
) -> bytes:
    """The page as HTML; equal arguments and pictures give equal bytes."""
    body: list[Node] = [
        tag("header", tag("p", "Twinset alignment", class_="over"), tag("h1", title)),
        tag(
            "main",
            *([_gain_section(gains)] if gains else []),
            *(_step_section(step, datasets.get(step.name)) for step in steps),
            _next_section(recipe),
        ),
    ]
    css = resources.files(report_page.__package__ or "").joinpath("page.css").read_text(encoding="utf-8")
    return document(f"{title} | Twinset", css, *body)


def _gain_section(gains: Mapping[str, Any]) -> Element:
    real, parts = gains["real"], list[Node]()
    parts.append(tag("h2", "Gains"))
    parts.append(
        tag(
            "p",
            f"Measured on {real['images']} photos with {real['boxes']} boxes of {', '.join(gains['classes'])}.",
            class_="lead",
        )
    )
    parts.append(tag("p", ABOUT, class_="aside"))
    for key, caption in (("boxes", "Boxes and their looks"), ("pictures", "Tones and colours of whole pictures")):
        if gains[key] is not None:
            parts.append(_gain_table(caption, gains[key], gains["order"], gains["sizes"]))
            parts += [tag("p", text, class_="muted") for text in gains[key]["left_out"]]
    parts += [tag("p", text, class_="note") for text in gains["problems"]]
    return tag("section", *parts, id="gains")


def _gain_table(caption: str, measured: Mapping[str, Any], order: Sequence[str], sizes: Mapping[str, Any]) -> Element:
    datasets, components = measured["datasets"], measured["components"]
    most = max(one["value"] for one in datasets.values())
    rows: list[list[Node]] = []
    for name in order:
        one = datasets[name]
        word = _WORDS.get(one["change"], one["change"])
        chip = tag("span", word, class_=f"chip {_CHIPS[one['change']]}") if word else ""
        cells = [f"{one['components'][c]['ratio']:.2f}" for c in components]
        interval = f"{one['low']:.2f} to {one['high']:.2f}"
        rows.append(
            [
                name,
                str(sizes[name]["images"]),
                f"{one['value']:.2f}",
                interval,
                charts.bar(one["value"] / most),
                *cells,
                chip,
            ]
        )
    floor = f"{measured['floor']:.2f}, below {measured['upper_floor']:.2f} in 95%"
    rows.append(["halves of the photos", "", floor, "", "", *([""] * len(components)), ""])
    head = ["Images after", "Number", "Composite", "95% interval", "", *components, "Than before"]
    return tag("div", table(caption, head, rows, numbers=(1, 2, 3)))


def _step_section(step: StepText, folder: Path | None) -> Element:
    heading = tag("h2", step.title, " ", tag("small", step.name))
    if step.skipped:
        return tag("section", heading, tag("p", f"Skipped: {step.skipped}.", class_="muted"), id=step.name)
    parts: list[Node] = [heading, *(tag("p", text) for text in step.sentences)]
    sheet = None if folder is None else folder / _SHEET
    if sheet is not None and sheet.is_file():
        parts.append(
            tag("img", src=data_uri(sheet.read_bytes()), alt=f"Images after {step.name}", style="max-width:100%")
        )
    return tag("section", *parts, id=step.name)


def _next_section(recipe: str) -> Element:
    return tag(
        "section",
        tag("h2", "Next"),
        tag(
            "p", "More images of the aligned recipe: ", tag("code", f"twinset render {recipe} -o FOLDER --images 5000")
        ),
        id="next",
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a report with images: samples with boxes, shapes, and the feature map."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from ...alignment.distances.registry import all_feature_distances
from ...alignment.features.crops import crop_boxes
from ..formats.metadata_table import TableColumns
from ..store.frames import encode_image
from . import charts
from .class_summary import Shape
from .contact_sheet import COLORS
from .feature_map import THUMBNAIL, Example, FeatureMap
from .formatting import DASH, format_quantity
from .markup import Node, data_uri, tag
from .report_dataset import ReportDataset, spread
from .sections import share, statement, table

SAMPLES = 8
"""Images per dataset."""
_WIDTH, _QUALITY = 420, 78
_SAMPLE_COLUMNS = ("image_id", "class", "bbox_x", "bbox_y", "bbox_w", "bbox_h", "visible_share")
_MAX_THUMBNAILS = 24
"""Shapes with a thumbnail; further ones are listed without."""


def samples(
    sides: tuple[ReportDataset, ReportDataset], columns: Sequence[TableColumns], classes: Sequence[str]
) -> Element:
    """Images of both datasets with the boxes of some classes; ``columns`` are the metadata of their boxes."""
    colors = {name: "rgb({},{},{})".format(*COLORS[i % len(COLORS)]) for i, name in enumerate(classes)}
    key = [tag("li", tag("span", class_="swatch", style=f"background:{color}"), name) for name, color in colors.items()]
    parts: list[Node] = [tag("h2", "Images"), tag("ul", *key, class_="key-list")]
    for dataset, word, known in zip(sides, ("Real", "Synthetic"), columns, strict=True):
        parts += [tag("h3", f"{word}: {dataset.name}"), *_grid(dataset, known, colors)]
    return tag("section", *parts, id="pictures")


def _grid(dataset: ReportDataset, columns: TableColumns, colors: Mapping[str, str]) -> list[Node]:
    known = {name: columns[name] for name in _SAMPLE_COLUMNS if name in columns}
    owners, names = known["image_id"], known["class"]
    seen = list(dict.fromkeys(owner for owner, name in zip(owners, names, strict=True) if name in colors))
    wanted = {seen[i] for i in spread(len(seen), SAMPLES)}
    by_image: dict[int, list[int]] = {}
    for i, (owner, name) in enumerate(zip(owners, names, strict=True)):
        if owner in wanted and name in colors:
            by_image.setdefault(owner, []).append(i)
    chosen = [image for image in dataset.coco.images if image["id"] in wanted]
    pictures = [dataset.picture(image) for image in chosen]
    figures = [
        _sample(image, picture, [_box(known, i) for i in by_image[image["id"]]], colors)
        for image, picture in zip(chosen, pictures, strict=True)
    ]
    missing = sum(p is None for p in pictures)
    note = None
    if missing:
        which = "The images were" if missing == len(pictures) else f"{missing} of the images were"
        note = statement(f"{which} not found near the annotations, so boxes are shown on a blank background.")
    return [note, tag("div", *figures, class_="grid")]


def _box(columns: TableColumns, i: int) -> tuple[str, tuple[float, ...], Any]:
    """Class, [x, y, w, h] and visible share of a box; None if the share is unknown."""
    shares = columns.get("visible_share")
    bbox = tuple(float(columns[f"bbox_{axis}"][i]) for axis in "xywh")
    return columns["class"][i], bbox, None if shares is None else shares[i]


def _sample(
    image: Mapping[str, Any],
    picture: np.ndarray | None,
    annotated: Iterable[tuple[str, tuple[float, ...], Any]],
    colors: Mapping[str, str],
) -> Element:
    width, height = int(image["width"]), int(image["height"])
    boxes, counts = [], dict[str, int]()
    for name, (x, y, w, h), share_seen in sorted(annotated, key=lambda one: -one[1][2] * one[1][3]):
        counts[name] = counts.get(name, 0) + 1
        description = f"{name}, {format_quantity('area', w * h / (width * height))} of the image"
        if isinstance(share_seen, float) and math.isfinite(share_seen):
            description += f", {share_seen:.0%} visible"
        boxes.append(tag("rect", tag("title", description), x=x, y=y, width=w, height=h, stroke=colors[name]))
    shown = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
    file = str(image.get("file_name") or f"image {image['id']}")
    paper: Node = tag("rect", x=0, y=0, width=width, height=height, class_="paper")
    if picture is not None:
        paper = tag("image", href=photo(picture, _WIDTH), x=0, y=0, width=width, height=height)
    return tag(
        "figure",
        charts.svg(width, height, f"{file}: {shown}", paper, tag("g", *boxes, class_="boxes"), class_="sample"),
        tag("figcaption", tag("span", file, class_="file"), tag("span", shown)),
    )


def photo(picture: np.ndarray, width: int) -> str:
    """An image (H, W, 3) as a data URI, at most ``width`` pixels wide."""
    import cv2

    if picture.shape[1] > width:
        size = width, max(1, round(picture.shape[0] * width / picture.shape[1]))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return data_uri(encode_image(picture, "jpg", _QUALITY))


def shape_table(dataset: ReportDataset, shapes: Sequence[Shape]) -> list[Node]:
    """The shapes of a class, with a thumbnail of each."""
    if not shapes:
        return []
    wanted = {s.best["image_id"] for s in shapes[:_MAX_THUMBNAILS]}
    images = {image["id"]: image for image in dataset.coco.images if image["id"] in wanted}
    total, most = sum(s.count for s in shapes), max(s.count for s in shapes)
    scored = any(s.score for s in shapes)
    rows = []
    for i, s in enumerate(shapes):
        picture = dataset.picture(images[s.best["image_id"]]) if i < _MAX_THUMBNAILS else None
        thumbnail: Node = None
        if picture is not None:
            (crop,) = crop_boxes(picture, [s.best["bbox"]], THUMBNAIL)
            thumbnail = _thumbnail(crop, f"The shape {s.name}")
        row: list[Any] = [[thumbnail, tag("span", s.name)], str(s.count)]
        row.append(tag("span", charts.bar(s.count / most), f" {s.count / total:.0%}"))
        row += [share(s.visible), format_quantity("area", s.area)]
        rows.append([*row, *_score(s)] if scored else row)
    head = ["Shape", "Boxes", "Share", "Visible, median", "Area, median"]
    caption = "Models of this class, most frequent first"
    if scored:
        head += ["Typical of real", "95% interval"]
        caption = "Models of this class, least typical first"
    shown = table(caption, head, rows, numbers=(1, 3, 4, 5, 6))
    parts: list[Node] = [tag("h3", "Shapes"), tag("div", shown, class_="shapes")]
    if scored:
        meant = (
            "Typical of real: mean share of real boxes that are less typical than a box of this shape; 0.50 is the "
            "average of real boxes. Worse: significantly less typical than the other shapes."
        )
        parts.append(tag("p", meant, class_="muted"))
    return parts


def _score(shape: Shape) -> list[Node]:
    """How typical a shape is, with its interval."""
    score = shape.score
    if score is None:
        return [DASH, DASH]
    mean = f"{score.mean:.2f}"
    marked = tag("span", tag("span", "worse", class_="chip different"), f" {mean}") if score.worse else mean
    return [marked, f"{score.low:.2f} to {score.high:.2f}"]


def feature_section(mapped: FeatureMap) -> list[Node]:
    """The feature map and notable boxes."""
    marks = []
    rows: list[Node] = []
    kinds = (
        ("odd", "synth", mapped.odd, "Least like real ones", "synthetic boxes, each above its nearest real box"),
        ("uncovered", "real", mapped.uncovered, "Not covered", "real boxes farthest from any synthetic one"),
        ("typical", "synth", mapped.typical, "Most like real ones", "synthetic boxes"),
    )
    count = 0
    for name, kind, examples, heading, what in kinds:
        pairs = []
        for example in examples:
            count += 1
            if name != "typical":
                marks.append((*example.at, str(count), kind))
            pairs.append(_pair(example, str(count) if name != "typical" else "", heading))
        rows.append(tag("div", tag("h4", heading, " ", tag("small", what)), tag("div", *pairs, class_="pairs")))
    title = "Real and synthetic boxes on the first two principal components of their features"
    chart = charts.scatter(mapped.real, mapped.synth, title, marks)
    return [
        tag("h3", "Features"),
        tag(
            "p",
            f"Each dot is a box in the feature space of {mapped.model}. {mapped.strange:.0%} of the synthetic boxes "
            "are less typical than 95% of the real ones; 5% would be expected. The map shows "
            f"{mapped.explained:.0%} of the variance; numbered dots are the boxes beside it.",
        ),
        *(statement(note) for note in mapped.notes),
        tag("div", tag("figure", chart), tag("div", *rows), class_="map"),
        *_set_distances(mapped),
    ]


def _set_distances(mapped: FeatureMap) -> list[Node]:
    """A table of the distances of the two sets of features."""
    if not mapped.distances:
        return []
    rows = []
    for distance in all_feature_distances():
        one = mapped.distances[distance.name]
        side = "below" if distance.similarity else "above"
        judged = "differs" if one.significant else "consistent"
        rows.append(
            [
                tag("span", distance.label, title=f"{distance.definition} [{distance.source}]".removesuffix(" []")),
                f"{one.value:.3f}",
                f"{one.low:.3f} to {one.high:.3f}",
                f"{one.floor:.3f}",
                f"{side} {one.critical:.3f}",
                tag("span", judged, class_=f"chip {'different' if one.significant else 'consistent'}"),
            ]
        )
    head = ["Distance", "Value", "95% interval", "Floor", "Significant", "Verdict"]
    shown = table("Distances of all real and all synthetic boxes in features", head, rows, numbers=(1, 2, 3, 4))
    meant = (
        "KID: the larger, the farther apart. Precision and density fall where synthetic boxes look like no real one, "
        "recall and coverage where real boxes have no synthetic ones like them. The floor is what two samples of one "
        "source of these sizes show on average."
    )
    return [tag("div", shown), tag("p", meant, class_="muted")]


def _pair(example: Example, number: str, heading: str) -> Element:
    return tag(
        "figure",
        tag("span", number, class_="count") if number else None,
        _thumbnail(example.picture, f"{heading} {number}".strip()),
        _thumbnail(example.nearest, "Nearest box of the other dataset"),
    )


def _thumbnail(crop: np.ndarray, description: str) -> Element:
    height, width = crop.shape[:2]
    source = data_uri(encode_image(crop, "jpg", 75))
    return tag("img", src=source, alt=description, width=width, height=height)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of a report on slices of boxes: bias and variation, and a detector's errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from ...alignment.columns.registry import find_column
from ...alignment.evaluation.representation import OVER, UNDER, Representation, representation
from ...alignment.evaluation.slices import Slice, heading
from ...alignment.features.crops import crop_boxes
from ...alignment.features.variation import Spread, between_classes, spreads
from ...engine.plugin.columns import IDENTIFIERS
from ...engine.rng import stream
from ..analysis.box_colors import COLOR, box_colors
from ..analysis.detector_errors import DetectorErrors, examples
from ..formats.coco import by_image
from ..formats.coco_in_memory import CocoInMemory
from ..formats.metadata_table import TableColumns
from ..store.frames import encode_image
from . import charts
from .feature_map import THUMBNAIL, FeatureMap
from .formatting import DASH
from .markup import Node, data_uri, tag
from .report_dataset import ReportDataset, spread
from .sections import table

_SHOWN = 12
_MAX_SHAPES = 20
_SHOWN_ERRORS = 10
_EXAMPLES = 6


def bias_section(
    sides: tuple[ReportDataset, ReportDataset],
    columns: Sequence[TableColumns],
    names: Sequence[str],
    maps: Mapping[str, FeatureMap],
    pictures: int,
    seed: int,
) -> Element:
    """What is over- or under-represented in the synthetic dataset, and the variation of its boxes, class by class."""
    colors = [_colors(side, pictures) for side in sides]
    parts: list[Node] = [
        tag("h2", "Bias and variation"),
        tag(
            "p",
            "Slices of the boxes, such as the smallest third of the real ones, that the synthetic dataset has "
            "significantly more or less often (5% for all slices of a class together, Holm).",
            class_="aside",
        ),
    ]
    for name in names:
        known = [_of_class(table_, name, own) for table_, own in zip(columns, colors, strict=True)]
        found = representation(known[0][0], known[1][0], known[0][1], known[1][1])
        parts += [tag("h3", name), _shares(found)]
        if name in maps:
            parts += _variation(maps[name], columns[1], name, seed)
    if len(maps) > 1:
        parts += _between(maps)
    return tag("section", *parts, id="bias")


def _colors(side: ReportDataset, limit: int) -> dict[int, str]:
    if side.images is None or isinstance(side.coco, CocoInMemory) or limit < 1:
        return {}
    own = by_image(a for a in side.coco.annotations if not a.get("iscrowd"))
    shown = [image for image in side.coco.images if image["id"] in own]
    out: dict[int, str] = {}
    for i in spread(len(shown), limit):
        picture = side.picture(shown[i])
        if picture is not None:
            out |= box_colors(picture, own[shown[i]["id"]])
    return out


def _of_class(
    columns: TableColumns, name: str, colors: Mapping[int, str]
) -> tuple[dict[str, Sequence[object]], np.ndarray]:
    """The columns of the boxes of a class that slices are made of, and the image of each."""
    rows = [i for i, owner in enumerate(columns["class"]) if str(owner) == name]
    kept: dict[str, Sequence[object]] = {}
    for column, values in columns.items():
        declared = find_column(column)
        if column not in IDENTIFIERS and (declared.reported or column in ("bbox_area", "aspect")):
            kept[column] = [values[i] for i in rows]
    if colors:
        kept[COLOR] = [colors.get(int(columns["id"][i])) for i in rows]
    return kept, np.array([columns["image_id"][i] for i in rows], dtype=int)


def _shares(found: Sequence[Representation]) -> Node:
    rows = []
    for place, one in enumerate(found):
        if place >= _SHOWN and not one.verdict:
            continue
        chip = {OVER: "over-represented", UNDER: "under-represented"}.get(one.verdict)
        ratio = f"{one.ratio:.2f}" if math.isfinite(one.ratio) else DASH
        rows.append(
            [
                f"{heading(one.column)}: {one.name}",
                DASH if math.isnan(one.low) else f"{one.low:.3g} to {one.high:.3g}",
                f"{one.real_share:.0%}",
                f"{one.synth_share:.0%}",
                ratio,
                tag("span", chip, class_="chip different") if chip else "",
            ]
        )
    head = ["Slice", "Values", "Real", "Synthetic", "Ratio", ""]
    return tag("div", table("Shares of slices of the boxes", head, rows, numbers=(1, 2, 3, 4)))


def _variation(mapped: FeatureMap, columns: TableColumns, name: str, seed: int) -> list[Node]:
    """How much boxes differ within the class: real ones, synthetic ones, and those of each shape."""
    if mapped.boxes is None:
        return []
    real, synth = mapped.boxes
    groups = {"all real boxes": (0, np.arange(len(real.ids))), "all synthetic boxes": (1, np.arange(len(synth.ids)))}
    if "shape" in columns:
        shape_of = {int(i): shape for i, shape in zip(columns["id"], columns["shape"], strict=True)}
        shapes = np.array([str(shape_of.get(int(i)) or "") for i in synth.ids])
        names, counts = np.unique(shapes[shapes != ""], return_counts=True)
        for shape in names[np.argsort(-counts, kind="stable")][:_MAX_SHAPES]:
            groups[str(shape)] = (1, np.flatnonzero(shapes == shape))
    found = spreads((real.features, synth.features), (real.image, synth.image), groups, stream(seed, "variation", name))
    if not found:
        return []
    most = max(one.high if math.isfinite(one.high) else one.value for one in found)
    rows = [_spread_row(one, most) for one in found]
    head = ["Boxes", "Number", "Mean distance", "95% interval", "Floor", "", ""]
    shown = table(
        "Variation within the class: mean distance of two boxes in features", head, rows, numbers=(1, 2, 3, 4)
    )
    meant = (
        "Distances are divided by that of real boxes. The floor is the smallest value that 95% of random samples of as "
        "many real boxes exceed: below it, boxes vary significantly less than real ones."
    )
    return [tag("div", shown), tag("p", meant, class_="muted")]


def _spread_row(one: Spread, most: float) -> list[Node]:
    interval = f"{one.low:.2f} to {one.high:.2f}" if math.isfinite(one.low) else DASH
    floor = f"{one.floor:.2f}" if math.isfinite(one.floor) else DASH
    chip = tag("span", "varies less", class_="chip different") if one.value < one.floor else ""
    return [one.name, str(one.boxes), f"{one.value:.2f}", interval, floor, charts.bar(one.value / most), chip]


def _between(maps: Mapping[str, FeatureMap]) -> list[Node]:
    """How far classes are from each other, among real and among synthetic boxes."""
    known = {name: mapped.boxes for name, mapped in maps.items() if mapped.boxes is not None}
    features = [{name: boxes[side].features for name, boxes in known.items()} for side in (0, 1)]
    rows = [
        [f"{a} and {b}", f"{real:.2f}", f"{synth:.2f}", f"{synth / real:.2f}" if real else DASH]
        for a, b, real, synth in between_classes(features[0], features[1])
    ]
    head = ["Classes", "Real", "Synthetic", "Ratio"]
    caption = "Variation between classes: mean distance of two boxes, one of each class"
    return [tag("h3", "Between classes"), tag("div", table(caption, head, rows, numbers=(1, 2, 3)))]


def error_section(errors: DetectorErrors, real: ReportDataset) -> Element:
    """Tables of slices, and examples of missed boxes of the slices that no other explains."""
    missed = int(errors.missed.sum())
    leading = errors.leading()
    lead = f"The detector misses {missed} of {errors.boxes} real boxes. " + (
        f"It misses significantly more of: {'; '.join(one.title.lower() for one in leading)}."
        if leading
        else "No slice of them is missed significantly more often than the rest."
    )
    parts: list[Node] = [tag("h2", "Detector"), tag("p", lead, class_="lead")]
    parts.append(tag("div", _error_table(errors.of_missed, "Missed real boxes, by slice", "Missed")))
    for one in leading:
        shown = _crops(errors, one, real)
        if shown:
            parts += [tag("h4", one.title, " ", tag("small", "missed boxes")), tag("div", *shown, class_="pairs")]
    if errors.wrong:
        title = f"Wrong among {errors.predictions} predictions, by slice"
        parts.append(tag("div", _error_table(errors.of_invented, title, "Wrong")))
    parts.append(
        tag(
            "p",
            "Numbers are cut at thirds of the boxes, positions at thirds of the image. Worse: significant at a level "
            "of 5% for all slices together (Holm); boxes of one image do not count as independent.",
            class_="muted",
        )
    )
    return tag("section", *parts, id="detector")


def _error_table(slices: Sequence[Slice], caption: str, word: str) -> Element:
    rows = []
    for place, one in enumerate(slices):
        if place >= _SHOWN_ERRORS and not one.significant:
            continue
        chip = tag("span", "worse", class_="chip different") if one.significant else ""
        values = DASH if math.isnan(one.low) else f"{one.low:.3g} to {one.high:.3g}"
        rest = DASH if math.isnan(one.rest) else f"{one.rest:.0%}"
        interval = f"{one.share_low:.0%} to {one.share_high:.0%}" if one.boxes else DASH
        rows.append([one.title, values, str(one.boxes), f"{one.share:.0%}", interval, rest, chip])
    return table(caption, ["Slice", "Values", "Boxes", word, "95% interval", "Rest", ""], rows, numbers=(1, 2, 3, 4, 5))


def _crops(errors: DetectorErrors, one: Slice, real: ReportDataset) -> list[Element]:
    if isinstance(real.coco, CocoInMemory):
        return []  # it has no images
    boxes = {a["id"]: a for a in real.coco.annotations}
    images = {i["id"]: i for i in real.coco.images}
    shown = []
    for id in examples(errors, one, _EXAMPLES):
        picture: np.ndarray | None = real.picture(images[boxes[id]["image_id"]])
        if picture is not None:
            (crop,) = crop_boxes(picture, [boxes[id]["bbox"]], THUMBNAIL)
            source = data_uri(encode_image(crop, "jpg", 75))
            shown.append(tag("img", src=source, alt=f"Missed box {id}", width=THUMBNAIL[0], height=THUMBNAIL[1]))
    return shown

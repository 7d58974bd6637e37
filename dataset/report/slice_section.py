# SPDX-License-Identifier: GPL-3.0-or-later
"""The section of a report on a detector's errors: which real boxes are missed, which predictions are wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from ...alignment.evaluation.slices import Slice
from ...alignment.features.crops import crop_boxes
from ..analysis.detector_errors import DetectorErrors, examples
from ..formats.coco_in_memory import CocoInMemory
from ..store.frames import encode_image
from .feature_map import THUMBNAIL
from .formatting import DASH
from .markup import Node, data_uri, tag
from .report_dataset import ReportDataset
from .sections import table

_SHOWN = 10
_EXAMPLES = 6


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
    parts.append(tag("div", _table(errors.of_missed, "Missed real boxes, by slice", "Missed")))
    for one in leading:
        shown = _crops(errors, one, real)
        if shown:
            parts += [tag("h4", one.title, " ", tag("small", "missed boxes")), tag("div", *shown, class_="pairs")]
    if errors.wrong:
        title = f"Wrong among {errors.predictions} predictions, by slice"
        parts.append(tag("div", _table(errors.of_invented, title, "Wrong")))
    parts.append(
        tag(
            "p",
            "Numbers are cut at thirds of the boxes, positions at thirds of the image. Worse: significant at a level "
            "of 5% for all slices together (Holm); boxes of one image do not count as independent.",
            class_="muted",
        )
    )
    return tag("section", *parts, id="detector")


def _table(slices: Sequence[Slice], caption: str, word: str) -> Element:
    rows = []
    for place, one in enumerate(slices):
        if place >= _SHOWN and not one.significant:
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

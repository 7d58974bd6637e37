# SPDX-License-Identifier: GPL-3.0-or-later
"""Amodal entries: the whole extent of an instance, with what is hidden or beyond the image, and how much is visible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...engine.output.annotation_source import AnnotationSource, Entry, are_numbers, is_mask, is_number
from ...engine.stage import Instance, Shot
from ..formats.rle_masks import encode


class Amodal(AnnotationSource):
    """What an instance would look like if it were seen alone; nothing of one that is out of view."""

    entries: ClassVar = {
        "amodal_bbox": Entry(
            "[x, y, w, h] in pixels of the whole instance, also beyond the image", are_numbers(4), axes="xywh"
        ),
        "amodal_segmentation": Entry("Mask of the whole instance inside the image, as COCO RLE", is_mask, at="record"),
        "visible_share": Entry("Visible pixels / pixels of the whole instance", is_number),
        "truncated_share": Entry("Pixels beyond the image / pixels of the whole instance", is_number),
    }

    def annotate(self, instance: Instance, row: Mapping[str, Any], shot: Shot) -> Mapping[str, Any]:
        amodal = shot.amodal.get(instance.id)
        if amodal is None or not amodal.pixels:
            return {}
        return {
            "amodal_bbox": list(amodal.bbox),
            "amodal_segmentation": encode(amodal.mask),
            "visible_share": amodal.visible_share(int(row["area"])),
            "truncated_share": 1.0 - int(amodal.mask.sum()) / amodal.pixels,
        }

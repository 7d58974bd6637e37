# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames that the bridge adds to a BlenderProc script, and their labels in BlenderProc's format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from ...engine.stage import CameraPose, Labels


@attrs.frozen(eq=False)
class PlacedObject:
    """One object in a frame.

    ``id`` is its value in the id map, ``entity`` BlenderProc's object, ``class_name`` is "" for a distractor,
    ``local2world`` its pose (4, 4), ``bbox`` its visible box [x, y, w, h] in pixels or None if it is not visible.
    """

    id: int
    entity: Any
    class_name: str
    local2world: np.ndarray
    bbox: tuple[int, int, int, int] | None


@attrs.frozen(eq=False)
class AddedFrame:
    """One frame that was added.

    ``frame`` is its number in BlenderProc, ``index`` that in Twinset's sequence; ``labels`` are ids and depth at pixel
    centres.
    """

    frame: int
    index: int
    camera: CameraPose
    placed: tuple[PlacedObject, ...]
    labels: Labels


def segmentation(frames: Sequence[AddedFrame]) -> dict[str, list[Any]]:
    """The labels of frames in the format of BlenderProc's segmentation renderer, which does not work on Blender 4.5.

    Returns
    -------
    dict of str to list
        One entry per frame, for ``write_hdf5`` and ``write_coco_annotations``: ``instance_segmaps`` (H, W) and
        ``instance_attribute_maps`` with ``idx``, ``category_id`` and ``name``, the class. Category ids start
        at 1, in the order of class names; distractors belong to the background.
    """
    classes = sorted({p.class_name for frame in frames for p in frame.placed if p.class_name})
    number = {"": 0} | {name: n for n, name in enumerate(classes, start=1)}
    world = {"idx": 0, "category_id": 0, "name": "background"}
    return {
        "instance_segmaps": [frame.labels.ids.astype(np.uint16) for frame in frames],
        "instance_attribute_maps": [
            [world]
            + [
                {"idx": p.id, "category_id": number[p.class_name], "name": p.class_name or world["name"]}
                for p in frame.placed
            ]
            for frame in frames
        ],
    }

# SPDX-License-Identifier: GPL-3.0-or-later
"""Named points of assets."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np


@attrs.frozen(eq=False)
class Keypoint:
    """A named point of an asset: its ``position`` (3,) in the asset's frame and ``depth`` to its surface, in metres.

    Joints lie inside of what they move. They count as visible where nothing but the surface around them, up to twice
    this depth, is in front of them.
    """

    position: np.ndarray
    depth: float = 0.0


def keypoint_name(text: str) -> str:
    """The name of a keypoint as recipes write it: ``NAME``, ``NAME: tail`` for the end of a bone, ``NAME: x, y, z``."""
    return text.split(":", 1)[0].strip() if _is_place(text) else text.strip()


def keypoint_place(text: str) -> str | np.ndarray:
    """What follows the name: ``"tail"``, a position (3,) in metres, or "" for nothing."""
    if not _is_place(text):
        return ""
    place = text.split(":", 1)[1].strip()
    return place if place == "tail" else np.array([float(value) for value in place.split(",")])


def skeleton_pairs(edges: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    """Edges written ``NAME - NAME`` as COCO has them: pairs of numbers of keypoints, from 1.

    Raises
    ------
    ValueError
        With a sentence about an edge that is not one.
    """
    pairs = []
    for edge in edges:
        ends = [end.strip() for end in edge.split(" - ")]
        if len(ends) != 2 or not set(ends) <= set(names):
            raise ValueError(
                f"'{edge}' is no edge between two keypoints: write two of {', '.join(names) or 'them'} with ' - ' "
                "between them."
            )
        pairs.append([names.index(end) + 1 for end in ends])
    return pairs


def _is_place(text: str) -> bool:
    name, colon, place = text.partition(":")
    parts = place.split(",")
    return bool(colon and name.strip()) and (
        place.strip() == "tail" or (len(parts) == 3 and all(map(_is_float, parts)))
    )


def _is_float(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False

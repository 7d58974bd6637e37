# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds pictures of one view: resized, recompressed or cropped copies, and frames of one sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np

SAME_VIEW = 12
"""Matching keypoints from which on two pictures show the same view; unrelated photos had at most 6."""

SIMILAR_VIEW = 8
"""The same for pictures of which something else says already that they belong together."""

_SIDE = 480
_KEYPOINTS, _STRONGEST = 600, 200
_FEW_COMMON = 3
_LARGEST_DIFFERENCE = 48
_STRICT_DIFFERENCE = 40
"""Of 256 bits of a descriptor."""
_TOLERANCE = 4.0


@attrs.frozen(eq=False)
class Keypoints:
    """Corners of a picture: places (n, 2) in pixels of the picture at 480 px, and descriptors (n, 32) uint8."""

    places: np.ndarray
    descriptors: np.ndarray


def keypoints(picture: np.ndarray) -> Keypoints:
    """The strongest corners of an RGB picture (H, W, 3), strongest first, by ORB [Rublee et al., ICCV 2011]."""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = _SIDE / max(grey.shape)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found, descriptors = cv2.ORB.create(_KEYPOINTS).detectAndCompute(grey, np.full(grey.shape, 255, np.uint8))
    order = sorted(range(len(found)), key=lambda i: -found[i].response)
    places = np.array([found[i].pt for i in order], dtype=np.float32).reshape(-1, 2)
    return Keypoints(places, np.empty((0, 32), np.uint8) if descriptors is None else descriptors[order])


def matching_keypoints(a: Keypoints, b: Keypoints) -> int:
    """How many corners of one picture are where a shift, turn and scaling puts those of the other; 0 for few."""
    import cv2

    if min(len(a.places), len(b.places)) < SIMILAR_VIEW:
        return 0
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
    strongest = matcher.match(a.descriptors[:_STRONGEST], b.descriptors[:_STRONGEST])
    if sum(match.distance <= _STRICT_DIFFERENCE for match in strongest) < _FEW_COMMON:
        return 0
    matches = [m for m in matcher.match(a.descriptors, b.descriptors) if m.distance <= _LARGEST_DIFFERENCE]
    if len(matches) < SIMILAR_VIEW:
        return 0
    cv2.setRNGSeed(0)  # of the random choices of RANSAC
    first = a.places[[m.queryIdx for m in matches]]
    second = b.places[[m.trainIdx for m in matches]]
    _, inside = cv2.estimateAffinePartial2D(first, second, ransacReprojThreshold=_TOLERANCE)
    return 0 if inside is None else int(inside.sum())


def pairs_of_one_view(
    pictures: Sequence[Keypoints],
    related: Callable[[int, int], bool] = lambda i, j: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[int, int, int]]:
    """Pairs of pictures that show one view, with the number of their matching keypoints.

    Parameters
    ----------
    pictures : sequence of Keypoints
    related : callable
        Whether something else says that two pictures belong together, so that a weaker match is enough.
    progress : callable
        Takes the number of pictures done and their total.
    """
    for i, one in enumerate(pictures):
        progress(i, len(pictures))
        for j in range(i):
            count = matching_keypoints(pictures[j], one)
            if count >= (SIMILAR_VIEW if related(j, i) else SAME_VIEW):
                yield j, i, count

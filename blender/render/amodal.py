# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instances must be rendered alone to know their whole extent, where, and which of them can share a render."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ...engine.stage import Amodal, CameraPose, Instance, Labels, extent

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels, unclipped."""

Region = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in whole pixels, the last ones excluded."""

_MARGIN = 2
_RENDER = 40_000
"""A render of its own takes as long as so many pixels more."""


def projected_box(instance: Instance, camera: CameraPose) -> Box | None:
    """Box of all that lies in front of the camera; None where nothing does.

    Where a part lies behind the camera the box has no finite end on that side, so it covers everything there.
    """
    corners = instance.asset.mesh.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
    pixels, depth = camera.project(corners)
    front = depth > camera.near
    if not front.any():
        return None
    low, high = pixels[front].min(0), pixels[front].max(0)
    if not front.all():
        low = np.minimum(low, (-camera.width, -camera.height))
        high = np.maximum(high, (2 * camera.width, 2 * camera.height))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def meets_image(box: Box, width: int, height: int) -> bool:
    """Whether any of a box lies in the image."""
    return box[2] > 0 and box[3] > 0 and box[0] < width and box[1] < height


def reaches_beyond(box: Box, width: int, height: int) -> bool:
    """Whether any of a box lies outside the image."""
    return box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height


def region_around(box: Box, width: int, height: int) -> Region:
    """The pixels of an image of this size that a box covers, and a few around it."""
    return (
        int(np.clip(np.floor(box[0]) - _MARGIN, 0, width - 1)),
        int(np.clip(np.floor(box[1]) - _MARGIN, 0, height - 1)),
        int(np.clip(np.ceil(box[2]) + _MARGIN, 1, width)),
        int(np.clip(np.ceil(box[3]) + _MARGIN, 1, height)),
    )


def is_whole(instance: Instance, box: Box, camera: CameraPose, labels: Labels) -> bool:
    """Whether nothing can hide any of an instance, so that its visible mask is all of it.

    Behind whatever else is seen within its projected box, no ray may pass through the bounding box of the instance: the
    box in the asset's own frame, which what stands on a floor has none of below that floor.

    Parameters
    ----------
    instance, box
        An instance and its projected box.
    camera, labels
        The camera, and ids and depth of the whole image seen through it.
    """
    height, width = labels.ids.shape
    if reaches_beyond(box, width, height):
        return False
    x0, y0, x1, y1 = region_around(box, width, height)
    ids, depth = labels.ids[y0:y1, x0:x1], labels.depth[y0:y1, x0:x1]
    rows, columns = np.nonzero(ids != instance.id)
    # Most that are hidden are so by much: few rays tell.
    for some in (slice(None, None, 37), slice(None)):
        v, u = rows[some], columns[some]
        leaves = _leaves(instance, camera, u + x0 + 0.5, v + y0 + 0.5)
        if (leaves > depth[v, u]).any():
            return False
    return True


def _leaves(instance: Instance, camera: CameraPose, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Planar depth (N,) at which rays through pixels leave an instance's bounding box; -inf where they miss it."""
    low, high = instance.asset.bounds
    inverse = np.linalg.inv(instance.matrix)
    origin = inverse[:3, :3] @ camera.position + inverse[:3, 3]
    axes = inverse[:3, :3] @ camera.matrix[:3, :3]
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), -1).reshape(-1, 3) @ instance.matrix[:3, :3].T
    farthest = float(camera.project(corners + instance.matrix[:3, 3])[1].max())
    # A fiftieth of a pixel: labels are of rays that near the centres. What stands on a floor begins where it ends.
    slack = (0.02 * max(farthest, 0.0) / camera.focal + 1e-5) / np.linalg.norm(instance.matrix[:3, :3], axis=0)
    low, high = low - slack * (1, 1, -1), high + slack
    enters, leaves = np.full(len(u), -np.inf), np.full(len(u), np.inf)
    right, up = (u - camera.width / 2) / camera.focal, (camera.height / 2 - v) / camera.focal
    for axis in range(3):
        along = axes[axis, 0] * right + axes[axis, 1] * up - axes[axis, 2]
        along[along == 0] = 1e-300
        a, b = (low[axis] - origin[axis]) / along, (high[axis] - origin[axis]) / along
        np.maximum(enters, np.minimum(a, b), out=enters)
        np.minimum(leaves, np.maximum(a, b), out=leaves)
    leaves[leaves < np.maximum(enters, 0.0)] = -np.inf
    return leaves


def as_seen(mask: np.ndarray) -> Amodal:
    """What an instance is alone of which nothing is hidden or cut off."""
    found = extent(mask)
    return Amodal(mask, found or (0, 0, 0, 0), int(np.count_nonzero(mask)))


def groups(regions: Mapping[int, Region]) -> list[list[int]]:
    """Ids in groups whose regions do not meet, each worth a render of the pixels from its first to its last.

    Large ones come first; each joins the group that it makes larger by the fewest pixels, or begins one.
    """
    out: list[list[int]] = []
    for id, region in sorted(regions.items(), key=lambda entry: (-_pixels(entry[1]), entry[0])):
        costs = []
        for group in out:
            members = [regions[other] for other in group]
            before = _pixels(union(members))
            free = not any(_meet(region, other) for other in members)
            costs.append(_pixels(union([*members, region])) - before if free else np.inf)
        best = int(np.argmin(costs)) if costs else -1
        if costs and costs[best] <= _pixels(region) + _RENDER:
            out[best].append(id)
        else:
            out.append([id])
    return out


def union(regions: Iterable[Region]) -> Region:
    """The smallest region that holds all of these."""
    x0, y0, x1, y1 = zip(*regions, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _pixels(region: Region) -> int:
    return (region[2] - region[0]) * (region[3] - region[1])


def _meet(a: Region, b: Region) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

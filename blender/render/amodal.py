# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the instances whose amodal mask needs a render of its own, and groups those that can share a render."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ...engine.stage import Amodal, CameraPose, Instance, Labels, extent

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels, unclipped."""

Region = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in whole pixels, the last ones excluded."""

_MARGIN = 2
_RENDER_COST = 40_000
"""Fixed cost of one more render, as a number of pixels that take the same time."""


def projected_box(instance: Instance, camera: CameraPose) -> Box | None:
    """Box of all vertices in front of the camera; None if there are none.

    If a part lies behind the camera, the box has no finite end on that side, so it covers everything there.
    """
    corners = instance.asset.mesh.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
    if camera.intrinsics is not None and camera.intrinsics.is_distorted:
        # Distortion bends silhouettes beyond their corners, but not beyond those of the bounding box.
        corners = np.concatenate([corners, _bounding_edges(instance)])
    pixels, depth = camera.project(corners)
    front = depth > camera.near
    if not front.any():
        return None
    low, high = pixels[front].min(0), pixels[front].max(0)
    if not front.all():
        low = np.minimum(low, (-camera.width, -camera.height))
        high = np.maximum(high, (2 * camera.width, 2 * camera.height))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _bounding_edges(instance: Instance) -> np.ndarray:
    """Points (12 * 33, 3) along the edges of the bounding box in the asset's frame, in world coordinates."""
    low, high = instance.asset.bounds
    along = np.linspace(0.0, 1.0, 33)
    edges = []
    for axis in range(3):
        for ends in np.ndindex(2, 2):
            share = np.empty((len(along), 3))
            share[:, axis], share[:, [k for k in range(3) if k != axis]] = along, ends
            edges.append(low + share * (high - low))
    return np.asarray(np.concatenate(edges) @ instance.matrix[:3, :3].T + instance.matrix[:3, 3])


def overlaps_image(box: Box, width: int, height: int) -> bool:
    """Whether any part of a box lies inside the image."""
    return box[2] > 0 and box[3] > 0 and box[0] < width and box[1] < height


def extends_beyond_image(box: Box, width: int, height: int) -> bool:
    """Whether any part of a box lies outside the image."""
    return box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height


def region_around(box: Box, width: int, height: int) -> Region:
    """The pixels of an image of this size that a box covers, with a margin of 2 pixels."""
    return (
        int(np.clip(np.floor(box[0]) - _MARGIN, 0, width - 1)),
        int(np.clip(np.floor(box[1]) - _MARGIN, 0, height - 1)),
        int(np.clip(np.ceil(box[2]) + _MARGIN, 1, width)),
        int(np.clip(np.ceil(box[3]) + _MARGIN, 1, height)),
    )


def is_unoccluded(instance: Instance, box: Box, camera: CameraPose, labels: Labels) -> bool:
    """Whether an instance is certainly neither occluded nor truncated, so that its visible mask is its amodal mask.

    At every pixel of its projected box that shows something else, the ray must leave the instance's bounding box in
    front of what is seen. The box is that of the asset's own frame, which ends at the floor under the asset.

    Parameters
    ----------
    instance, box
        An instance and its projected box.
    camera, labels
        The camera, and ids and depth of the whole image seen through it.
    """
    height, width = labels.ids.shape
    if extends_beyond_image(box, width, height):
        return False
    x0, y0, x1, y1 = region_around(box, width, height)
    ids, depth = labels.ids[y0:y1, x0:x1], labels.depth[y0:y1, x0:x1]
    rows, columns = np.nonzero(ids != instance.id)
    # Most occluded instances are occluded by much, so a few rays show it.
    for subset in (slice(None, None, 37), slice(None)):
        v, u = rows[subset], columns[subset]
        exits = _exit_depth(instance, camera, u + x0 + 0.5, v + y0 + 0.5)
        if (exits > depth[v, u]).any():
            return False
    return True


def _exit_depth(instance: Instance, camera: CameraPose, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Planar depth (N,) at which rays through pixels leave an instance's bounding box; -inf if they miss it."""
    low, high = instance.asset.bounds
    inverse = np.linalg.inv(instance.matrix)
    origin = inverse[:3, :3] @ camera.position + inverse[:3, 3]
    axes = inverse[:3, :3] @ camera.matrix[:3, :3]
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), -1).reshape(-1, 3) @ instance.matrix[:3, :3].T
    farthest = float(camera.project(corners + instance.matrix[:3, 3])[1].max())
    right, up, _ = camera.rays(u, v).T
    # Where the lens shows nothing there is nothing to hide.
    unseen = ~np.isfinite(right)
    right, up = np.where(unseen, 0.0, right), np.where(unseen, 0.0, up)
    # A fiftieth of a pixel: label rays are that close to pixel centres. No slack below: assets begin at the floor.
    off = 0.02
    if camera.intrinsics is not None and camera.intrinsics.is_distorted:
        # A quarter of a pixel on each axis, see film.py; away from the axis it is more of a slope.
        off = 0.4 * (1 + float((right**2 + up**2).max(initial=0.0)))
    slack = (off * max(farthest, 0.0) / camera.focal + 1e-5) / np.linalg.norm(instance.matrix[:3, :3], axis=0)
    low, high = low - slack * (1, 1, -1), high + slack
    entry, exit = np.full(len(u), -np.inf), np.full(len(u), np.inf)
    for axis in range(3):
        along = axes[axis, 0] * right + axes[axis, 1] * up - axes[axis, 2]
        along[along == 0] = 1e-300
        a, b = (low[axis] - origin[axis]) / along, (high[axis] - origin[axis]) / along
        np.maximum(entry, np.minimum(a, b), out=entry)
        np.minimum(exit, np.maximum(a, b), out=exit)
    exit[(exit < np.maximum(entry, 0.0)) | unseen] = -np.inf
    return exit


def amodal_from_visible(mask: np.ndarray) -> Amodal:
    """The amodal mask and box of an instance that is neither occluded nor truncated: its visible mask."""
    return Amodal(mask, extent(mask) or (0, 0, 0, 0), int(np.count_nonzero(mask)))


def with_visible(amodal: Amodal, visible: np.ndarray) -> Amodal:
    """An amodal mask that contains the visible one, whatever renders of the lone instance left out."""
    if not (visible & ~amodal.mask).any():
        return amodal
    mask = amodal.mask | visible
    seen = extent(mask)
    whole = amodal.bbox if amodal.bbox[2] > 0 else seen
    if seen is None or whole is None:
        return amodal
    low = np.minimum(seen[:2], whole[:2])
    high = np.maximum(np.add(seen[:2], seen[2:]), np.add(whole[:2], whole[2:]))
    bbox = (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
    return Amodal(mask, bbox, amodal.pixels + int(np.count_nonzero(visible & ~amodal.mask)))


def box_with_visible(box: Box | None, visible: np.ndarray) -> Box | None:
    """The projected box of an instance, enlarged by what is visible of it."""
    seen = extent(visible)
    if seen is None:
        return box
    x, y, width, height = (float(v) for v in seen)
    if box is None:
        return x, y, x + width, y + height
    return min(box[0], x), min(box[1], y), max(box[2], x + width), max(box[3], y + height)


def touches_border(mask: np.ndarray) -> bool:
    """Whether a mask reaches the first or last row or column."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def grown_region(mask: np.ndarray, region: Region, canvas: tuple[int, int]) -> Region:
    """The region, enlarged by its size on each side where its mask reaches the end of it, within the canvas."""
    x0, y0, x1, y1 = region
    across, down = x1 - x0, y1 - y0
    return (
        max(x0 - across, 0) if mask[:, 0].any() else x0,
        max(y0 - down, 0) if mask[0].any() else y0,
        min(x1 + across, canvas[0]) if mask[:, -1].any() else x1,
        min(y1 + down, canvas[1]) if mask[-1].any() else y1,
    )


def group_regions(regions: Mapping[int, Region]) -> list[list[int]]:
    """Ids in groups of non-overlapping regions; each group takes one render of the union of its regions.

    Largest regions first; each joins the group that it enlarges by the fewest pixels, or starts a new one if that is
    cheaper.
    """
    out: list[list[int]] = []
    for id, region in sorted(regions.items(), key=lambda item: (-_pixels(item[1]), item[0])):
        costs = []
        for group in out:
            members = [regions[other] for other in group]
            before = _pixels(union(members))
            is_free = not any(_overlap(region, other) for other in members)
            costs.append(_pixels(union([*members, region])) - before if is_free else np.inf)
        best = int(np.argmin(costs)) if costs else -1
        if costs and costs[best] <= _pixels(region) + _RENDER_COST:
            out[best].append(id)
        else:
            out.append([id])
    return out


def union(regions: Iterable[Region]) -> Region:
    """The smallest region that contains all of these."""
    x0, y0, x1, y1 = zip(*regions, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _pixels(region: Region) -> int:
    return (region[2] - region[0]) * (region[3] - region[1])


def _overlap(a: Region, b: Region) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Places one asset in front of a posed camera so that its box matches its goal and its placement's rules hold."""

from __future__ import annotations

import attrs
import numpy as np

from ..geometry.framing import box_area
from ..geometry.projection import Projection
from ..geometry.support import CONTACT_GAP, nearest_ground_point
from ..goals import Goal
from ..stage import CameraPose, Stage
from .asset_options import Option
from .height_maps import site_map
from .silhouette import visible_box

TOLERANCE = 0.004
"""Relative error of the area, and twice the error of the centre in image units, at which a position is accepted."""
_MAX_HEIGHT_ERROR = 0.15


@attrs.frozen(eq=False)
class PlacedOption:
    """An option placed in the scene: its ``matrix`` (4, 4), its ``position_xy`` (2,) in the world, and its projected
    ``box`` (4,) in image units."""

    option: Option
    matrix: np.ndarray
    position_xy: np.ndarray
    box: np.ndarray


def place_option(
    stage: Stage,
    option: Option,
    goal: Goal,
    pose: CameraPose,
    start: np.ndarray,
    *,
    ignore: tuple[int, ...] = (),
    iterations: int = 24,
) -> PlacedOption | str:
    """Find the position of an option at which its visible box matches its goal, or the reason why there is none.

    Parameters
    ----------
    stage : Stage
    option : Option
    goal : Goal
        The visible box gets its area and the x of its centre.
    pose : CameraPose
    start : (3,) float
        Where the search starts, in the world.
    ignore : tuple of int
        Ids of instances that it may intersect.
    """
    site, asset = option.site, option.asset
    eye = pose.position[:2]
    matrix = np.eye(4)
    matrix[:3, :3] = option.scale * option.rotation
    lowest = float((asset.mesh.vertices @ matrix[2, :3]).min())
    xy, lift = np.array(start[:2], dtype=float), 0.0
    z, normal = float(start[2]), np.array([0.0, 0.0, 1.0])
    exact: np.ndarray | None = None
    focal = pose.focal / pose.width
    forward = -pose.matrix[:2, 2] / max(float(np.linalg.norm(pose.matrix[:2, 2])), 1e-9)
    slope = -2.0
    previous: tuple[float, float] | None = None
    contact_count = 0
    instance_names = {i.asset.name for i in stage.instances if i.id not in ignore}
    for _ in range(iterations):
        matrix[:3, 3] = *xy, z - lowest + CONTACT_GAP + lift
        box = visible_box(asset, matrix, pose)
        if box is None:
            return "out of the picture"
        log_area_error = float(np.log(max(float(box_area(box)), 1e-9) / goal.area))
        center_error = float((box[0] + box[2]) / 2 - goal.center[0])
        spans_image = box[0] <= 0 and box[2] >= 1
        if abs(log_area_error) <= TOLERANCE and (abs(center_error) <= TOLERANCE / 2 or spans_image):
            # Up to here the height map was precise enough.
            if exact is None or np.abs(xy - exact).max() > 1e-9:
                ground_hit = nearest_ground_point(site.ground, np.array([*xy, z + 0.02]), _MAX_HEIGHT_ERROR)
                if ground_hit is None:
                    return "off the surface"
                height_change, z, normal, exact = (
                    abs(float(ground_hit[0][2]) - z),
                    float(ground_hit[0][2]),
                    ground_hit[1],
                    xy.copy(),
                )
                if height_change > 1e-4:
                    continue
            # Nine of ten rejected positions intersect another instance, which is faster to check than contact.
            if contact_count == 0 and (other := stage.collides(asset, matrix, ignore=ignore)) in instance_names:
                return f"intersects '{other}'"
            resting_matrix = site.resting_pose(
                stage, asset, option.scale, option.rotation, np.array([*xy, z]), normal,
                tilted=option.tilted, ignore=ignore,
            )  # fmt: skip
            if isinstance(resting_matrix, str):
                return resting_matrix
            if np.abs(resting_matrix - matrix).max() < 5e-4 or contact_count >= 3:
                final = visible_box(asset, resting_matrix, pose)
                return "out of the picture" if final is None else PlacedOption(option, resting_matrix, xy, final)
            # The contact may be at another height than the ground below the origin: search on from there.
            contact_count += 1
            lift, matrix = float(resting_matrix[2, 3] - (z - lowest + CONTACT_GAP)), resting_matrix.copy()
            continue
        direction = xy - eye
        distance = max(float(np.hypot(*direction)), 1e-6)
        if previous is not None and abs(np.log(distance / previous[0])) > 1e-5:
            slope = float(np.clip((log_area_error - previous[1]) / np.log(distance / previous[0]), -6.0, -0.6))
        previous = distance, log_area_error
        stretch = float(np.exp(np.clip(-log_area_error / slope, -0.5, 0.5)))
        one_side = (box[0] <= 0) != (box[2] >= 1)
        cosine = max(float(direction @ forward) / distance, 0.2)
        step = center_error / focal * cosine**2
        if pose.intrinsics is not None:
            right = float(direction[0] * forward[1] - direction[1] * forward[0])
            angle = np.array([[np.copysign(np.arccos(cosine), right)]])
            step = center_error / float(Projection(np.ones((1, 2)), pose.intrinsics).speed(angle)[0, 0])
        turn = 0.0 if spans_image else float(np.clip((1.7 if one_side else 1.0) * step, -0.3, 0.3))
        c, s = np.cos(turn), np.sin(turn)
        xy = eye + stretch * np.array([c * direction[0] - s * direction[1], s * direction[0] + c * direction[1]])
        if exact is None:
            height = float(site_map(stage, site).height_at(xy))
        else:  # the height map has proved too coarse, so the ground itself is intersected
            ground_hit = nearest_ground_point(site.ground, np.array([*xy, z + 0.02]), _MAX_HEIGHT_ERROR)
            height = np.nan if ground_hit is None else float(ground_hit[0][2])
        if abs(height - z) < _MAX_HEIGHT_ERROR:
            z = height
    return "box off its goal"


def visible_box_share(
    stage: Stage, placed: PlacedOption, pose: CameraPose, ignore: tuple[int, ...], *, rays: int = 64
) -> float:
    """Approximate share of an asset's box that remains where other assets or the room hide parts of it; ``ignore``
    holds its own id."""
    asset, matrix = placed.option.asset, placed.matrix
    clouds = [c[np.linspace(0, len(c) - 1, min(rays, len(c))).astype(int)] for c in (asset.outline, asset.points)]
    points = np.concatenate(clouds) @ matrix[:3, :3].T + matrix[:3, 3]
    pixels, depth = pose.project(points)
    inside = (depth > pose.near) & (pixels >= 0).all(1) & (pixels <= (pose.width, pose.height)).all(1)
    if inside.sum() < 2:
        return 1.0
    points, pixels = points[inside], pixels[inside]
    direction = points - pose.position
    length = np.linalg.norm(direction, axis=1)
    origins = np.broadcast_to(pose.position, points.shape)
    hits = stage.cast(origins, direction / length[:, None], ignore=ignore, within=length)
    is_visible = hits.distance >= length - 0.01
    if is_visible.sum() < 2:
        return 0.0
    return float(np.ptp(pixels[is_visible], axis=0).prod() / max(np.ptp(pixels, axis=0).prod(), 1e-9))

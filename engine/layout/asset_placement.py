# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands one thing before a posed camera so that its box is as wanted: real contact, all rules of its placement."""

from __future__ import annotations

import attrs
import numpy as np

from ..geometry.framing import box_area
from ..geometry.support import CONTACT_GAP, nearest_ground_point
from ..goals import Goal
from ..stage import CameraPose, Stage
from .asset_options import Option
from .height_maps import site_map
from .silhouette import visible_box

TOLERANCE = 0.004
"""Relative error of an area, and error of a centre in image units times two, at which a place is found."""
_MAX_HEIGHT_ERROR = 0.15


@attrs.frozen(eq=False)
class PlacedOption:
    """An option that stands: ``matrix`` (4, 4), ``offset_xy`` (2,), ``box`` (4,) as it projects, in image units."""

    option: Option
    matrix: np.ndarray
    offset_xy: np.ndarray
    box: np.ndarray


def place_option(
    stage: Stage,
    option: Option,
    goal: Goal,
    pose: CameraPose,
    offset_xy: np.ndarray,
    *,
    ignore: tuple[int, ...] = (),
    iterations: int = 24,
) -> PlacedOption | str:
    """Find the place of an option, or why there is none.

    Parameters
    ----------
    stage : Stage
    option : Option
    goal : Goal
        Whose area and centre x the visible box is to have.
    pose : CameraPose
    offset_xy : (3,) float
        Where to start.
    ignore : tuple of int
        Instances that are not in its way.
    """
    site, asset = option.site, option.asset
    eye = pose.position[:2]
    matrix = np.eye(4)
    matrix[:3, :3] = option.scale * option.rotation
    lowest = float((asset.mesh.vertices @ matrix[2, :3]).min())
    at, extra = np.array(offset_xy[:2], dtype=float), 0.0
    z, normal = float(offset_xy[2]), np.array([0.0, 0.0, 1.0])
    exact: np.ndarray | None = None
    focal = pose.focal / pose.width
    forward = -pose.matrix[:2, 2] / max(float(np.linalg.norm(pose.matrix[:2, 2])), 1e-9)
    slope = -2.0
    last: tuple[float, float] | None = None
    contacts = 0
    things = {i.asset.name for i in stage.instances if i.id not in ignore}
    for _ in range(iterations):
        matrix[:3, 3] = *at, z - lowest + CONTACT_GAP + extra
        box = visible_box(asset, matrix, pose)
        if box is None:
            return "out of the picture"
        growth = float(np.log(max(float(box_area(box)), 1e-9) / goal.area))
        off = float((box[0] + box[2]) / 2 - goal.center[0])
        pinned = box[0] <= 0 and box[2] >= 1
        if abs(growth) <= TOLERANCE and (abs(off) <= TOLERANCE / 2 or pinned):
            # Till now the map was enough to go by.
            if exact is None or np.abs(at - exact).max() > 1e-9:
                found = nearest_ground_point(site.ground, np.array([*at, z + 0.02]), _MAX_HEIGHT_ERROR)
                if found is None:
                    return "off the surface"
                moved, z, normal, exact = abs(float(found[0][2]) - z), float(found[0][2]), found[1], at.copy()
                if moved > 1e-4:
                    continue
            # Nine of ten that find no place meet another thing: that is told sooner than how they would rest.
            if contacts == 0 and (other := stage.collides(asset, matrix, ignore=ignore)) in things:
                return f"intersects '{other}'"
            stood = site.resting_pose(
                stage, asset, option.scale, option.rotation, np.array([*at, z]), normal,
                tilted=option.tilted, ignore=ignore,
            )  # fmt: skip
            if isinstance(stood, str):
                return stood
            if np.abs(stood - matrix).max() < 5e-4 or contacts >= 3:
                final = visible_box(asset, stood, pose)
                return "out of the picture" if final is None else PlacedOption(option, stood, at, final)
            # What it really rests on is not where its foot is: the same again from there.
            contacts += 1
            extra, matrix = float(stood[2, 3] - (z - lowest + CONTACT_GAP)), stood.copy()
            continue
        away = at - eye
        distance = max(float(np.hypot(*away)), 1e-6)
        if last is not None and abs(np.log(distance / last[0])) > 1e-5:
            slope = float(np.clip((growth - last[1]) / np.log(distance / last[0]), -6.0, -0.6))
        last = distance, growth
        stretch = float(np.exp(np.clip(-growth / slope, -0.5, 0.5)))
        one_side = (box[0] <= 0) != (box[2] >= 1)
        cosine = max(float(away @ forward) / distance, 0.2)
        turn = 0.0 if pinned else float(np.clip((1.7 if one_side else 1.0) * off / focal * cosine**2, -0.3, 0.3))
        c, s = np.cos(turn), np.sin(turn)
        at = eye + stretch * np.array([c * away[0] - s * away[1], s * away[0] + c * away[1]])
        if exact is None:
            height = float(site_map(stage, site).at(at))
        else:  # once the map has shown not to be enough, the ground itself is asked
            found = nearest_ground_point(site.ground, np.array([*at, z + 0.02]), _MAX_HEIGHT_ERROR)
            height = np.nan if found is None else float(found[0][2])
        if abs(height - z) < _MAX_HEIGHT_ERROR:
            z = height
    return "box off its goal"


def visible_box_share(
    stage: Stage, placed: PlacedOption, pose: CameraPose, ignore: tuple[int, ...], *, rays: int = 64
) -> float:
    """About how much of a thing's box is left where other things or the room hide parts of it; ``ignore`` holds its own
    id."""
    asset, matrix = placed.option.asset, placed.matrix
    clouds = [c[np.linspace(0, len(c) - 1, min(rays, len(c))).astype(int)] for c in (asset.outline, asset.points)]
    points = np.concatenate(clouds) @ matrix[:3, :3].T + matrix[:3, 3]
    pixels, depth = pose.project(points)
    inside = (depth > pose.near) & (pixels >= 0).all(1) & (pixels <= (pose.width, pose.height)).all(1)
    if inside.sum() < 2:
        return 1.0
    points, pixels = points[inside], pixels[inside]
    away = points - pose.position
    length = np.linalg.norm(away, axis=1)
    hits = stage.cast(np.broadcast_to(pose.position, points.shape), away / length[:, None], ignore=ignore)
    seen = hits.distance >= length - 0.01
    if seen.sum() < 2:
        return 0.0
    return float(np.ptp(pixels[seen], axis=0).prod() / max(np.ptp(pixels, axis=0).prod(), 1e-9))

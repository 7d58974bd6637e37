# SPDX-License-Identifier: GPL-3.0-or-later
"""Other proportions of a mesh: thin parts become thinner or thicker, and the whole is stretched along its axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from .things import Mesh

_SLICES = np.linspace(0.06, 0.94, 9)
"""Where a mesh is cut across an axis, as shares of its size along it."""
_SPARSE = 0.65
"""Only cuts that cover less of the axis show parts of their own; others go through a seat, a top or a wall."""
_THICKEST = 0.4
"""Parts that cover more of an axis are not thin."""
_FEWEST = 2
"""Cuts that must show a part; a single one may be a bevel or a screw."""
_FULLEST = 0.9
"""Thin parts never cover more of an axis than this."""


@attrs.frozen(eq=False)
class Proportions:
    """Moves points along each axis by a piecewise linear, increasing function, so that parts that touch still do.

    Attributes
    ----------
    knots, moved : sequence of (k,) float
        For each of the three axes the places where the function bends, and where it takes them.
    """

    knots: Sequence[np.ndarray]
    moved: Sequence[np.ndarray]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) after the change; those outside the mesh move with its end."""
        out = np.array(points, dtype=float)
        for axis, (knots, moved) in enumerate(zip(self.knots, self.moved, strict=True)):
            inside = np.clip(out[:, axis], knots[0], knots[-1])
            out[:, axis] += np.interp(inside, knots, moved) - inside
        return out


def proportions(mesh: Mesh, thickness: Sequence[float], stretch: Sequence[float]) -> Proportions:
    """Other proportions of a mesh whose parts lie along its axes, as those of furniture do.

    Legs, slats, seats and other thin parts are found by cutting the mesh across its axes: a part covers a short stretch
    of an axis, and most of that axis is free there. Along the axis such stretches become shorter or longer by a
    factor, and what is between them fills the rest.

    Parameters
    ----------
    mesh : Mesh
    thickness : (3,) float
        Factors for thin parts along each axis, above 0.
    stretch : (3,) float
        Factors for the whole, above 0.

    Returns
    -------
    Proportions
    """
    triangles = mesh.vertices[mesh.triangles].astype(float)
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    knots, moved = [], []
    for axis in range(3):
        ends = np.array([low[axis], high[axis]])
        parts = list(_thin_parts(triangles, axis)) if thickness[axis] != 1.0 else []
        own = np.unique(np.concatenate([ends, np.ravel(parts)]))
        lengths = np.diff(own)
        middles = (own[1:] + own[:-1]) / 2
        is_thin = np.zeros(len(lengths), bool)
        for start, end in parts:
            is_thin |= (middles > start) & (middles < end)
        knots.append(own)
        moved.append(
            ends[0] + stretch[axis] * np.concatenate([[0.0], np.cumsum(_resized(lengths, is_thin, thickness[axis]))])
        )
    return Proportions(knots, moved)


def _resized(lengths: np.ndarray, is_thin: np.ndarray, factor: float) -> np.ndarray:
    """Lengths (n,) of which the thin ones are multiplied by a factor while the sum stays."""
    total, thin = lengths.sum(), lengths[is_thin].sum()
    if not 0.0 < thin < total:
        return lengths
    new_thin = min(factor * thin, max(_FULLEST * total, thin))
    return np.where(is_thin, lengths * new_thin / thin, lengths * (total - new_thin) / (total - thin))


def _thin_parts(triangles: np.ndarray, axis: int) -> Iterator[tuple[float, float]]:
    """Start and end along an axis of parts that are thin there; they do not overlap."""
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    size = high - low
    found: list[tuple[float, float]] = []
    for across in (a for a in range(3) if a != axis):
        for place in low[across] + _SLICES * size[across]:
            covered = _covered(triangles, axis, across, place)
            if sum(end - start for start, end in covered) < _SPARSE * size[axis]:
                found += [part for part in covered if part[1] - part[0] < _THICKEST * size[axis]]
    groups: list[list[tuple[float, float]]] = []
    for part in sorted(found):
        if groups and part[0] < np.median([end for _, end in groups[-1]]):
            groups[-1].append(part)
        else:
            groups.append([part])
    at = -np.inf
    for group in (g for g in groups if len(g) >= _FEWEST):
        start, end = np.median(group, axis=0)
        if end > max(start, at):
            yield max(float(start), at), float(end)
            at = float(end)


def _covered(triangles: np.ndarray, axis: int, across: int, place: float) -> list[tuple[float, float]]:
    """The stretches of an axis that a mesh covers where a plane cuts it, in ascending order."""
    side = triangles[..., across] - place
    cut = (side.min(1) < 0.0) & (side.max(1) > 0.0)
    corners, side = triangles[cut, :, axis], side[cut]
    following = np.roll(side, -1, axis=1)
    crosses = (side < 0.0) != (following < 0.0)
    share = side / np.where(crosses, side - following, 1.0)
    at = corners + share * (np.roll(corners, -1, axis=1) - corners)
    starts = np.where(crosses, at, np.inf).min(1, initial=np.inf)
    ends = np.where(crosses, at, -np.inf).max(1, initial=-np.inf)
    covered: list[tuple[float, float]] = []
    for start, end in sorted(zip(starts.tolist(), ends.tolist(), strict=True)):
        if covered and start <= covered[-1][1] + 1e-6:
            covered[-1] = covered[-1][0], max(covered[-1][1], end)
        else:
            covered.append((start, end))
    return covered

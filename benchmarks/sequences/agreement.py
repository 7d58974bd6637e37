# SPDX-License-Identifier: GPL-3.0-or-later
"""How well disparity and flow of a rendered dataset of stereo sequences agree between its frames.

python benchmarks/sequences/agreement.py out
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from twinset.dataset.formats.pixels import read_channels

TOLERANCE = 0.1
"""Pixels."""

SMOOTH = 0.3
"""Pixels by which disparity may differ between two neighbours where it is interpolated."""


def main(out: Path) -> None:
    """Print what agrees, over all frames of the first camera."""
    records = [json.loads(path.read_text()) for path in sorted((out / "frames").glob("*.json"))]
    by_role = {tuple(r["draws"]["sequence"][key] for key in ("number", "step", "view")): r for r in records}
    quotients, agreeing, warped = [], [], []
    for (number, step, view), record in by_role.items():
        if view:
            continue
        quotients.append(quotient_error(out, record, by_role[number, step, 1]))
        agreeing.append(agreement(out, record, by_role[number, step, 1]))
        if (number, step + 1, 0) in by_role:
            warped.append(warp(out, record, by_role[number, step + 1, 0]))
    right, total = np.sum(agreeing, axis=0)
    with_flow, without = np.mean(warped, axis=0)
    print(f"Disparity is focal length x baseline / depth to {max(quotients):.2g} px.")
    print(f"The other camera's map agrees within {TOLERANCE} px at {right / total:.1%} of {total:.0f} pixels.")
    print(f"Pictures differ from the next by {with_flow:.1f} grey levels where flow leads, {without:.1f} without it.")


def channel(out: Path, record: dict[str, Any], kind: str, *names: str) -> list[np.ndarray]:
    return read_channels(out / record["files"][kind]["path"], names)


def quotient_error(out: Path, record: dict[str, Any], other: dict[str, Any]) -> float:
    """Largest difference in pixels between the map and the quotient."""
    left, right = (np.reshape(r["camera"]["matrix"], (4, 4)) for r in (record, other))
    baseline = (np.linalg.inv(left) @ right)[0, 3]
    (depth,), (disparity,) = channel(out, record, "depth", "Z"), channel(out, record, "disparity", "D")
    hit = np.isfinite(depth)
    return float(np.abs(disparity[hit] - record["camera"]["focal"] * baseline / depth[hit]).max())


def agreement(out: Path, record: dict[str, Any], other: dict[str, Any]) -> tuple[int, int]:
    """Pixels at which the other camera's map, interpolated where it leads, says the same, and pixels compared."""
    (depth,) = channel(out, record, "depth", "Z")
    (own,), (there,) = (channel(out, r, "disparity", "D") for r in (record, other))
    rows, columns = np.nonzero(np.isfinite(depth))
    x = columns - own[rows, columns]
    inside = (x >= 0) & (x < own.shape[1] - 1)
    rows, columns, x = rows[inside], columns[inside], x[inside]
    first = np.floor(x).astype(int)
    pair = there[rows, first], there[rows, first + 1]
    value = pair[0] + (pair[1] - pair[0]) * (x - first)
    smooth = np.abs(pair[1] - pair[0]) < SMOOTH
    return int((np.abs(value - own[rows, columns])[smooth] <= TOLERANCE).sum()), int(smooth.sum())


def warp(out: Path, record: dict[str, Any], following: dict[str, Any]) -> tuple[float, float]:
    """Mean differences of grey levels from the next picture where the flow leads, and at the same places."""
    across, down = channel(out, record, "flow", "X", "Y")
    now, then = (cv2.imread(str(out / r["files"]["image"]["path"])).astype(np.float32) for r in (record, following))
    height, width = across.shape
    u = (np.arange(width)[None] + across).astype(np.float32)
    v = (np.arange(height)[:, None] + down).astype(np.float32)
    moved = cv2.remap(then, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(-1e3,) * 3)
    seen = moved.min(-1) >= 0
    return float(np.abs(moved - now)[seen].mean()), float(np.abs(then - now)[seen].mean())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as ``twinset fit-camera`` writes them, with photos of known values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def photo_entry(file: str, *, image: np.ndarray | None = None, **values: Any) -> dict[str, Any]:
    """The estimates of a photo; its tones are those of an (H, W, 3) uint8 picture, or evenly spread."""
    at = np.linspace(0, 1, 33)
    luma, channels = at, {name: at for name in "rgb"}
    if image is not None:
        luma = np.quantile(image @ np.array([0.299, 0.587, 0.114]) / 255, at)
        channels = {name: np.quantile(image[..., k] / 255, at) for k, name in enumerate("rgb")}
    entry = {
        "file": file,
        "width": 80,
        "height": 60,
        "noise": {"shot": 2e-4, "read": 4e-3},
        "blur_sigma": 0.8,
        "sharpen": {"amount": 0.6, "radius": 1.0},
        "vignette": 0.25,
        "jpeg": {"quality": 85, "subsampling": "4:2:0"},
        "luma_quantiles": np.clip(luma, 0, 1).tolist(),
        "channel_quantiles": {name: values.tolist() for name, values in channels.items()},
        "lab_mean": [50.0, 0.0, 0.0],
        "lab_std": [25.0, 5.0, 8.0],
    }
    return entry | values


def write_camera_file(path: str | Path, photos: Sequence[dict[str, Any]]) -> None:
    """Write a file with these photos."""
    Path(path).write_text(json.dumps({"version": 1, "statistics": {}, "photos": list(photos)}), encoding="utf-8")

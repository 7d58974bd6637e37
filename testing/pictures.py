# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets of painted pictures, whose look is one number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SIZE = 64


def striped_dataset(folder: Path, period: float, side: float, n: int = 24) -> Path:
    """Write ``n`` pictures of stripes, ``period`` pixels apart, with a box of the class ``disc`` in each.

    Boxes have sides of about ``side`` pixels; pictures differ in direction, contrast and noise. Returns the COCO file,
    which lies beside ``images``. Equal arguments give equal pictures.
    """
    import cv2

    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for k in range(n):
        rng = np.random.default_rng([k, n, int(10 * period)])
        y, x = np.mgrid[:SIZE, :SIZE]
        turn = rng.uniform(0.2, 0.6)
        wave = 128 + rng.uniform(60, 90) * np.cos(2 * np.pi / period * (x * np.cos(turn) + y * np.sin(turn)))
        noisy = (wave + rng.normal(0, 4, wave.shape)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"images/{k}.png"), np.repeat(noisy[..., None], 3, 2))
        own = float(np.clip(rng.normal(side, 5), 17, SIZE - 4))
        images.append({"id": k, "file_name": f"{k}.png", "width": SIZE, "height": SIZE})
        box = [1.0, 1.0 + rng.uniform(0, SIZE - 2 - own), own, own]
        annotations.append({"id": k, "image_id": k, "category_id": 1, "bbox": box, "area": own**2})
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "disc"}]}
    path = folder / "set.json"
    path.write_text(json.dumps(data))
    return path

# SPDX-License-Identifier: GPL-3.0-or-later
"""Real annotations for recipes of tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


def write_square_boxes(path: Path, areas: Sequence[float]) -> None:
    """Write a COCO file of square images with one square box of a chair each; areas are shares of the image."""
    side = [100 * area**0.5 for area in areas]
    data = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(len(areas))],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [30, 30, s, s], "area": s * s, "iscrowd": 0}
            for i, s in enumerate(side)
        ],
        "categories": [{"id": 1, "name": "chair"}],
    }
    path.write_text(json.dumps(data))

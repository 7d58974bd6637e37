# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture that most tests of effects share."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from effect_pictures import HEIGHT, WIDTH


@pytest.fixture(scope="module")
def scenery() -> np.ndarray:
    """An 8-bit picture with smooth and busy parts in colour."""
    rng = np.random.default_rng(5)
    busy = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 1.5)
    ramp = np.linspace(0.1, 0.8, WIDTH, dtype=np.float32)[None, :, None]
    return np.rint(np.clip(0.6 * ramp + 0.8 * (busy - 0.3), 0, 1) * 255).astype(np.uint8)

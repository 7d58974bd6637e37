# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of known content, and what effects make of them."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from twinset.engine.rng import stream
from twinset.engine.sampling.effects import AttemptEffects
from twinset.engine.stage import Shot
from twinset.testing import make_shot

HEIGHT, WIDTH = 60, 80


def shot_of(image: np.ndarray, depth: np.ndarray | None = None, ids: np.ndarray | None = None) -> Shot:
    """A shot of a picture."""
    ids = np.zeros(image.shape[:2], np.int32) if ids is None else ids
    return make_shot(ids, n=int(ids.max()), image=image, depth=depth)


def applied(plugin: Any, image: np.ndarray, depth: np.ndarray | None = None, frame: int = 0) -> np.ndarray:
    """The 8-bit picture of a frame with an effect; ``image`` is 8-bit, too."""
    shot = shot_of(image, depth)
    effects = AttemptEffects([("effect", plugin)], 1, frame, 0)
    effects.of_probe(attrs.evolve(shot, image=np.empty((0, 0, 3), np.uint8)))
    return effects.of_shot(shot).image


def raw(plugin: Any, image: np.ndarray, depth: np.ndarray | None = None, **drawn: Any) -> np.ndarray:
    """The float picture that a plugin makes of a float picture."""
    shot = shot_of(image, depth)
    return plugin.apply(image.astype(np.float32), shot, stream(3, "test"), drawn)


def flat(value: float, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A float picture of one grey."""
    return np.full((*shape, 3), value, np.float32)


def edge(width: int = 80) -> np.ndarray:
    """A float picture that is dark on the left and bright on the right."""
    image = flat(0.2, (40, width))
    image[:, width // 2 :] = 0.7
    return image


def checks(shape: tuple[int, int] = (96, 96)) -> np.ndarray:
    """A float picture of a chessboard with fields of 3 x 3 pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.repeat((0.3 + 0.4 * (((x // 3) + (y // 3)) % 2))[..., None], 3, -1).astype(np.float32)


def linear_of(encoded: np.ndarray) -> np.ndarray:
    """sRGB by the definition of IEC 61966-2-1."""
    encoded = np.asarray(encoded, dtype=float)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encoded_of(linear: np.ndarray) -> np.ndarray:
    """The inverse of :func:`linear_of`."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures between sRGB encoding and linear light, by tables fine enough for 8-bit output."""

from __future__ import annotations

import functools

import numpy as np

from ...engine.scene.srgb import decode_srgb, encode_srgb

_TOP = 65535


def to_linear(image: np.ndarray) -> np.ndarray:
    """Linear light of an sRGB-encoded picture in [0, 1], float32 of the same shape; values beyond are clipped.

    The curve at 65,536 values, so that the result is within 2e-5.
    """
    return _tables()[0][_index(image)]


def to_encoded(linear: np.ndarray) -> np.ndarray:
    """The sRGB encoding of linear light in [0, 1], float32 of the same shape; values beyond are clipped.

    Within 1e-4, a fortieth of a step of 8-bit pictures.
    """
    return _tables()[1][_index(linear)]


def apply_curve(image: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """A picture in [0, 1] through a curve given at equally spaced values from 0 to 1, float32; beyond, clipped.

    ``curve`` (N,) has few or many values; between them it is straight.
    """
    table = np.interp(np.linspace(0, 1, _TOP + 1), np.linspace(0, 1, len(curve)), curve).astype(np.float32)
    return table[_index(image)]


def luma(image: np.ndarray) -> np.ndarray:
    """Luma (H, W) float32 of an sRGB-encoded RGB picture (H, W, 3) float32 [ITU-R BT.601]."""
    import cv2

    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def _index(values: np.ndarray) -> np.ndarray:
    scaled = np.clip(values, 0.0, 1.0) * np.float32(_TOP)
    scaled += np.float32(0.5)
    return scaled.astype(np.uint16)


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(0, 1, _TOP + 1)
    return decode_srgb(x).astype(np.float32), encode_srgb(x).astype(np.float32)

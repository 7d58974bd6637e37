# SPDX-License-Identifier: GPL-3.0-or-later
"""The curve of sRGB [IEC 61966-2-1], between encoded values and linear light."""

from __future__ import annotations

import numpy as np

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of red, green and blue in the luminance of linear light [ITU-R BT.709], whose primaries sRGB has."""


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """Linear light of sRGB-encoded values, both in [0, 1]."""
    encoded = np.asarray(encoded, dtype=float)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB encoding of linear light, both in [0, 1]."""
    linear = np.asarray(linear, dtype=float)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def encode_slope(linear: np.ndarray) -> np.ndarray:
    """Derivative of the sRGB encoding with respect to linear light in [0, 1]."""
    linear = np.asarray(linear, dtype=float)
    return np.where(linear <= 0.0031308, 12.92, 1.055 / 2.4 * np.maximum(linear, 1e-9) ** (1 / 2.4 - 1))

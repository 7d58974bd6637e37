# SPDX-License-Identifier: GPL-3.0-or-later
"""The sRGB encoding, and the distribution of tones and colours of a photo."""

from __future__ import annotations

import numpy as np

from .fit_file import LEVELS

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in luma [ITU-R BT.601], as in JPEG files."""


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """Linear light of sRGB-encoded values, both in [0, 1] [IEC 61966-2-1]."""
    encoded = np.asarray(encoded, dtype=float)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB encoding of linear light, both in [0, 1] [IEC 61966-2-1]."""
    linear = np.asarray(linear, dtype=float)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def encode_slope(linear: np.ndarray) -> np.ndarray:
    """Derivative of the sRGB encoding with respect to linear light in [0, 1]."""
    linear = np.asarray(linear, dtype=float)
    return np.where(linear <= 0.0031308, 12.92, 1.055 / 2.4 * np.maximum(linear, 1e-9) ** (1 / 2.4 - 1))


def tone_quantiles(image: np.ndarray) -> tuple[list[float], dict[str, list[float]]]:
    """Quantiles of luma, and of each channel, at ``LEVELS`` equally spaced probabilities.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.

    Returns
    -------
    luma : list of float
        In [0, 1].
    channels : dict of str to list of float
        By ``r``, ``g`` and ``b``.
    """
    at = np.linspace(0, 1, LEVELS)
    values = image.reshape(-1, 3) / 255.0
    luma = np.clip(np.quantile(values @ LUMA, at), 0.0, 1.0)
    channels = np.quantile(values, at, axis=0).T
    return luma.tolist(), {name: channel.tolist() for name, channel in zip("rgb", channels, strict=True)}


def lab_statistics(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3,) and standard deviation (3,) of CIE L*, a* and b* (D65) of an (H, W, 3) uint8 RGB picture."""
    import cv2

    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(float)
    return lab.mean(0), lab.std(0)

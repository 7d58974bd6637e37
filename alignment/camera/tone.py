# SPDX-License-Identifier: GPL-3.0-or-later
"""The distribution of tones and colours of a photo."""

from __future__ import annotations

import numpy as np

from .fit_file import LEVELS

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in luma [ITU-R BT.601], as in JPEG files."""


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

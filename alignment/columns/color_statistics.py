# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour and noise of pictures and of parts of them: the columns that tell one camera's pictures from another's."""

from __future__ import annotations

import math

import numpy as np

from ...engine.plugin.columns import Column
from .box_data import BoxData, whole_pixels
from .id_map import crop
from .pixel_columns import pixel_statistic

NAMES = ("lab_a", "lab_b", "lab_spread", "saturation", "noise")

_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


class ColorMaps:
    """Values of all pixels of a picture, from which the statistics of any part of it follow.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    """

    def __init__(self, image: np.ndarray) -> None:
        import cv2

        scaled = image.astype(np.float32) / 255
        lab = cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)
        self.hues = np.stack([lab[..., 1], lab[..., 2]])
        red, green, blue = (scaled[..., channel] for channel in range(3))
        top, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
        self.saturation = (top - least) / np.maximum(top, 1e-6)
        luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        self.response, self.gradient = noise_response(luma), gradient(luma)

    def statistics(self, part: tuple[slice, slice]) -> dict[str, float]:
        """All statistics of a part of the picture, by :data:`NAMES`; NaN for an empty part.

        The noise is that of J. Immerkær, "Fast noise variance estimation", Computer Vision and Image Understanding
        64(2), 1996, over the half of the pixels with the least gradient, which texture and edges disturb least [Tai &
        Yang, "A fast method for image noise estimation using Laplacian operator and adaptive edge detection", ISCCSP
        2008].
        """
        hues = self.hues[:, part[0], part[1]].reshape(2, -1).astype(np.float64)
        count = hues.shape[1]
        if not count:
            return dict.fromkeys(NAMES, math.nan)
        mean = _sums(hues) / count
        hues -= mean[:, None]
        hues *= hues
        variance = _sums(hues) / count
        return {
            "lab_a": float(mean[0]),
            "lab_b": float(mean[1]),
            "lab_spread": math.sqrt(float(variance[0] + variance[1])),
            "saturation": float(self.saturation[part].mean(dtype=np.float64)),
            "noise": plain_noise(self.response[part], self.gradient[part]),
        }


def noise_response(luma: np.ndarray) -> np.ndarray:
    """How strongly each pixel of a luma (H, W) float32 responds to noise; edges that are straight do not."""
    import cv2

    return np.asarray(np.abs(cv2.filter2D(luma, -1, _LAPLACIAN, borderType=cv2.BORDER_REFLECT_101)))


def gradient(luma: np.ndarray) -> np.ndarray:
    """Length (H, W) of the gradient of a luma (H, W) float32, as Sobel filters have it."""
    import cv2

    parts = (cv2.Sobel(luma, -1, *order, borderType=cv2.BORDER_REFLECT_101) for order in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(*parts))


def plain_noise(response: np.ndarray, gradients: np.ndarray) -> float:
    """Standard deviation of noise over the half of some pixels with the least gradient, in units of the luma.

    After J. Immerkær, see :meth:`ColorMaps.statistics`. Both arguments have the same shape.
    """
    flat = gradients.ravel()
    plain = flat <= _median(flat)
    return math.sqrt(math.pi / 2) / 6 * float(response.ravel()[plain].mean(dtype=np.float64))


def _sums(rows: np.ndarray) -> np.ndarray:
    """Sums of rows, added from left to right: those of columns by NumPy, bit for bit, in a tenth of the time."""
    return np.add.accumulate(rows, axis=1)[:, -1]


def _median(values: np.ndarray) -> np.floating:
    """The median of values without NaN, as np.median gives it."""
    middle = len(values) // 2
    if len(values) % 2:
        return np.partition(values, middle)[middle]
    low, high = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return (low + high) / 2


def _of_image(data: BoxData) -> dict[str, float]:
    return data.shared("colors", _maps).statistics((slice(None), slice(None)))


def _of_boxes(data: BoxData) -> dict[str, np.ndarray]:
    maps = data.shared("colors", _maps)
    shape = maps.saturation.shape
    crops = [maps.statistics(crop(whole_pixels(bbox), shape)) for bbox in data.bboxes]
    return {name: np.array([one[name] for one in crops], dtype=float) for name in NAMES}


def _maps(data: BoxData) -> ColorMaps:
    assert data.image is not None, "a column that reads pixels must say that it needs them"
    return ColorMaps(data.image)


def _color_statistic(name: str, definition: str, **facts: object) -> Column:
    return pixel_statistic(
        name,
        definition,
        lambda data: data.shared("colors of boxes", _of_boxes),
        lambda data: data.shared("colors of the image", _of_image),
        **facts,
    )


COLUMNS = (
    _color_statistic(
        "lab_a",
        "Mean a* of CIE Lab (D65): green below 0, red above.",
        label="Green to red",
        axis="mean a*",
        larger="redder",
        smaller="greener",
    ),
    _color_statistic(
        "lab_b",
        "Mean b* of CIE Lab (D65): blue below 0, yellow above.",
        label="Blue to yellow",
        axis="mean b*",
        larger="yellower",
        smaller="bluer",
    ),
    _color_statistic(
        "lab_spread",
        "Standard deviation of a* and b* together, the root of the sum of both variances.",
        label="Spread of colours",
        axis="standard deviation of a* and b*",
        larger="more colourful",
        smaller="less colourful",
        domain=(0.0, np.inf),
    ),
    _color_statistic(
        "saturation",
        "Mean saturation of HSV, in [0, 1].",
        axis="mean saturation, 0 to 1",
        larger="more saturated",
        smaller="less saturated",
        domain=(0.0, 1.0),
    ),
    _color_statistic(
        "noise",
        "Standard deviation of the luma's noise in grey levels, over the plainer half of the pixels (Immerkær 1996).",
        axis="standard deviation of grey levels",
        larger="noisier",
        smaller="cleaner",
        domain=(0.0, np.inf),
        resolution_dependent=True,
    ),
)

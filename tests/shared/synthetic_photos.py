# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos of a camera with known parameters: scenes of dead leaves, degraded in the physical order."""

from __future__ import annotations

import io

import attrs
import cv2
import numpy as np
from PIL import Image

SUPERSAMPLING = 3


@attrs.frozen
class Camera:
    """The parameters of a made-up camera, in the units of the file of ``fit-camera``."""

    shot: float = 0.0
    read: float = 0.0
    blur_sigma: float = 0.0
    sharpen_amount: float = 0.0
    sharpen_radius: float = 1.0
    vignette: float = 0.0
    exposure: float = 1.0
    quality: int | None = None
    subsampling: str = "4:2:0"
    noise_first: bool = True
    """Whether blur acts on the noise, as that of resampling and denoising does, or the noise on the blurred picture."""


def scene(seed: int, width: int = 480, height: int = 360) -> np.ndarray:
    """A scene in linear light (height, width, 3), averaged over each pixel.

    Discs and polygons of all sizes that hide each other [Lee, Mumford & Huang, "Occlusion models for natural images",
    IJCV 2001; as test charts of cameras: Cao, Guichard & Hornung, SPIE 7250, 2009]. Some are plain, some have a
    gradient, some a fractal texture.
    """
    rng = np.random.default_rng(seed)
    w, h = width * SUPERSAMPLING, height * SUPERSAMPLING
    label = np.zeros((h, w), np.int32)
    radii = 1 / np.sqrt(rng.uniform(1 / (0.35 * h) ** 2, 1 / (h / 36) ** 2, 260))
    for i, radius in enumerate(np.sort(radii)[::-1]):
        center = rng.uniform((0, 0), (w, h))
        corners = rng.integers(3, 7)
        if rng.random() < 0.4:
            cv2.circle(label, center.astype(int).tolist(), int(radius), i + 1, -1)
        else:
            angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
            outline = center + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            cv2.fillPoly(label, [outline.astype(np.int32)], i + 1)
    count = len(radii) + 1
    grey = np.exp(rng.uniform(np.log(0.03), np.log(0.75), count))
    color = np.clip(grey[:, None] * rng.uniform(0.8, 1.2, (count, 3)), 0, 0.85)
    slope = np.where(rng.random(count) < 0.5, rng.normal(0, 0.25, count), 0.0)
    rough = np.where(rng.random(count) < 0.4, rng.uniform(0.02, 0.12, count), 0.0)
    ramp = np.linspace(-0.5, 0.5, w, dtype=np.float32)[None, :]
    gain = 1 + slope.astype(np.float32)[label] * ramp + rough.astype(np.float32)[label] * _fractal(rng, h, w)
    linear = color.astype(np.float32)[label] * gain[..., None]
    return np.clip(cv2.resize(linear, (width, height), interpolation=cv2.INTER_AREA), 0, 1)


def ramp(size: tuple[int, int] = (200, 100)) -> np.ndarray:
    """A photo (width, height) whose colours change slowly, so that what is painted can be compared with it."""
    across, down = np.meshgrid(np.linspace(40, 200, size[0]), np.linspace(60, 160, size[1]))
    return np.rint(np.stack([across, down, (across + down) / 2], axis=-1)).astype(np.uint8)


def photo(linear: np.ndarray, camera: Camera, seed: int) -> bytes:
    """What a camera makes of a scene in linear light: a JPEG file, or a PNG file where ``quality`` is None."""
    rng = np.random.default_rng(seed)
    height, width = linear.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    r2 = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / ((width / 2) ** 2 + (height / 2) ** 2)
    light = linear * camera.exposure * (1 - camera.vignette * r2)[..., None]
    if not camera.noise_first:
        light = _blurred(light, camera.blur_sigma)
    light = light + rng.normal(size=light.shape) * np.sqrt(camera.shot * light + camera.read**2)
    if camera.noise_first:
        light = _blurred(light, camera.blur_sigma)
    picture = encoded(np.clip(light, 0, 1))
    picture = picture + camera.sharpen_amount * (picture - _blurred(picture, camera.sharpen_radius))
    pixels = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    file = io.BytesIO()
    if camera.quality is None:
        Image.fromarray(pixels).save(file, "PNG")
    else:
        Image.fromarray(pixels).save(file, "JPEG", quality=camera.quality, subsampling=camera.subsampling)
    return file.getvalue()


def encoded(linear: np.ndarray) -> np.ndarray:
    """sRGB encoding of linear light in [0, 1] [IEC 61966-2-1]."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0 else image


def _fractal(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise with a spectrum of 1/f, of mean 0 and standard deviation 1."""
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    f[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) / f, (height, width))
    return (noise / noise.std()).astype(np.float32)

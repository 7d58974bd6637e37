# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of made-up cameras are recovered from their photos within the bounds that the documents state."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from synthetic_photos import Camera, photo, scene
from twinset.alignment.camera.compression import (
    block_coefficients,
    earlier_quality,
    jpeg_quality,
    pixel_blocks,
    subsampling,
)
from twinset.alignment.camera.estimates import PhotoMeasurement, SetEstimates, estimate_set, measure_photo, noise_level
from twinset.alignment.camera.fit_file import Noise
from twinset.alignment.camera.noise import fit_noise, noise_gain, plain_blocks
from twinset.alignment.camera.sharpness import half_sample_mode
from twinset.alignment.camera.tone import lab_statistics, tone_quantiles
from twinset.alignment.camera.vignette import fit_vignettes, vignette_losses

BOUND = 0.15
"""Relative error that the documents state for noise, blur and vignetting."""
LIGHT = np.array([0.05, 0.2, 0.5])


@functools.cache
def scenes(count: int) -> list[np.ndarray]:
    return [scene(seed) for seed in range(count)]


def measured(data: bytes) -> PhotoMeasurement:
    file = Image.open(io.BytesIO(data))
    if file.format != "JPEG":
        image = np.asarray(file)
        return measure_photo(image, image @ np.array([0.299, 0.587, 0.114]))
    tables = [np.array(table).reshape(8, 8) for table in file.quantization.values()]
    factors = [(layer[1], layer[2]) for layer in file.layer]
    file.draft("YCbCr", file.size)
    luma = np.asarray(file)[..., 0].astype(float)
    return measure_photo(np.asarray(file.convert("RGB")), luma, tables, factors)


@functools.cache
def fitted(camera: Camera, count: int = 3) -> SetEstimates:
    """What a few photos of one camera say of it."""
    photos = [measured(photo(light, camera, seed)) for seed, light in enumerate(scenes(count), 10)]
    return estimate_set(photos, np.random.default_rng(0))


def values(found: SetEstimates, name: str) -> list[float]:
    return [photo[name] for photo in found.photos if photo[name] is not None]


def deviations(noises: Sequence[Noise]) -> np.ndarray:
    """Medians over photos of the noise at LIGHT, (3,)."""
    return np.median([np.sqrt(noise.shot * LIGHT + noise.read**2) for noise in noises], axis=0)


@pytest.mark.parametrize(
    ("shot", "read", "blur", "amount", "quality"),
    [
        (2e-4, 0.002, 0.0, 0.0, None),
        (1e-3, 0.004, 0.6, 0.0, 95),
        (1e-3, 0.004, 0.6, 0.0, 85),
        (4e-4, 0.003, 0.8, 0.6, 95),
    ],
)
def test_noise_is_recovered(shot: float, read: float, blur: float, amount: float, quality: int | None) -> None:
    camera = Camera(shot, read, blur, amount, quality=quality, noise_first=False)
    found = values(fitted(camera), "noise")
    assert len(found) == 3
    true = np.sqrt(shot * LIGHT + read**2)
    assert (np.abs(deviations(found) / true - 1) < BOUND).all(), deviations(found) / true


def test_noise_under_the_blur_of_processing_is_recovered_with_its_grain() -> None:
    """Blur after the noise leaves less of it: its variance falls to that of the kernel, the sum of squared weights."""
    blur = 0.7
    found = values(fitted(Camera(1e-3, 0.004, blur, quality=95)), "noise")
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / blur) ** 2)
    kernel /= kernel.sum()
    true = np.sqrt(1e-3 * LIGHT + 0.004**2) * float(kernel @ kernel)
    assert (np.abs(deviations(found) / true - 1) < BOUND).all(), deviations(found) / true
    assert np.median([noise.grain for noise in found]) == pytest.approx(blur, rel=BOUND)


def test_photos_without_noise_have_none() -> None:
    assert max(map(noise_level, values(fitted(Camera(quality=95)), "noise"))) < 0.5


def test_noise_that_compression_hides_is_not_guessed() -> None:
    found = fitted(Camera(2e-5, 0.001, quality=30))
    assert values(found, "noise") == []
    assert all("Compression hides" in said for remarks in found.remarks for said in remarks)


def test_noise_gain_is_that_of_filtered_noise() -> None:
    """Against a simulation with OpenCV's filters."""
    import cv2

    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.normal(size=(1024, 1024)), (0, 0), 0.8)
    noise /= noise.std()
    noise += 0.7 * (noise - cv2.GaussianBlur(noise, (0, 0), 1.2))
    simulated = (block_coefficients(pixel_blocks(noise)) ** 2).mean(0)
    assert np.abs(noise_gain(0.8, 0.7, 1.2) / simulated - 1).max() < 0.08


def test_too_few_plain_blocks_are_refused() -> None:
    assert plain_blocks(np.full((64, 64), 100.0)) is None
    assert plain_blocks(np.full((480, 640), 255.0)) is None


def test_dark_noise_is_read_noise() -> None:
    """Noise that does not rise with intensity is not taken for that of light."""
    rng = np.random.default_rng(5)
    linear = np.linspace(0.02, 0.7, 640)[None, :] * np.ones((480, 1))
    noisy = linear + rng.normal(size=linear.shape) * 0.01
    encoded = 255 * (1.055 * np.maximum(noisy, 1e-4) ** (1 / 2.4) - 0.055)
    blocks = plain_blocks(np.rint(encoded))
    assert blocks is not None
    found = fit_noise(blocks)
    assert isinstance(found, Noise)
    luma = 0.01 / np.sqrt(0.299**2 + 0.587**2 + 0.114**2)  # of a channel, whose noise luma averages
    assert np.sqrt(found.shot * LIGHT + found.read**2) == pytest.approx(np.full(3, luma), rel=BOUND)


@pytest.mark.parametrize(("blur", "quality"), [(0.6, None), (0.8, 85), (1.2, 85), (2.0, None)])
def test_blur_is_recovered(blur: float, quality: int | None) -> None:
    found = fitted(Camera(4e-4, 0.003, blur, quality=quality))
    assert values(found, "blur_sigma") == pytest.approx([blur] * 3, rel=BOUND)
    assert [sharpen.amount for sharpen in values(found, "sharpen")] == [0.0] * 3


def test_sharpening_is_told_from_less_blur() -> None:
    """Halos, and not a steeper rise alone, make sharpening: blur is found below it."""
    found = fitted(Camera(2e-4, 0.002, 0.8, 1.0, 1.5, quality=90))
    assert values(found, "blur_sigma") == pytest.approx([0.8] * 3, rel=BOUND)
    amounts = [sharpen.amount for sharpen in values(found, "sharpen")]
    assert np.median(amounts) == pytest.approx(1.0, rel=0.4)
    assert np.median([sharpen.radius for sharpen in values(found, "sharpen")]) == pytest.approx(1.5, rel=0.25)


def test_photos_without_edges_say_so() -> None:
    plain = np.full((120, 160, 3), 120, np.uint8)
    found = estimate_set([measure_photo(plain, plain[..., 0].astype(float))], np.random.default_rng(0))
    assert found.photos[0]["blur_sigma"] is None and found.photos[0]["sharpen"] is None
    assert "straight, isolated edges" in " ".join(found.remarks[0])


def test_half_sample_mode_ignores_tails() -> None:
    rng = np.random.default_rng(0)
    sample = np.concatenate([rng.normal(1.0, 0.02, 60), rng.uniform(1.0, 5.0, 140)])
    assert half_sample_mode(sample) == pytest.approx(1.0, abs=0.06)
    assert half_sample_mode(np.array([3.0])) == 3.0
    assert half_sample_mode(np.array([1.0, 1.1, 9.0])) == pytest.approx(1.05)


def test_vignetting_is_recovered_from_a_set() -> None:
    vignette = 0.4
    losses = [_vignette_losses(light, vignette, seed) for seed, light in enumerate(scenes(8))]
    found = fit_vignettes(losses, np.random.default_rng(0))
    assert found is not None
    assert found.of_set == pytest.approx(vignette, rel=BOUND)
    assert found.interval[0] < vignette < found.interval[1] and np.ptp(found.interval) < 0.25
    alone = [fit_vignettes([loss], np.random.default_rng(0)) for loss in losses]
    scatter = np.array([one.of_set for one in alone if one is not None]) - vignette
    assert np.abs(found.of_photos - vignette).mean() < 0.7 * np.abs(scatter).mean()  # the set steadies single photos


def test_photos_without_vignetting_have_little() -> None:
    found = fit_vignettes([_vignette_losses(light, 0.0, 3) for light in scenes(8)], np.random.default_rng(0))
    assert found is not None and found.of_set < 0.08


def test_clipped_photos_say_nothing_of_vignetting() -> None:
    white = np.ones((60, 80))
    assert vignette_losses(white) is None
    assert fit_vignettes([None], np.random.default_rng(0)) is None


def _vignette_losses(light: np.ndarray, vignette: float, seed: int) -> np.ndarray:
    data = photo(light, Camera(2e-4, 0.002, 0.6, vignette=vignette, quality=90), seed)
    encoded = np.asarray(Image.open(io.BytesIO(data))) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    found = vignette_losses(linear @ np.array([0.299, 0.587, 0.114]))
    assert found is not None
    return found


def _saved(quality: int, image: np.ndarray, **options: object) -> Image.Image:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, **options)
    return Image.open(file)


@pytest.mark.parametrize("quality", [1, 10, 35, 49, 50, 51, 75, 88, 95, 100])
def test_quality_is_that_of_libjpeg(quality: int) -> None:
    file = _saved(quality, np.zeros((16, 16, 3), np.uint8))
    assert jpeg_quality([np.array(table) for table in file.quantization.values()]) == quality


@pytest.mark.parametrize("quality", [40, 60, 80])
def test_an_earlier_compression_is_seen(quality: int) -> None:
    """Saving a photo again at a high quality does not undo what a low one took."""
    light = scenes(3)[0]
    first = np.asarray(Image.open(io.BytesIO(photo(light, Camera(3e-4, 0.002, 0.5, quality=quality), 1))))
    again = io.BytesIO()
    Image.fromarray(first).save(again, "JPEG", quality=95)
    found = measured(again.getvalue()).jpeg
    assert found is not None and abs(found.quality - quality) <= 3
    once = measured(photo(light, Camera(3e-4, 0.002, 0.5, quality=quality), 1)).jpeg
    assert once is not None and once.quality == quality


def test_photos_that_were_never_compressed_show_no_compression() -> None:
    image = np.asarray(Image.open(io.BytesIO(photo(scenes(3)[0], Camera(3e-4, 0.002, 0.5), 1))))
    assert earlier_quality(block_coefficients(pixel_blocks(image @ np.array([0.299, 0.587, 0.114]))), None) is None


@pytest.mark.parametrize("name", ["4:4:4", "4:2:2", "4:2:0"])
def test_subsampling_is_read_from_the_file(name: str) -> None:
    file = _saved(80, np.zeros((16, 16, 3), np.uint8), subsampling=name)
    assert subsampling([(layer[1], layer[2]) for layer in file.layer]) == name


def test_grey_files_are_not_subsampled() -> None:
    assert subsampling([(1, 1)]) == "4:4:4"


def test_colours_are_those_of_cie_lab() -> None:
    """Against the values of sRGB red and of white under D65."""
    red, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    red[..., 0] = 255
    mean, std = lab_statistics(red)
    assert mean == pytest.approx([53.24, 80.09, 67.20], abs=0.05) and std == pytest.approx([0, 0, 0], abs=1e-4)
    mean, std = lab_statistics(np.concatenate([white, np.zeros_like(white)]))
    assert mean == pytest.approx([50, 0, 0], abs=0.05) and std == pytest.approx([50, 0, 0], abs=0.05)


def test_tones_are_quantiles_of_the_pixels() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    luma, channels = tone_quantiles(ramp)
    assert luma == pytest.approx(np.linspace(0, 1, 33), abs=1e-9)
    assert channels["b"] == pytest.approx(np.linspace(0, 1, 33), abs=1e-9)

# SPDX-License-Identifier: GPL-3.0-or-later
"""All estimates of one photo, and their statistics over the photos of a set."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from ...engine.scene.srgb import decode_srgb, encode_slope
from .compression import block_coefficients, earlier_quality, effective_steps, jpeg_settings, pixel_blocks
from .fit_file import ChannelQuantiles, Jpeg, Noise, PhotoFit, Statistic
from .noise import PlainBlocks, fit_noise, plain_blocks
from .sharpness import EdgeProfile, common_profile, find_edges, fit_sharpness
from .tone import LUMA, lab_statistics, tone_quantiles
from .vignette import Vignettes, fit_vignettes, vignette_losses

N_BOOTSTRAP = 1000
MIDDLE_GREY = 0.5
"""sRGB-encoded level at which ``noise_level`` is stated."""


@attrs.frozen(eq=False)
class PhotoMeasurement:
    """What is measured of one photo: all of :class:`.fit_file.PhotoFit` that it gives by itself, and of its noise,
    edges and vignetting what they are estimated from over a set, or a sentence that says why it does not give it."""

    jpeg: Jpeg | None
    luma_quantiles: tuple[float, ...]
    channel_quantiles: ChannelQuantiles
    lab_mean: tuple[float, ...]
    lab_std: tuple[float, ...]
    profile: EdgeProfile | str
    blocks: PlainBlocks | str
    vignette_losses: np.ndarray | None


def measure_photo(
    image: np.ndarray,
    luma: np.ndarray,
    tables: Sequence[np.ndarray] = (),
    factors: Sequence[tuple[int, int]] = (),
) -> PhotoMeasurement:
    """Measure noise, sharpness, compression, vignetting, tone and colour of a photo.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    luma : (H, W) float
        In [0, 255], of JPEG files as stored.
    tables : sequence of (8, 8) int
        Quantisation tables for luma and chroma; empty for photos that are no JPEG files.
    factors : sequence of (int, int)
        Sampling factors of the components of a JPEG file.
    """
    steps = tables[0] if tables else None
    earlier = earlier_quality(block_coefficients(pixel_blocks(luma)), steps)
    of_luma, of_channels = tone_quantiles(image)
    mean, std = lab_statistics(image)
    return PhotoMeasurement(
        jpeg_settings(tables, factors, earlier) if tables else None,
        tuple(of_luma),
        ChannelQuantiles(**{name: tuple(values) for name, values in of_channels.items()}),
        tuple(mean.tolist()),
        tuple(std.tolist()),
        common_profile(find_edges(luma / 255)),
        plain_blocks(luma, effective_steps(steps, earlier)) or "It has too few blocks that are not clipped.",
        vignette_losses(decode_srgb(image / 255.0) @ LUMA),
    )


@attrs.frozen(eq=False)
class SetEstimates:
    """Estimates of n photos of one camera: ``photos`` (n) as keywords of :class:`.fit_file.PhotoFit`, ``remarks`` (n)
    with a sentence for each estimate that a photo does not give, and the ``vignettes`` of the set."""

    photos: list[dict[str, Any]]
    remarks: list[tuple[str, ...]]
    vignettes: Vignettes | None


def estimate_set(measured: Sequence[PhotoMeasurement], rng: np.random.Generator) -> SetEstimates:
    """Estimate what the photos of one camera have: sharpening and vignetting by all of them together.

    ``rng`` draws the resamples behind the interval of the vignetting.
    """
    known = [m.profile for m in measured if not isinstance(m.profile, str)]
    sharpness_of, usual = fit_sharpness(known)
    sharpness = iter(sharpness_of)
    vignettes = fit_vignettes([m.vignette_losses for m in measured], rng)
    photos, remarks = [], []
    for i, m in enumerate(measured):
        sharp = None if isinstance(m.profile, str) else next(sharpness)
        sharpen = sharp.sharpen if sharp else usual
        noise = m.blocks if isinstance(m.blocks, str) else fit_noise(m.blocks, sharpen)
        vignette = math.nan if vignettes is None else float(vignettes.of_photos[i])
        photos.append(
            {
                "noise": None if isinstance(noise, str) else noise,
                "blur_sigma": sharp and sharp.blur_sigma,
                "sharpen": sharpen,
                "vignette": None if math.isnan(vignette) else vignette,
                **{f: getattr(m, f) for f in ("jpeg", "luma_quantiles", "channel_quantiles", "lab_mean", "lab_std")},
            }
        )
        said = [f"No blur{'' if usual else ' and no sharpening'}: {m.profile}"] if isinstance(m.profile, str) else []
        said += [f"No noise: {noise}"] if isinstance(noise, str) else []
        said += ["No vignetting: Most of it is clipped."] if math.isnan(vignette) else []
        remarks.append(tuple(said))
    return SetEstimates(photos, remarks, vignettes)


def noise_level(noise: Noise) -> float:
    """Standard deviation of a channel's noise at middle grey, in sRGB grey levels of 255."""
    light = float(decode_srgb(np.array(MIDDLE_GREY)))
    return 255 * float(encode_slope(np.array(light))) * math.sqrt(noise.shot * light + noise.read**2)


def _mean_luma(photo: PhotoFit) -> float:
    quantiles = np.array(photo.luma_quantiles)
    return float((quantiles[1:] + quantiles[:-1]).mean() / 2)


STATISTICS: dict[str, Callable[[PhotoFit], float | None]] = {
    "noise_level": lambda photo: None if photo.noise is None else noise_level(photo.noise),
    "noise_shot": lambda photo: None if photo.noise is None else photo.noise.shot,
    "noise_read": lambda photo: None if photo.noise is None else photo.noise.read,
    "noise_grain": lambda photo: None if photo.noise is None else photo.noise.grain,
    "blur_sigma": lambda photo: photo.blur_sigma,
    "sharpen_amount": lambda photo: None if photo.sharpen is None else photo.sharpen.amount,
    "sharpen_radius": lambda photo: photo.sharpen.radius if photo.sharpen and photo.sharpen.amount else None,
    "vignette": lambda photo: photo.vignette,
    "jpeg_quality": lambda photo: None if photo.jpeg is None else float(photo.jpeg.quality),
    "brightness": _mean_luma,
    "black_level": lambda photo: photo.luma_quantiles[1],
    "white_level": lambda photo: photo.luma_quantiles[-2],
    "lab_l_mean": lambda photo: photo.lab_mean[0],
    "lab_a_mean": lambda photo: photo.lab_mean[1],
    "lab_b_mean": lambda photo: photo.lab_mean[2],
    "lab_l_std": lambda photo: photo.lab_std[0],
    "lab_a_std": lambda photo: photo.lab_std[1],
    "lab_b_std": lambda photo: photo.lab_std[2],
    "width": lambda photo: float(photo.width),
    "height": lambda photo: float(photo.height),
    "focal_length": lambda photo: photo.exif.focal_length,
    "focal_length_35mm": lambda photo: photo.exif.focal_length_35mm,
    "f_number": lambda photo: photo.exif.f_number,
    "exposure_time": lambda photo: photo.exif.exposure_time,
    "iso": lambda photo: photo.exif.iso,
}
"""Statistics over photos by name, in the order of reports: what each is of one photo; None where it gives none."""


def values_of(photos: Sequence[PhotoFit], name: str) -> np.ndarray:
    """A statistic of all photos that give a value, (n,)."""
    return np.array([value for value in map(STATISTICS[name], photos) if value is not None], dtype=float)


def statistics(
    photos: Sequence[PhotoFit],
    stream: Callable[[str], np.random.Generator],
    vignettes: Vignettes | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
) -> dict[str, Statistic]:
    """Median, interval and quantiles of each statistic that any photo gives.

    The interval is that of the medians of ``n_bootstrap`` resamples of the photos; ``stream`` returns the random
    stream of a statistic. That of the vignetting is the set's own.
    """
    out = {}
    for name in STATISTICS:
        known = values_of(photos, name)
        if not len(known):
            continue
        drawn = stream(name).integers(len(known), size=(n_bootstrap, len(known)))
        low, high = np.quantile(np.median(known[drawn], axis=1), [0.025, 0.975])
        if name == "vignette" and vignettes is not None:
            low, high = vignettes.interval
        quantiles = np.quantile(known, [0.05, 0.25, 0.75, 0.95])
        out[name] = Statistic(float(np.median(known)), (float(low), float(high)), tuple(quantiles.tolist()), len(known))
    return out

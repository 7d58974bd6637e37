# SPDX-License-Identifier: GPL-3.0-or-later
"""Effects against physics and other implementations: what each does to pictures of known content."""

from __future__ import annotations

import io
import itertools
import json
import math
from pathlib import Path
from typing import Any

import attrs
import cv2
import numpy as np
import pytest
import scipy.ndimage
from camera_files import photo_entry, write_camera_file
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from property_examples import examples
from twinset.engine.errors import DataError
from twinset.engine.plugin.params import build
from twinset.engine.rng import stream
from twinset.engine.sampling.effects import AttemptEffects
from twinset.engine.stage import Labels, Shot
from twinset.plugins.effects.blur import Blur
from twinset.plugins.effects.chromatic_aberration import ChromaticAberration
from twinset.plugins.effects.defocus import Defocus, signed_blur
from twinset.plugins.effects.exposure import Exposure, contrast_curve
from twinset.plugins.effects.jpeg import SUBSAMPLINGS, Jpeg, compressed
from twinset.plugins.effects.motion_blur import MotionBlur, line_kernel
from twinset.plugins.effects.noise import Noise
from twinset.plugins.effects.resize import Resize
from twinset.plugins.effects.rolling_shutter import RollingShutter
from twinset.plugins.effects.sharpen import Sharpen
from twinset.plugins.effects.vignette import Vignette
from twinset.testing import make_shot

HEIGHT, WIDTH = 60, 80


def shot_of(image: np.ndarray, depth: np.ndarray | None = None, ids: np.ndarray | None = None) -> Shot:
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
    return np.full((*shape, 3), value, np.float32)


def linear_of(encoded: np.ndarray) -> np.ndarray:
    """sRGB by the definition of IEC 61966-2-1."""
    encoded = np.asarray(encoded, dtype=float)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encoded_of(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


@pytest.fixture(scope="module")
def scenery() -> np.ndarray:
    """An 8-bit picture with smooth and busy parts in colour."""
    rng = np.random.default_rng(5)
    busy = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 1.5)
    ramp = np.linspace(0.1, 0.8, WIDTH, dtype=np.float32)[None, :, None]
    return np.rint(np.clip(0.6 * ramp + 0.8 * (busy - 0.3), 0, 1) * 255).astype(np.uint8)


ALL = (
    Blur(),
    ChromaticAberration(),
    Defocus(),
    Exposure(),
    Jpeg(),
    MotionBlur(),
    Noise(),
    Resize(),
    RollingShutter(),
    Sharpen(),
    Vignette(),
)


@settings(max_examples=examples(25), deadline=None)
@given(
    plugin=st.sampled_from(ALL),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    frame=st.integers(0, 2**31),
    level=st.sampled_from([0, 255, None]),
)
def test_any_picture_stays_a_picture_and_frames_repeat(plugin: Any, size: Any, frame: int, level: int | None) -> None:
    image = np.random.default_rng(frame).integers(0, 256, (*size, 3), dtype=np.uint8)
    if level is not None:
        image[:] = level
    kept = image.copy()
    once, again = applied(plugin, image, frame=frame), applied(plugin, image, frame=frame)
    assert once.shape == image.shape and once.dtype == np.uint8
    assert (once == again).all() and (image == kept).all()


def test_probability_is_the_share_of_frames(scenery: np.ndarray) -> None:
    sharpen = Sharpen(probability=0.3, amount=(1.0, 1.0))
    changed = sum((applied(sharpen, scenery, frame=frame) != scenery).any() for frame in range(200))
    # Binomial: 60 ± 6.5; five standard deviations.
    assert 28 <= changed <= 92
    assert (applied(Blur(probability=0.0), scenery) == scenery).all()


# Exposure -------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(25), deadline=None)
@given(value=st.floats(0.02, 0.6), stops=st.floats(-2.0, 1.0))
def test_a_stop_doubles_linear_light(value: float, stops: float) -> None:
    image = flat(value, (40, 40))
    out = raw(Exposure(), image, stops=stops, contrast=1.0, temperature=6500.0, tint=0.0)
    want = encoded_of(np.minimum(linear_of(value) * 2.0**stops, 1.0))
    assert float(out.mean()) == pytest.approx(float(want), abs=1.5e-3)


def test_more_exposure_is_brighter_everywhere(scenery: np.ndarray) -> None:
    pictures = [applied(Exposure(stops=(s, s)), scenery).astype(int) for s in (-2.0, -0.5, 0.5, 1.5)]
    for darker, brighter in itertools.pairwise(pictures):
        assert (brighter >= darker).all() and brighter.mean() > darker.mean() + 10


def test_a_lower_temperature_is_warmer_and_tint_is_magenta_at_equal_luminance() -> None:
    grey = flat(0.4, (64, 64))
    for values, sign in (
        ({"temperature": 3500.0, "tint": 0.0}, (1, -1)),
        ({"temperature": 9000.0, "tint": 0.0}, (-1, 1)),
    ):
        red, green, blue = raw(Exposure(), grey, stops=0.0, contrast=1.0, **values).mean((0, 1))
        assert np.sign(red - green) == sign[0] and np.sign(blue - green) == sign[1]
    out = raw(Exposure(), grey, stops=0.0, contrast=1.0, temperature=6500.0, tint=0.5).mean((0, 1))
    assert out[0] > out[1] + 0.02 and out[2] > out[1] + 0.02
    assert linear_of(out) @ (0.2126, 0.7152, 0.0722) == pytest.approx(float(linear_of(0.4)), rel=0.02)


@pytest.mark.parametrize("slope", [0.3, 0.8, 1.2, 2.0, 4.0])
def test_the_contrast_curve_keeps_its_ends_and_has_its_slope(slope: float) -> None:
    curve = contrast_curve(slope, 10001)
    assert curve[0] == pytest.approx(0, abs=1e-9) and curve[-1] == pytest.approx(1, abs=1e-9)
    assert curve[5000] == pytest.approx(0.5, abs=1e-6)
    assert (np.diff(curve) > 0).all()
    assert (curve[5010] - curve[4990]) / 0.002 == pytest.approx(slope, rel=1e-3)


# Noise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grain", [0.0, 0.8])
@pytest.mark.parametrize("color", [0.0, 0.4, 1.0])
def test_noise_has_the_variance_that_it_is_given(grain: float, color: float) -> None:
    shot, read, variances, levels = 4e-4, 6e-3, [], (0.2, 0.4, 0.6, 0.8)
    for level in levels:
        out = raw(Noise(color=color), flat(level, (300, 300)), shot=shot, read=read, grain=grain, blotches=0.0)
        variances.append(float(linear_of(out).var()))
        assert float(linear_of(out).mean()) == pytest.approx(float(linear_of(level)), abs=2e-3)
    want = shot * linear_of(np.array(levels)) + read**2
    assert (np.diff(variances) > 0).all()
    # 270,000 values, of which grain leaves a ninth independent: standard error of a variance below 1 %.
    np.testing.assert_allclose(variances, want, rtol=0.05)


def test_grain_makes_neighbours_alike_and_grey_noise_has_no_colour() -> None:
    def neighbours(grain: float) -> float:
        noise = raw(Noise(), flat(0.5, (200, 200)), shot=0.0, read=0.02, grain=grain, blotches=0.0) - 0.5
        return float(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1])

    assert abs(neighbours(0.0)) < 0.02
    # Noise blurred by sigma has the autocorrelation exp(-d² / (4 sigma²)).
    assert neighbours(1.0) == pytest.approx(math.exp(-1 / 4), abs=0.03)
    grey = raw(Noise(color=0.0), flat(0.5), shot=0.0, read=0.02, grain=0.0, blotches=0.0)
    assert np.ptp(grey, axis=-1).max() < 1e-6 and grey.std() > 0.01


def test_blotches_are_smooth_colour_of_the_given_size() -> None:
    out = raw(Noise(blotch_size=6.0), flat(0.5, (240, 320)), shot=0.0, read=0.0, grain=0.0, blotches=0.03) - 0.5
    assert out.std() == pytest.approx(0.03, rel=0.02)
    assert np.abs(out.sum(-1)).max() < 1e-3  # colour alone
    near = np.corrcoef(out[:, 1:].ravel(), out[:, :-1].ravel())[0, 1]
    far = np.corrcoef(out[:, 40:].ravel(), out[:, :-40].ravel())[0, 1]
    assert near > 0.97 and abs(far) < 0.25


def test_iso_is_what_its_documentation_says(scenery: np.ndarray) -> None:
    shot = shot_of(scenery)
    drawn = Noise(iso=(800.0, 800.0)).draw(shot, stream(1), stream)
    assert drawn["shot"] == pytest.approx(800 / 2_000_000) and drawn["read"] == pytest.approx(800 / 500_000)
    isos = [Noise(iso=(100.0, 6400.0)).draw(shot, stream(k), stream)["iso"] for k in range(300)]
    assert min(isos) < 130 and max(isos) > 5000
    assert 600 < np.median(isos) < 1100  # log-uniform: 800


def test_a_draft_has_what_is_left_of_the_noise_when_the_frame_is_shrunk() -> None:
    plugin, values = Noise(), {"shot": 4e-4, "read": 6e-3, "grain": 0.0, "blotches": 0.0}
    full, half = flat(0.5, (400, 400)), flat(0.5, (200, 200))
    shrunk = cv2.resize(raw(plugin, full, **values), (200, 200), interpolation=cv2.INTER_AREA)
    draft = attrs.evolve(shot_of(half), camera=shot_of(full).camera)
    assert draft.scale == 0.5
    drafted = plugin.apply(half, draft, stream(8), values)
    assert float(drafted.std()) == pytest.approx(float(shrunk.std()), rel=0.03)


# Blur, sharpening, defocus, motion ------------------------------------------------------------------------------


def edge(width: int = 80) -> np.ndarray:
    image = flat(0.2, (40, width))
    image[:, width // 2 :] = 0.7
    return image


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5])
def test_blur_of_an_edge_is_that_of_scipy(sigma: float) -> None:
    out = raw(Blur(), edge(), sigma=sigma)[20, :, 1]
    want = scipy.ndimage.gaussian_filter1d(edge()[20, :, 1].astype(float), sigma, mode="mirror", truncate=6)
    np.testing.assert_allclose(out, want, atol=4e-3)
    # The spread of the edge's derivative is sigma itself.
    rise = np.diff(out)
    place = np.arange(len(rise))
    middle = (rise * place).sum() / rise.sum()
    assert math.sqrt((rise * (place - middle) ** 2).sum() / rise.sum()) == pytest.approx(sigma, rel=0.06)


def test_a_draft_is_blurred_by_fewer_pixels() -> None:
    full = edge()
    draft = attrs.evolve(shot_of(edge(40)[:20]), camera=shot_of(full).camera)
    assert draft.scale == 0.5
    out = Blur().apply(edge(40)[:20], draft, stream(1), {"sigma": 2.0})
    np.testing.assert_allclose(out, raw(Blur(), edge(40)[:20], sigma=1.0), atol=1e-6)


def test_sharpening_makes_halos_of_its_radius() -> None:
    out = raw(Sharpen(), edge(), amount=0.8, radius=1.5)[20, :, 0]
    blurred = scipy.ndimage.gaussian_filter1d(edge()[20, :, 0].astype(float), 1.5, mode="mirror", truncate=6)
    want = 1.8 * edge()[20, :, 0] - 0.8 * blurred
    np.testing.assert_allclose(out, want, atol=4e-3)
    assert out.max() > 0.75 and out.min() < 0.15 and np.abs(out[:30] - 0.2).max() < 1e-4


@settings(max_examples=examples(25), deadline=None)
@given(length=st.floats(0.2, 60.0), direction=st.floats(-360, 360))
def test_a_motion_kernel_is_a_line_about_the_middle(length: float, direction: float) -> None:
    kernel = line_kernel(length, direction).astype(float)
    y, x = np.mgrid[: len(kernel), : len(kernel)] - (len(kernel) - 1) / 2
    assert kernel.sum() == pytest.approx(1) and kernel.min() >= 0
    assert abs((kernel * x).sum()) < 1e-5 and abs((kernel * y).sum()) < 1e-5
    angle = math.radians(direction)
    along, across = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
    # Variance of a line of that length; dividing points between pixels adds at most a quarter in each direction.
    spread = (kernel * along**2).sum()
    assert length**2 / 12 - 1e-3 <= spread <= length**2 / 12 + 0.51
    assert (kernel * across**2).sum() < 0.51


def test_motion_blur_is_in_linear_light_and_leaves_what_is_along_it() -> None:
    out = raw(MotionBlur(), edge(), length=20.0, direction=0.0)[20, :, 0]
    # The edge lies between two pixels, whose linear light is as far from the middle on either side.
    assert linear_of(out[39:41]).mean() == pytest.approx(float(linear_of(0.2) + linear_of(0.7)) / 2, abs=1e-3)
    assert linear_of(out[40]) - linear_of(out[39]) == pytest.approx(
        float(linear_of(0.7) - linear_of(0.2)) / 20, abs=1e-3
    )
    np.testing.assert_allclose(raw(MotionBlur(), edge(), length=20.0, direction=90.0)[20, 45:], 0.7, atol=1e-3)


def checks(shape: tuple[int, int] = (96, 96)) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.repeat((0.3 + 0.4 * (((x // 3) + (y // 3)) % 2))[..., None], 3, -1).astype(np.float32)


def defocused(image: np.ndarray, depth: np.ndarray | float, aperture: float = 1.4) -> np.ndarray:
    """Seen through a lens of 100 mm, in focus at 2 m."""
    depth = np.broadcast_to(np.float32(depth), image.shape[:2])
    shot = make_shot(np.zeros(image.shape[:2], np.int32), n=0, depth=depth, lens=100.0)
    return Defocus().apply(image, shot, stream(1), {"focus": 2.0, "aperture": aperture})


def test_defocus_grows_with_the_distance_from_the_focus() -> None:
    image = checks()
    assert defocused(image, 2.0).std() == pytest.approx(float(image.std()), rel=1e-3)
    for steps in ((2.0, 2.3, 2.6, 3.5, 6.0), (2.0, 1.7, 1.5, 1.2)):
        assert (np.diff([float(defocused(image, distance).std()) for distance in steps]) < 0).all()
    wide = [float(defocused(image, 3.0, aperture).std()) for aperture in (2.8, 2.0, 1.4)]
    assert (np.diff(wide) < 0).all()
    # One blur all over the picture is the Gaussian that the formula gives.
    sigma = signed_blur(np.array([[3.0]]), 2.0, 1.4, 0.1)[0, 0] / 0.036 * image.shape[1]
    want = scipy.ndimage.gaussian_filter(linear_of(image[..., 0]), sigma, mode="mirror", truncate=6)
    np.testing.assert_allclose(linear_of(defocused(image, 3.0)[..., 0]).std(), want.std(), atol=0.02)


@settings(max_examples=examples(25), deadline=None)
@given(
    focus=st.floats(0.5, 50.0), distance=st.floats(0.3, 100.0), lens=st.floats(0.01, 0.1), number=st.floats(1.0, 16.0)
)
def test_the_circle_of_confusion_is_that_of_traced_rays(
    focus: float, distance: float, lens: float, number: float
) -> None:
    """Two rays from a point through the rim of a thin lens, met by the sensor where the focus is imaged."""
    sensor, image = 1 / (1 / lens - 1 / focus), 1 / (1 / lens - 1 / distance)
    rim = lens / number / 2
    at_sensor = [edge + (0.0 - edge) * sensor / image for edge in (-rim, rim)]
    diameter = abs(at_sensor[1] - at_sensor[0])
    spread = signed_blur(np.array([[distance]]), focus, number, lens)[0, 0]
    assert abs(spread) == pytest.approx(diameter / 4, rel=1e-6, abs=1e-12)
    assert spread == 0 or (spread > 0) == (distance > focus)


def test_something_sharp_in_front_keeps_its_edge_before_a_blurred_wall() -> None:
    image, depth = checks(), np.full((96, 96), 8.0, np.float32)
    image[30:60, 30:60], depth[30:60, 30:60] = 0.9, 2.0
    out = defocused(image, depth)
    np.testing.assert_allclose(out[30:60, 30:60], 0.9, atol=2e-3)
    # Nor does it shine into the wall beside it.
    beside = out[35:55, 22:29].mean()
    assert beside == pytest.approx(float(out[35:55, 2:12].mean()), abs=0.02)


def test_focus_is_on_an_object_in_view_by_default() -> None:
    ids, depth = np.zeros((20, 20), np.int32), np.full((20, 20), 9.0, np.float32)
    ids[2:6, 2:6], ids[10:14, 10:14] = 1, 2
    depth[ids == 1], depth[ids == 2] = 1.5, 3.0
    shot = shot_of(flat(0.5, (20, 20)), depth, ids)
    assert {Defocus().draw(shot, stream(k), stream)["focus"] for k in range(20)} == {1.5, 3.0}
    empty = attrs.evolve(shot, labels=Labels(np.zeros_like(ids), np.full_like(depth, np.inf)))
    assert Defocus().draw(empty, stream(1), stream)["focus"] == 10_000.0


# Lens: vignette, colour fringes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("falloff", [0.1, 0.5, 1.0])
def test_a_vignette_falls_with_the_squared_radius(falloff: float) -> None:
    out = linear_of(raw(Vignette(), flat(0.6), falloff=falloff))[..., 0] / linear_of(0.6)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    radius = np.hypot(x - WIDTH / 2, y - HEIGHT / 2) / math.hypot(WIDTH / 2, HEIGHT / 2)
    np.testing.assert_allclose(out, 1 - falloff * radius**2, atol=3e-3)
    order = np.argsort(radius, axis=None)
    assert (np.diff(out.ravel()[order][::50]) <= 1e-6).all()


def test_colour_fringes_are_as_wide_as_said_in_the_corners() -> None:
    dot = np.zeros((120, 160, 3), np.float32)
    y, x = np.mgrid[:120, :160]
    # A soft dot at three quarters of the way to the corner.
    dot[...] = np.exp(-((x + 0.5 - 140) ** 2 + (y + 0.5 - 105) ** 2) / 18)[..., None]
    out = raw(ChromaticAberration(), dot, red=3.0, blue=-2.0)

    def centre(channel: np.ndarray) -> np.ndarray:
        return np.array([(channel * (x + 0.5)).sum(), (channel * (y + 0.5)).sum()]) / channel.sum()

    way = np.array([60.0, 45.0])
    for channel, corner in ((0, 3.0), (1, 0.0), (2, -2.0)):
        want = way * corner / 100  # 100 pixels from the middle to the corner
        # OpenCV takes source coordinates to a thirty-second of a pixel.
        np.testing.assert_allclose(centre(out[..., channel]) - centre(dot[..., 0]), want, atol=0.08)
    assert (out[..., 1] == dot[..., 1]).all()


# JPEG and resizing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [12, 50, 75, 93])
def test_jpeg_has_the_tables_and_the_sampling_that_were_asked_for(
    scenery: np.ndarray, quality: int, subsampling: str
) -> None:
    file = Image.open(io.BytesIO(compressed(scenery.astype(np.float32) / 255, quality, subsampling).tobytes()))
    reference = io.BytesIO()
    Image.fromarray(scenery).save(reference, "JPEG", quality=quality)
    assert file.quantization == Image.open(reference).quantization
    across, down = file.layer[0][1:3]
    assert (across, down) == {"4:4:4": (1, 1), "4:4:0": (1, 2), "4:2:2": (2, 1), "4:2:0": (2, 2), "4:1:1": (4, 1)}[
        subsampling
    ]


def test_lower_quality_is_farther_from_the_picture(scenery: np.ndarray) -> None:
    away = [np.abs(applied(Jpeg(quality=(q, q)), scenery).astype(int) - scenery).mean() for q in (95, 70, 40, 10)]
    assert (np.diff(away) > 0).all()


def test_resizing_loses_what_the_smaller_picture_cannot_show(scenery: np.ndarray) -> None:
    fine = np.abs(np.diff(scenery.astype(int), axis=1)).mean()
    for factor in (0.9, 0.6, 0.3):
        out = applied(Resize(factor=(factor, factor), down=["area"], up=["bilinear"]), scenery)
        assert out.shape == scenery.shape
        now = np.abs(np.diff(out.astype(int), axis=1)).mean()
        assert now < fine
        fine = now
    blocks = raw(Resize(), checks(), factor=0.5, down="nearest", up="nearest")
    np.testing.assert_array_equal(blocks[::2, ::2], blocks[1::2, 1::2])


# Fitted to photos -----------------------------------------------------------------------------------------------

FITTED = (Exposure, Noise, Blur, Sharpen, Vignette, Jpeg)


def test_all_effects_of_a_frame_imitate_the_same_photo(tmp_path: Path, scenery: np.ndarray) -> None:
    write_camera_file(tmp_path / "camera.json", [photo_entry(f"{k}.jpg") for k in range(20)])
    shot, seen = shot_of(scenery), set()
    for frame in range(40):
        plugins = [(f"effect.{k}", cls(fit=str(tmp_path / "camera.json"))) for k, cls in enumerate(FITTED)]
        effects = AttemptEffects(plugins, 1, frame, 0)
        effects.of_probe(shot)
        photos = {record["photo"] for record in effects.records}
        assert len(photos) == 1
        seen |= photos
    assert len(seen) > 12


def test_the_folder_of_the_file_makes_no_difference(tmp_path: Path, scenery: np.ndarray) -> None:
    drawn = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_camera_file(tmp_path / name / "camera.json", [photo_entry(f"{k}.jpg") for k in range(20)])
        effects = AttemptEffects([("effect", Blur(fit=str(tmp_path / name / "camera.json")))], 1, 3, 0)
        effects.of_probe(shot_of(scenery))
        drawn.append(effects.records)
    assert drawn[0] == drawn[1]


def test_values_are_those_of_the_photo_at_the_size_of_the_image(tmp_path: Path, scenery: np.ndarray) -> None:
    path, shot = str(tmp_path / "camera.json"), shot_of(scenery)
    twice = {"width": 2 * WIDTH, "height": 2 * HEIGHT}
    write_camera_file(path, [photo_entry("x.jpg", **twice, blur_sigma=1.6, noise={"shot": 4e-4, "read": 6e-3})])

    def draw(plugin: Any) -> dict[str, Any]:
        return plugin.draw(shot, stream(1), lambda name: stream(1, name))

    assert draw(Blur(fit=path))["sigma"] == pytest.approx(0.8)
    assert draw(Blur(fit=path, rendered_sigma=0.48))["sigma"] == pytest.approx(0.64)
    noise = draw(Noise(fit=path))
    assert (noise["shot"], noise["read"]) == (pytest.approx(1e-4), pytest.approx(3e-3))
    assert draw(Vignette(fit=path))["falloff"] == 0.25
    assert draw(Jpeg(fit=path)) == {"photo": "x.jpg", "quality": 85, "subsampling": "4:2:0"}


def test_what_a_photo_does_not_say_is_left_alone(tmp_path: Path, scenery: np.ndarray) -> None:
    path = tmp_path / "camera.json"
    write_camera_file(path, [photo_entry("x.png", noise=None, blur_sigma=None, sharpen=None, vignette=None, jpeg=None)])
    for cls in FITTED[1:]:
        assert (applied(cls(fit=str(path)), scenery) == scenery).all(), cls


@pytest.mark.parametrize("match", ["luma", "lab", "channels"])
def test_tones_become_those_of_the_photo(tmp_path: Path, scenery: np.ndarray, match: str) -> None:
    rng = np.random.default_rng(3)
    photo = np.clip(rng.gamma(1.5, 0.25, (200, 300, 1)) + rng.normal(0, 0.03, (200, 300, 3)), 0, 1)
    path = tmp_path / "camera.json"
    write_camera_file(path, [photo_entry("x.jpg", image=np.rint(photo * 255).astype(np.uint8))])
    entry = json.loads(path.read_text())["photos"][0]
    out = applied(Exposure(fit=str(path), match=match, max_slope=10.0), scenery)
    at = np.linspace(0.02, 0.98, 25)

    def luma_quantiles(image: np.ndarray) -> np.ndarray:
        return np.quantile(image @ (0.299, 0.587, 0.114) / 255, at)

    want = np.interp(at, np.linspace(0, 1, 33), entry["luma_quantiles"])
    before, after = (np.abs(luma_quantiles(image) - want).mean() for image in (scenery, out))
    assert before > 0.08 and after < (0.012 if match == "luma" else 0.03)
    if match == "channels":
        for k, name in enumerate("rgb"):
            want = np.interp(at, np.linspace(0, 1, 33), entry["channel_quantiles"][name])
            assert np.abs(np.quantile(out[..., k] / 255, at) - want).mean() < 0.012
    half = applied(Exposure(fit=str(path), match=match, strength=(0.5, 0.5), max_slope=10.0), scenery)
    assert abs(half.mean() - (scenery.mean() + out.mean()) / 2) < 4


@pytest.mark.parametrize(
    ("cls", "values", "sentence"),
    [
        (Exposure, {"fit": "c.json", "stops": [0, 1]}, "'fit' says the tones"),
        (Noise, {"fit": "c.json", "iso": [100, 200]}, "'fit' says how much noise"),
        (Noise, {"iso": [100, 200], "read": [0, 0.1]}, "'iso' and 'read' both say"),
        (Blur, {"fit": "c.json", "sigma": [1, 2]}, "'fit' says how much is blurred"),
        (Sharpen, {"fit": "c.json", "radius": [1, 2]}, "'fit' says amount and radius"),
        (Vignette, {"fit": "c.json", "falloff": [0, 1]}, "'fit' says the fall-off"),
        (Jpeg, {"fit": "c.json", "quality": [50, 60]}, "'fit' says the quality"),
        (Jpeg, {"quality": [90, 60]}, "must be \\[lowest, highest\\]"),
        (Jpeg, {"subsampling": []}, "'subsampling' must name"),
        (Resize, {"up": []}, "'up' must name"),
    ],
)
def test_contradictions_are_refused(cls: type, values: dict[str, Any], sentence: str) -> None:
    instance, problems = build(cls, values, "effect 'x'")
    assert instance is None
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(problems[0])


def test_a_file_that_is_no_camera_fit_gives_a_sentence(tmp_path: Path, scenery: np.ndarray) -> None:
    with pytest.raises(DataError, match="does not exist"):
        applied(Blur(fit=str(tmp_path / "none.json")), scenery)
    (tmp_path / "torn.json").write_text("[1, 2")
    with pytest.raises(DataError, match="is no camera fit"):
        applied(Blur(fit=str(tmp_path / "torn.json")), scenery)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Effects with values from a fitted camera file: one photo for a frame, sizes, tones, gaps."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from effect_pictures import HEIGHT, WIDTH, applied, shot_of
from PIL import Image
from twinset.engine.errors import DataError
from twinset.engine.rng import stream
from twinset.engine.sampling.effects import AttemptEffects
from twinset.plugins.effects.blur import Blur
from twinset.plugins.effects.exposure import Exposure
from twinset.plugins.effects.jpeg import Jpeg
from twinset.plugins.effects.noise import Noise
from twinset.plugins.effects.sharpen import Sharpen
from twinset.plugins.effects.vignette import Vignette

FITTED = (Exposure, Noise, Blur, Sharpen, Vignette, Jpeg)


def photo_entry(file: str, *, image: np.ndarray | None = None, **values: Any) -> dict[str, Any]:
    """The estimates of a photo; its tones are those of an (H, W, 3) uint8 picture, or evenly spread."""
    at = np.linspace(0, 1, 33)
    luma, channels = at, {name: at for name in "rgb"}
    if image is not None:
        luma = np.quantile(image @ np.array([0.299, 0.587, 0.114]) / 255, at)
        channels = {name: np.quantile(image[..., k] / 255, at) for k, name in enumerate("rgb")}
    entry = {
        "file": file,
        "width": 80,
        "height": 60,
        "noise": {"shot": 2e-4, "read": 4e-3},
        "blur_sigma": 0.8,
        "sharpen": {"amount": 0.6, "radius": 1.0},
        "vignette": 0.25,
        "jpeg": {"quality": 85, "subsampling": "4:2:0"},
        "luma_quantiles": np.clip(luma, 0, 1).tolist(),
        "channel_quantiles": {name: values.tolist() for name, values in channels.items()},
        "lab_mean": [50.0, 0.0, 0.0],
        "lab_std": [25.0, 5.0, 8.0],
    }
    return entry | values


def write_camera_file(path: str | Path, photos: Sequence[dict[str, Any]]) -> None:
    """Write a file with these photos, as ``twinset fit-camera`` does."""
    Path(path).write_text(json.dumps({"version": 1, "statistics": {}, "photos": list(photos)}), encoding="utf-8")


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
    assert draw(Jpeg(fit=path)) == {"photo": "x.jpg", "quality": 85, "subsampling": "4:2:0", "scale": 0.5}


@pytest.mark.parametrize(("own", "added"), [(0.0, 1.0), (0.6, 0.8), (1.0, 0.0), (2.0, 0.0)])
def test_noise_that_a_picture_has_already_counts(tmp_path: Path, own: float, added: float) -> None:
    """Variances add: of a noise of 5 grey levels, a picture with one of 3 gets 4 more."""
    path, sigma = str(tmp_path / "camera.json"), 5.0
    light = ((0.5 + 0.055) / 1.055) ** 2.4
    read = sigma / 255 / (1.055 / 2.4 * light ** (1 / 2.4 - 1))  # over the slope of sRGB's curve
    size = {"width": 320, "height": 240}
    write_camera_file(path, [photo_entry("x.jpg", **size, noise={"shot": 0.0, "read": read})])
    rng = np.random.default_rng(2)
    picture = np.clip(np.rint(127.5 + rng.normal(0, own * sigma, (240, 320, 3))), 0, 255).astype(np.uint8)
    change = applied(Noise(fit=path), picture).astype(float) - picture
    assert change.std() == pytest.approx(added * sigma, abs=0.35)


def test_compression_is_that_of_a_photo_that_was_shrunk(tmp_path: Path, scenery: np.ndarray) -> None:
    """As much is changed as when the large picture is compressed and then shrunk; compressing the small one changes
    more."""
    large = cv2.resize(scenery, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    write_camera_file(tmp_path / "large.json", [photo_entry("x.jpg", width=2 * WIDTH, height=2 * HEIGHT)])
    write_camera_file(tmp_path / "small.json", [photo_entry("x.jpg", width=WIDTH, height=HEIGHT)])
    stored = io.BytesIO()
    Image.fromarray(large).save(stored, "JPEG", quality=85, subsampling="4:2:0")

    def shrunk(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)

    truth = shrunk(np.array(Image.open(stored))) - shrunk(large)
    ours, at_its_size = (
        applied(Jpeg(fit=str(tmp_path / name)), scenery).astype(np.float32) - scenery
        for name in ("large.json", "small.json")
    )
    assert np.std(ours) == pytest.approx(np.std(truth), rel=0.2)
    assert np.std(at_its_size) > 1.4 * np.std(truth)


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


def test_a_file_that_is_no_camera_fit_gives_a_sentence(tmp_path: Path, scenery: np.ndarray) -> None:
    with pytest.raises(DataError, match="does not exist"):
        applied(Blur(fit=str(tmp_path / "none.json")), scenery)
    (tmp_path / "torn.json").write_text("[1, 2")
    with pytest.raises(DataError, match="is no camera fit"):
        applied(Blur(fit=str(tmp_path / "torn.json")), scenery)

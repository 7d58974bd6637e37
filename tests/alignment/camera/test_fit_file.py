# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of camera fits: read whole, and refused with one sentence where anything in them is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twinset.alignment.camera.fit_file import CameraFit, load_camera_fit
from twinset.engine.errors import DataError

RISING = [i / 32 for i in range(33)]
PHOTO = {
    "file": "a.jpg",
    "width": 640,
    "height": 480,
    "noise": {"shot": 1e-4, "read": 0.002},
    "blur_sigma": 0.8,
    "sharpen": {"amount": 0.5, "radius": 1.0},
    "vignette": 0.2,
    "jpeg": {"quality": 90, "subsampling": "4:2:0"},
    "luma_quantiles": RISING,
    "channel_quantiles": {"r": RISING, "g": RISING, "b": RISING},
    "lab_mean": [50.0, 1.0, 2.0],
    "lab_std": [20.0, 3.0, 4.0],
    "exif": {"focal_length": 4.2, "f_number": 1.8, "exposure_time": 0.02, "iso": 100},
}
STATISTIC = {"median": 0.8, "interval": [0.7, 0.9], "quantiles": [0.5, 0.6, 0.9, 1.0], "photos": 3}
FIT = {"version": 1, "statistics": {"blur_sigma": STATISTIC}, "photos": [PHOTO]}
UNKNOWN = {"noise": None, "blur_sigma": None, "sharpen": None, "vignette": None, "jpeg": None}


def load(folder: Path, values: Any) -> CameraFit:
    path = folder / "camera.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return load_camera_fit(path)


def changed(place: str, value: Any) -> dict[str, Any]:
    """The valid file with another value at a dotted place."""
    out: Any = json.loads(json.dumps(FIT))
    at = out
    *parents, last = place.split(".")
    for key in parents:
        at = at[int(key)] if key.isdigit() else at[key]
    at[int(last) if last.isdigit() else last] = value
    return out  # type: ignore[no-any-return]


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    fit = load(tmp_path, FIT)
    photo = fit.photos[0]
    assert (photo.file, photo.width, photo.height, photo.blur_sigma, photo.vignette) == ("a.jpg", 640, 480, 0.8, 0.2)
    assert (photo.noise.shot, photo.noise.read) == (1e-4, 0.002)  # type: ignore[union-attr]
    assert (photo.jpeg.quality, photo.jpeg.subsampling) == (90, "4:2:0")  # type: ignore[union-attr]
    assert photo.channel_quantiles.g == tuple(RISING) and photo.exif.iso == 100 and photo.exif.model is None
    assert fit.statistics["blur_sigma"].interval == (0.7, 0.9)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    fit = load(tmp_path, FIT)
    assert load(tmp_path, fit.to_dict()) == fit


@pytest.mark.parametrize("missing", [UNKNOWN, {}])
def test_photos_without_estimates_are_read(tmp_path: Path, missing: dict[str, Any]) -> None:
    photo = {k: v for k, v in PHOTO.items() if k not in UNKNOWN} | missing
    found = load(tmp_path, FIT | {"photos": [photo]}).photos[0]
    assert (found.noise, found.blur_sigma, found.sharpen, found.vignette, found.jpeg) == (None,) * 5


def test_entries_of_later_versions_are_ignored(tmp_path: Path) -> None:
    assert load(tmp_path, changed("photos.0.new", 1) | {"more": []}) == load(tmp_path, FIT)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("photos.0.noise.shot", -1, "photos[0].noise.shot"),
        ("photos.0.noise.shot", float("nan"), "not finite"),
        ("photos.0.noise.read", "0.1", "photos[0].noise.read"),
        ("photos.0.noise", [1], "photos[0].noise"),
        ("photos.0.blur_sigma", float("inf"), "photos[0].blur_sigma"),
        ("photos.0.vignette", 1.5, "photos[0].vignette"),
        ("photos.0.vignette", True, "photos[0].vignette"),
        ("photos.0.jpeg.quality", 101, "photos[0].jpeg.quality"),
        ("photos.0.jpeg.quality", 90.5, "photos[0].jpeg.quality"),
        ("photos.0.jpeg.subsampling", "4:9:9", "photos[0].jpeg.subsampling"),
        ("photos.0.width", 0, "photos[0].width"),
        ("photos.0.file", None, "photos[0].file"),
        ("photos.0.luma_quantiles", RISING[:-1], "photos[0].luma_quantiles"),
        ("photos.0.luma_quantiles", RISING[::-1], "must not fall"),
        ("photos.0.channel_quantiles.b.3", 7, "photos[0].channel_quantiles.b[3]"),
        ("photos.0.lab_std", [1, 2, -3], "photos[0].lab_std[2]"),
        ("photos.0.exif.iso", {}, "photos[0].exif.iso"),
        ("photos", [], "photos"),
        ("photos", 3, "photos"),
        ("photos.0", "photo", "photos[0]"),
        ("statistics", [], "statistics"),
        ("statistics.blur_sigma.photos", 0, "statistics.blur_sigma.photos"),
        ("version", 2, "version 2"),
        ("version", None, "version null"),
    ],
)
def test_bad_values_are_refused_with_their_place(tmp_path: Path, place: str, value: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, changed(place, value))
    assert said in str(caught.value) and "camera.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "\xff", "{}"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "camera.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="is no camera fit"):
        load_camera_fit(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_camera_fit(tmp_path / "none.json")
    with pytest.raises(DataError, match="is no camera fit"):
        load_camera_fit(tmp_path)

# SPDX-License-Identifier: GPL-3.0-or-later
"""From photos to a file and back: what is read of them, and the command and the function that do it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import twinset as ts
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from synthetic_photos import Camera, photo, scene
from twinset.alignment.camera.fit_file import load_camera_fit
from twinset.dataset.camera.photos import photo_paths, read_photo
from twinset.engine.errors import DataError
from twinset.headless.cli import app
from typer.testing import CliRunner

CAMERA = Camera(3e-4, 0.003, 0.8, quality=90)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(2):
        (folder / f"{seed}.jpg").write_bytes(photo(scene(seed, 320, 240), CAMERA, seed))
    (folder / "notes.txt").write_text("no photo")
    return folder


def grey(path: Path, **options: object) -> Path:
    Image.new("RGB", (32, 24), (90, 90, 90)).save(path, **options)
    return path


def test_the_file_has_every_photo_and_is_the_same_each_time(photos: Path, tmp_path: Path) -> None:
    found = ts.fit_camera(photos)
    found.save(tmp_path / "a.json")
    ts.fit_camera([photos / "0.jpg", photos / "1.jpg"]).save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    read = load_camera_fit(tmp_path / "a.json")
    assert [(p.file, p.width, p.height) for p in read.photos] == [("0.jpg", 320, 240), ("1.jpg", 320, 240)]
    assert [p.jpeg.quality for p in read.photos if p.jpeg] == [90, 90]
    assert read.statistics["jpeg_quality"].median == 90 and read.statistics["brightness"].photos == 2
    by_name = {row["statistic"]: row for row in found.statistics}
    assert by_name["width"]["median"] == 320 and by_name["brightness"]["interval"] is not None


def test_the_command_writes_file_and_plot_and_compares(photos: Path, tmp_path: Path) -> None:
    bright = tmp_path / "bright"
    bright.mkdir()
    for seed in range(2):
        (bright / f"{seed}.png").write_bytes(photo(scene(seed, 320, 240), Camera(exposure=2.0), seed))
    out, plot = tmp_path / "camera.json", tmp_path / "camera.png"
    arguments = ["--json", "fit-camera", str(photos), "-o", str(out), "--plot", str(plot), "--compare", str(bright)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values["photos"] == 2 and load_camera_fit(out).photos[0].file == "0.jpg"
    with Image.open(plot) as drawn:
        assert drawn.format == "PNG" and min(drawn.size) > 500
    compared = values["compared"][str(bright)]
    assert compared["brightness"]["dataset"] > compared["brightness"]["photos"] + 0.1
    assert compared["noise_level"]["dataset"] < compared["noise_level"]["photos"]
    assert "jpeg_quality" not in compared  # PNG files have none


def test_the_table_says_what_was_found(photos: Path) -> None:
    done = CliRunner().invoke(app, ["fit-camera", str(photos / "0.jpg"), str(photos / "1.jpg")])
    assert done.exit_code == 0, done.output
    assert "2 photos" in done.stdout and "jpeg_quality" in done.stdout and "noise_level" in done.stdout


def test_exif_data_are_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "A phone"
    exif.get_ifd(0x8769).update(
        {0x920A: IFDRational(42, 10), 0x829D: IFDRational(18, 10), 0x829A: IFDRational(1, 50), 0x8827: 400, 0xA405: 26}
    )
    found = read_photo(grey(tmp_path / "a.jpg", exif=exif)).exif
    wanted = {"focal_length": 4.2, "f_number": 1.8, "exposure_time": 0.02, "iso": 400.0, "focal_length_35mm": 26.0}
    assert {k: v for k, v in found.items() if k != "model"} == pytest.approx(wanted)
    assert found["model"] == "A phone"


def test_damaged_exif_data_are_left_out(tmp_path: Path) -> None:
    path = grey(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff damaged")
    assert read_photo(path).exif == {}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "1"])
def test_photos_of_all_modes_are_read_as_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new("RGB", (16, 8), (255, 255, 255)).convert(mode).save(path)
    found = read_photo(path)
    assert found.image.shape == (8, 16, 3) and found.image.min() >= 250 and not found.tables
    assert found.luma == pytest.approx(found.image[..., 0].astype(float), abs=2)


def test_photos_of_16_bits_are_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 16), 32768, np.uint16)).save(tmp_path / "a.png")
    assert np.abs(read_photo(tmp_path / "a.png").image.astype(int) - 128).max() <= 1


def test_luma_of_jpeg_files_is_as_stored(tmp_path: Path) -> None:
    """Conversion to RGB and back clips colours that sRGB lacks; the stored luma does not."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "a.jpg", quality=80)
    with Image.open(tmp_path / "a.jpg") as file:
        file.draft("YCbCr", file.size)
        stored = np.asarray(file)[..., 0]
    assert np.array_equal(read_photo(tmp_path / "a.jpg").luma, stored)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_damaged_photos_are_refused_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.jpg.* damaged or in an unknown format"):
        read_photo(path)
    with pytest.raises(DataError, match="None of the 1 photos can be read"):
        ts.fit_camera(path)


def test_damaged_photos_among_others_are_named(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"damaged")
    found = ts.fit_camera([photos / "0.jpg", tmp_path / "b.jpg"])
    assert len(found.fit.photos) == 1 and "b.jpg" in found.problems[0]


def test_photos_are_found_in_folders_and_datasets(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("b.png", "a.jpg"):
        grey(folder / name)
    (folder / "notes.txt").write_text("x")
    coco = {
        "images": [{"id": k, "file_name": name, "width": 32, "height": 24} for k, name in ((1, "b.png"), (2, "a.jpg"))],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81}],
        "categories": [{"id": 1, "name": "chair"}, {"id": 2, "name": "table"}],
    }
    real = tmp_path / "real.json"
    real.write_text(json.dumps(coco))
    assert photo_paths([folder]) == [folder / "a.jpg", folder / "b.png"]
    assert photo_paths([real]) == [folder / "b.png", folder / "a.jpg"]
    assert (
        photo_paths([real], classes=["chair"]) == photo_paths([real], classes=["chair", "table"]) == [folder / "b.png"]
    )
    with pytest.raises(DataError, match=r"No photo of .* has a box of 'table'"):
        photo_paths([real], classes=["table"])
    for bare in (folder, folder / "a.jpg"):
        with pytest.raises(DataError, match="has no annotations"):
            photo_paths([bare], classes=["chair"])
    assert photo_paths([folder / "a.jpg", folder, folder / "a.jpg"]) == [folder / "a.jpg", folder / "b.png"]


def test_sources_without_photos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        photo_paths([tmp_path])
    with pytest.raises(DataError, match="does not exist"):
        read_photo(tmp_path / "none.jpg")


def test_small_and_plain_photos_give_what_they_can(tmp_path: Path) -> None:
    found = ts.fit_camera(grey(tmp_path / "a.png"))
    only = found.fit.photos[0]
    assert only.noise is None and only.blur_sigma is None and only.jpeg is None
    assert only.lab_mean[1:] == pytest.approx((0, 0), abs=0.1)
    buffer = io.StringIO()
    json.dump(found.fit.to_dict(), buffer)
    assert found.remarks["a.png"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibration files as OpenCV, ROS, Kalibr and COLMAP write them, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from twinset.dataset.calibration.calibration_file import read_calibration
from twinset.dataset.calibration.recipe_camera import camera_intrinsics
from twinset.engine.errors import DataError
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.scene.intrinsics import Intrinsics

K = np.array([[612.5, 0.0, 301.25], [0.0, 598.25, 266.0], [0.0, 0.0, 1.0]])
BROWN = (-0.28, 0.09, 0.002, -0.0015, -0.01)
FISH = (0.05, -0.012, 0.004, -0.0006)
EXPECTED = Intrinsics(640, 480, (612.5, 598.25), (301.75, 266.5), "brown_conrady", BROWN)
FISHEYE = Intrinsics(640, 480, (612.5, 598.25), (301.75, 266.5), "fisheye", FISH)

ROS = """
image_width: 640
image_height: 480
camera_name: front
camera_matrix:
  rows: 3
  cols: 3
  data: [612.5, 0, 301.25, 0, 598.25, 266, 0, 0, 1]
distortion_model: {model}
distortion_coefficients:
  rows: 1
  cols: {count}
  data: {values}
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
"""

ROS_MESSAGE = """
header:
  frame_id: front
height: 480
width: 640
distortion_model: plumb_bob
d: [-0.28, 0.09, 0.002, -0.0015, -0.01]
k: [612.5, 0.0, 301.25, 0.0, 598.25, 266.0, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
---
"""

KALIBR = """
cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.28, 0.09, 0.002, -1.5e-3]
  distortion_model: radtan
  intrinsics: [612.5, 598.25, 301.25, 266.0]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
cam1:
  T_cn_cnm1:
  - [1.0, 0.0, 0.0, -0.1]
  - [0.0, 1.0, 0.0, 0.0]
  - [0.0, 0.0, 1.0, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  camera_model: pinhole
  distortion_coeffs: [0.05, -0.012, 0.004, -0.0006]
  distortion_model: equidistant
  intrinsics: [612.5, 598.25, 301.25, 266.0]
  resolution: [640, 480]
"""

COLMAP = """# Camera list with one line of data per camera:
#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]
# Number of cameras: 6
1 OPENCV 640 480 612.5 598.25 301.75 266.5 -0.28 0.09 0.002 -0.0015
2 FULL_OPENCV 640 480 612.5 598.25 301.75 266.5 0.4 0.1 0.0005 -0.0003 0.02 0.75 0.2 0.03
3 OPENCV_FISHEYE 640 480 612.5 598.25 301.75 266.5 0.05 -0.012 0.004 -0.0006
4 SIMPLE_RADIAL 640 480 600 320 240 -0.1
5 PINHOLE 640 480 612.5 598.25 301.75 266.5
6 FOV 640 480 612.5 598.25 301.75 266.5 0.9
7 RADIAL_FISHEYE 640 480 600 320 240 0.05 -0.01
"""


def opencv_file(path: Path, coefficients=BROWN, **more) -> Path:
    """A file as OpenCV itself writes it."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in {"image_width": 640, "image_height": 480, **more}.items():
        storage.write(name, value)
    storage.write("camera_matrix", K)
    storage.write("distortion_coefficients", np.array([coefficients]))
    storage.release()
    return path


def written(folder: Path, text: str, name: str = "camera.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["camera.yml", "camera.json"])
def test_files_that_opencv_writes(tmp_path: Path, name: str) -> None:
    assert read_calibration(opencv_file(tmp_path / name)) == EXPECTED
    assert read_calibration(opencv_file(tmp_path / name, FISH, fisheye_model=1)) == FISHEYE
    assert read_calibration(opencv_file(tmp_path / name, FISH), distortion="fisheye") == FISHEYE
    assert read_calibration(opencv_file(tmp_path / name, (0.0,) * 5)).distortion == "none"
    long = read_calibration(opencv_file(tmp_path / name, (*BROWN, *(0.0,) * 9)))
    assert long.coefficients == (*BROWN, 0.0, 0.0, 0.0)


def test_plain_json_without_a_size(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({"mtx": K.tolist(), "dist": [list(BROWN)]}))
    assert read_calibration(path, size=(640, 480)) == EXPECTED
    with pytest.raises(DataError, match=r"does not say how large its images are. Add 'size' to"):
        read_calibration(path)


def test_ros_files_and_messages(tmp_path: Path) -> None:
    brown = ROS.format(model="plumb_bob", count=5, values=list(BROWN))
    assert read_calibration(written(tmp_path, brown)) == EXPECTED
    fisheye = ROS.format(model="equidistant", count=4, values=list(FISH))
    assert read_calibration(written(tmp_path, fisheye)) == FISHEYE
    assert read_calibration(written(tmp_path, ROS_MESSAGE.replace("---", ""))) == EXPECTED
    assert read_calibration(written(tmp_path, ROS_MESSAGE)) == EXPECTED


def test_kalibr(tmp_path: Path) -> None:
    path = written(tmp_path, KALIBR, "camchain.yaml")
    first = read_calibration(path, "cam0")
    assert (first.focal, first.center) == (EXPECTED.focal, EXPECTED.center)
    assert (first.distortion, first.coefficients) == ("brown_conrady", BROWN[:4])
    assert read_calibration(path, "1") == read_calibration(path, "cam1") == FISHEYE
    with pytest.raises(DataError, match=r"has several cameras. Name one of cam0, cam1 as 'camera'"):
        read_calibration(path)


def test_colmap(tmp_path: Path) -> None:
    path = written(tmp_path, COLMAP, "cameras.txt")
    assert read_calibration(path, "1").coefficients == BROWN[:4]
    assert read_calibration(path, "2").coefficients == (0.4, 0.1, 0.0005, -0.0003, 0.02, 0.75, 0.2, 0.03)
    assert read_calibration(path, "3") == FISHEYE
    assert read_calibration(path, "4") == Intrinsics(
        640, 480, (600.0, 600.0), (320.0, 240.0), "brown_conrady", (-0.1, 0.0, 0.0, 0.0)
    )
    assert read_calibration(path, "5") == Intrinsics(640, 480, (612.5, 598.25), (301.75, 266.5))
    assert read_calibration(path, "7").coefficients == (0.05, -0.01, 0.0, 0.0)
    with pytest.raises(DataError, match=r"has a camera of the model 'FOV'. Known ones are SIMPLE_PINHOLE, "):
        read_calibration(path, "6")
    with pytest.raises(DataError, match=r"has no camera '9'. Name one of 1, 2, 3, 4, 5, 6, 7 as 'camera'"):
        read_calibration(path, "9")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no keys"),
        ("- 1\n- 2\n", "has no keys"),
        ("a: [1, 2\nb: 3\n", r"is neither valid YAML nor valid JSON \(line"),
        ("a: !!python/object/apply:os.system ['true']\n", "is neither valid YAML nor valid JSON"),
        ("image_width: 640\n", "has no camera matrix"),
        ("K: [1, 2, 3]\nwidth: 4\nheight: 4\n", "has a camera matrix of 3 numbers instead of 9"),
        ("K: [500, 3, 2, 0, 500, 2, 0, 0, 1]\nwidth: 4\nheight: 4\n", r"that is not \[fx, 0, cx"),
        ("K: [500, 0, x, 0, 500, 2, 0, 0, 1]\nwidth: 4\nheight: 4\n", "other than numbers in its camera matrix"),
        ("K: [0, 0, 2, 0, 500, 2, 0, 0, 1]\nwidth: 4\nheight: 4\n", "Its focal lengths must be above 0"),
        ("K: [5, 0, 2, 0, 5, 2, 0, 0, 1]\nwidth: 4.5\nheight: 4\n", "image size that is not two whole numbers"),
        (ROS.format(model="omni", count=1, values=[1.0]), "has the distortion model 'omni'. Known ones are plumb_bob"),
        (ROS.format(model="equidistant", count=5, values=list(BROWN)), "has 5 coefficients for a fisheye"),
        (ROS.format(model="plumb_bob", count=9, values=[*BROWN, 0.0, 0.0, 0.0, 0.1]), "thin prism or a tilted sensor"),
        (KALIBR.replace("camera_model: pinhole", "camera_model: omni"), "has the camera model 'omni'"),
        (KALIBR.replace("[612.5, 598.25, 301.25, 266.0]", "[612.5]"), "has 1 intrinsics instead of fx, fy, cx and cy"),
        (
            KALIBR.replace("distortion_model: radtan", "distortion_model: [a]"),
            "has the distortion model .*Known ones are",
        ),
        ("image_width: !!bool 640\n", "is neither valid YAML nor valid JSON"),
        ("1 PINHOLE 640 480 612.5", "has 1 parameters for the model PINHOLE instead of 4"),
        ("a: &a [1]\n" * 3 + "\x00", "is neither valid YAML nor valid JSON"),
    ],
)
def test_bad_files_give_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=sentence) as caught:
        read_calibration(path, "cam0" if "cam0" in text else "")
    assert str(caught.value).startswith(f"The calibration file '{path}' ")
    assert str(caught.value).endswith(".")


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    for path, sentence in ((tmp_path / "none.yaml", "does not exist"), (tmp_path, "cannot be read: it is a folder")):
        with pytest.raises(DataError, match=sentence):
            read_calibration(path)
    (tmp_path / "picture.yaml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match="is not text"):
        read_calibration(tmp_path / "picture.yaml")
    with pytest.raises(DataError, match="is for images of 640 x 480 pixels, but 'size' says 320 x 240"):
        read_calibration(opencv_file(tmp_path / "camera.yml"), size=(320, 240))
    with pytest.raises(DataError, match="says that its distortion is 'brown_conrady'"):
        text = ROS.format(model="plumb_bob", count=5, values=list(BROWN))
        read_calibration(written(tmp_path, text), distortion="fisheye")


def recipe(folder: Path, table: str, size: tuple[int, int] = (640, 480)):
    text = f"[scene]\nbuiltin = 'hall'\n[[class]]\nname = 'chair'\nbuiltin = 'chair'\n[output]\nwidth = {size[0]}\n"
    return loads_recipe(f"{text}height = {size[1]}\n[camera_model]\n{table}\n", folder, "test")


def test_a_recipes_camera_is_cropped_rotated_and_resized(tmp_path: Path) -> None:
    opencv_file(tmp_path / "camera.yml")
    same = camera_intrinsics(recipe(tmp_path, "file = 'camera.yml'"))
    assert same == EXPECTED
    half = camera_intrinsics(recipe(tmp_path, "file = 'camera.yml'", (320, 240)))
    assert half is not None and half.center == (301.75 / 2, 266.5 / 2) and half.focal == (612.5 / 2, 598.25 / 2)
    table = "file = 'camera.yml'\ncrop = [40, 30, 480, 360]\nrotation = 90"
    turned = camera_intrinsics(recipe(tmp_path, table, (360, 480)))
    assert turned == EXPECTED.cropped(40, 30, 480, 360).rotated(90)
    stated = "focal_length = [612.5, 598.25]\nprincipal_point = [301.75, 266.5]\ndistortion = 'brown_conrady'\n"
    assert camera_intrinsics(recipe(tmp_path, f"{stated}coefficients = {list(BROWN)}")) == EXPECTED
    assert camera_intrinsics(recipe(tmp_path, "")) is None
    assert camera_intrinsics(recipe(tmp_path, "focal_length = [500]")) == Intrinsics(
        640, 480, (500.0, 500.0), (320.0, 240.0)
    )


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("file = 'camera.yml'\ncrop = [400, 0, 320, 240]", "'crop' of .camera_model. reaches beyond the calibrated"),
        ("file = 'camera.yml'\nrotation = 90", "image of 480 x 640 pixels, which does not fit 640 x 480"),
        ("focal_length = [500]\nsize = [1920, 1080]", "does not fit 640 x 480. Set height = 360 in .output."),
        ("focal_length = [500]\nrotation = 45", "'rotation' must be 0, 90, 180 or 270. It is 45"),
        ("focal_length = [500, 400, 300]", "'focal_length' must have 1 or 2 numbers. It has 3"),
        ("focal_length = [500]\nfile = 'camera.yml'", "The calibration file says 'focal_length'"),
        ("rotation = 90", "'rotation' needs a camera. Add 'file' or 'focal_length'"),
        ("focal_length = [500]\ndistortion = 'fisheye'\ncoefficients = [1.0]", "'fisheye' takes 4 coefficients. Got 1"),
        ("file = 'missing.yml'", "missing.yml does not exist. Correct the path"),
    ],
)
def test_a_recipes_camera_that_cannot_be(tmp_path: Path, table: str, sentence: str) -> None:
    opencv_file(tmp_path / "camera.yml")
    with pytest.raises(Exception, match=sentence) as caught:
        camera_intrinsics(recipe(tmp_path, table))
    assert caught.value.exit_code == 2  # type: ignore[attr-defined]

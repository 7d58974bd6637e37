# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that are not 8-bit RGB are measured as their 8-bit RGB copies are, and sets without images say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from twinset.dataset.analysis.measure import measure
from twinset.dataset.formats import dataset_folder
from twinset.dataset.formats.coco import read_coco
from twinset.headless.cli import app
from typer.testing import CliRunner

COLORS = np.kron(np.random.default_rng(0).integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
GREY = np.repeat(COLORS[..., :1], 3, axis=2)


def dataset(folder: Path, name: str) -> Path:
    height, width = COLORS.shape[:2]
    image = {"id": 1, "file_name": name, "width": width, "height": height}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 24, 16], "area": 384}
    path = folder / "set.json"
    path.write_text(json.dumps({"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "box"}]}))
    return path


def measured(folder: Path, name: str) -> dict[str, float]:
    found = measure(read_coco(dataset(folder, name)), folder, workers=1)
    assert not found.problems
    return {key: values[0] for key, values in found.columns.items() if key != "file_name"}


@pytest.mark.parametrize(
    ("write", "like"),
    [
        (lambda path: cv2.imwrite(str(path), COLORS[..., ::-1].astype(np.uint16) * 257), COLORS),
        (lambda path: cv2.imwrite(str(path), GREY[..., 0]), GREY),
        (lambda path: cv2.imwrite(str(path), GREY[..., 0].astype(np.uint16) * 257), GREY),
        (lambda path: Image.fromarray(COLORS).convert("RGBA").save(path), COLORS),
    ],
    ids=["16 bits", "grey", "grey, 16 bits", "alpha"],
)
def test_pictures_count_as_their_copies_of_8_bits(
    tmp_path: Path, write: Callable[[Path], object], like: np.ndarray
) -> None:
    write(tmp_path / "odd.png")
    Image.fromarray(like).save(tmp_path / "plain.png")
    assert measured(tmp_path, "odd.png") == measured(tmp_path, "plain.png")


def test_cmyk_has_the_colors_that_pillow_gives_it(tmp_path: Path) -> None:
    Image.fromarray(COLORS).convert("CMYK").save(tmp_path / "odd.jpg", quality=95)
    with Image.open(tmp_path / "odd.jpg") as stored:
        assert stored.mode == "CMYK"
        stored.convert("RGB").save(tmp_path / "plain.png")
    odd, plain = measured(tmp_path, "odd.jpg"), measured(tmp_path, "plain.png")
    for name in ("brightness", "contrast", "saturation"):
        assert odd[name] == pytest.approx(plain[name], abs=0.03)


@pytest.mark.parametrize("command", ["measure", "fit-features", "convert"])
def test_a_set_without_images_says_so(tmp_path: Path, command: str) -> None:
    path = tmp_path / "set.json"
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": [{"id": 1, "name": "box"}]}))
    options = {"fit-features": ["--class", "box"], "convert": ["--to", "voc"]}.get(command, [])
    out = tmp_path / ("new" if command == "convert" else "new.csv")
    done = CliRunner().invoke(app, [command, str(path), "-o", str(out), *options])
    assert done.exit_code == 2 and not out.exists()
    assert done.stderr.split() == f"'{path}' lists no images, so there is nothing to do. Name another dataset.".split()


def test_ctrl_c_says_that_the_command_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset_folder, "read_dataset", interrupted)
    done = CliRunner().invoke(app, ["measure", str(dataset(tmp_path, "x.png")), "-o", str(tmp_path / "new.csv")])
    assert done.exit_code == 130 and not (tmp_path / "new.csv").exists()
    assert done.stderr == "Stopped. No file is half-written; run the same command to start again.\n"

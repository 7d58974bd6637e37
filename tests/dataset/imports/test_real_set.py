# SPDX-License-Identifier: GPL-3.0-or-later
"""One real set of photos in the forms of five tools: measure, compare and report say the same of each."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import pytest
from twinset.headless.cli import app
from typer.testing import CliRunner

Form = Callable[[dict[str, Any], Path, Path], list[str]]
"""Takes COCO data, the folder of its photos, and a new folder; gives the words that name the dataset."""


def _copy(data: dict[str, Any], photos: Path, to: Path, part: int | None = None) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for image in _part(data, part):
        shutil.copy(photos / image["file_name"], to)


def _part(data: dict[str, Any], part: int | None) -> list[dict[str, Any]]:
    return [image for k, image in enumerate(data["images"]) if part is None or (k % 5 == 0) == part]


def _boxes(data: dict[str, Any], image: dict[str, Any]) -> list[tuple[str, list[float]]]:
    names = {c["id"]: c["name"] for c in data["categories"]}
    return [(names[a["category_id"]], a["bbox"]) for a in data["annotations"] if a["image_id"] == image["id"]]


def _shares(box: list[float], image: dict[str, Any]) -> tuple[float, ...]:
    """Centre and size as shares of the image."""
    (x, y, w, h), across, down = box, image["width"], image["height"]
    return (x + w / 2) / across, (y + h / 2) / down, w / across, h / down


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def as_coco(data: dict[str, Any], photos: Path, folder: Path) -> list[str]:
    """``annotations/instances_default.json`` beside ``images/``."""
    _copy(data, photos, folder / "images")
    _write(folder / "annotations/instances_default.json", json.dumps(data))
    return [str(folder)]


def as_yolo(data: dict[str, Any], photos: Path, folder: Path) -> list[str]:
    """As Ultralytics and Roboflow write it: a folder for each part, with images and labels in it."""
    names = [c["name"] for c in data["categories"]]
    for part, name in enumerate(("train", "valid")):
        _copy(data, photos, folder / name / "images", part)
        for image in _part(data, part):
            lines = [
                " ".join([str(names.index(label)), *(f"{v:.12f}" for v in _shares(box, image))])
                for label, box in _boxes(data, image)
            ]
            _write(folder / name / "labels" / f"{Path(image['file_name']).stem}.txt", "\n".join(lines))
    _write(
        folder / "data.yaml", f"train: train/images\nval: valid/images\nnc: {len(names)}\nnames: {json.dumps(names)}\n"
    )
    return [str(folder)]


def as_roboflow(data: dict[str, Any], photos: Path, folder: Path) -> list[str]:
    """Its COCO export: parts in folders, and a category for the whole project before the others."""
    categories = [{"id": 0, "name": "my-project", "supercategory": "none"}]
    categories += [{**c, "supercategory": "my-project"} for c in data["categories"]]
    for part, name in enumerate(("train", "valid")):
        images = _part(data, part)
        _copy(data, photos, folder / name, part)
        ids = {image["id"] for image in images}
        annotations = [{**a, "segmentation": []} for a in data["annotations"] if a["image_id"] in ids]
        content = {"images": images, "annotations": annotations, "categories": categories}
        _write(folder / name / "_annotations.coco.json", json.dumps(content))
    return [str(folder)]


def as_label_studio(data: dict[str, Any], photos: Path, folder: Path) -> list[str]:
    """Its JSON export: boxes in percent, and photos under the names that its server gave them."""
    _copy(data, photos, folder / "photos")
    tasks = []
    for image in data["images"]:
        size = {"original_width": image["width"], "original_height": image["height"]}
        regions = [
            {
                "type": "rectanglelabels",
                **size,
                "value": {
                    "x": 100 * x / image["width"],
                    "y": 100 * y / image["height"],
                    "width": 100 * w / image["width"],
                    "height": 100 * h / image["height"],
                    "rotation": 0,
                    "rectanglelabels": [label],
                },
            }
            for label, (x, y, w, h) in _boxes(data, image)
        ]
        url = f"/data/upload/1/{image['id']:08x}-{quote(image['file_name'])}"
        tasks.append({"id": image["id"], "data": {"image": url}, "annotations": [{"result": regions}]})
    return [str(_write(folder / "export.json", json.dumps(tasks))), "--images", str(folder / "photos")]


def as_cvat(data: dict[str, Any], photos: Path, folder: Path) -> list[str]:
    """Its XML ("CVAT for images")."""
    _copy(data, photos, folder / "images")
    text = "".join(f"<label><name>{c['name']}</name></label>" for c in data["categories"])
    text = f"<version>1.1</version><meta><job><labels>{text}</labels></job></meta>"
    for image in data["images"]:
        text += f'<image id="{image["id"]}" name={quoteattr(image["file_name"])} '
        text += f'width="{image["width"]}" height="{image["height"]}">'
        for label, (x, y, w, h) in _boxes(data, image):
            text += f'<box label={quoteattr(label)} xtl="{x:.2f}" ytl="{y:.2f}" xbr="{x + w:.2f}" ybr="{y + h:.2f}"/>'
        text += "</image>"
    _write(folder / "annotations.xml", f'<?xml version="1.0" encoding="utf-8"?><annotations>{text}</annotations>')
    return [str(folder)]


FORMS: dict[str, Form] = {
    "COCO": as_coco,
    "YOLO": as_yolo,
    "Roboflow": as_roboflow,
    "Label Studio": as_label_studio,
    "CVAT": as_cvat,
}


DATA = Path(os.environ.get("TWINSET_DATA", Path(__file__).resolve().parents[4] / "shared/data"))
ANNOTATIONS, PHOTOS = DATA / "annotations/cartucho_map_A45.json", DATA / "images/cartucho_A"
OTHERS = DATA / "annotations/coco_bysa.json"
pytestmark = pytest.mark.skipif(not ANNOTATIONS.is_file(), reason=f"the real photos are not in {DATA}")

Said = tuple[list[tuple[Any, ...]], dict[str, Any], list[str]]


def said(name: str, folder: Path, count: int = 10) -> Said:
    """What the commands say of the first photos in one form: rows, distances, and counts of the page."""
    data = json.loads(ANNOTATIONS.read_text())
    data["images"] = data["images"][:count]
    kept = {image["id"] for image in data["images"]}
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] in kept]
    path, *images = FORMS[name](data, PHOTOS, folder / name)
    of_real = ["--real-images", *images[1:]] if images else []
    table, page = folder / f"{name}.csv", folder / f"{name}.html"
    _run(["measure", path, *images, "-o", str(table), "--workers", "1"])
    compared = json.loads(_run(["compare", path, str(OTHERS), *of_real, "--pixels", "--json"]))
    _run(["report", path, str(OTHERS), *of_real, "-o", str(page), "--max-images", "0"])
    with open(table, newline="") as file:
        rows = sorted(_row(row) for row in csv.DictReader(file))
    # Its other numbers are chances and intervals, and the order of classes and columns by them.
    counts = re.findall(r"(\d+) (?:boxes|images|photos)\b", re.sub(r"<[^>]*>", "", page.read_text()))
    return rows, _rounded(compared), sorted(counts)


def _run(words: list[str]) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def _row(row: dict[str, str]) -> tuple[Any, ...]:
    """A box without what each form numbers and names by itself; YOLO rounds coordinates to 12 digits."""
    own = ("id", "image_id", "annotation_id", "image", "file_name", "category_id", "dataset")
    numbers = [round(float(v), 4) for k, v in row.items() if k not in own and re.fullmatch(r"-?\d+\.?\d*(e-?\d+)?", v)]
    return (row["class"], *numbers)


def _rounded(value: Any) -> Any:
    """Numbers of classes and columns, without the numbers and names that each form gives by itself."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items() if k not in ("real", "synth")}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return round(value, 5) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def of_coco(tmp_path_factory: pytest.TempPathFactory) -> Said:
    return said("COCO", tmp_path_factory.mktemp("coco"))


@pytest.mark.parametrize("name", [name for name in FORMS if name != "COCO"])
def test_every_form_of_real_photos_gives_the_same_numbers(name: str, of_coco: Said, tmp_path: Path) -> None:
    rows, distances, page = said(name, tmp_path)
    assert len(rows) > 50 and page
    assert rows == of_coco[0]
    assert distances["classes"] == of_coco[1]["classes"]
    assert page == of_coco[2]

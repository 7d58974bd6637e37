# SPDX-License-Identifier: GPL-3.0-or-later
"""One set of photos as COCO, YOLO, Roboflow, Label Studio and CVAT write it gives the same boxes and measurements."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from twinset.dataset import checksums
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.formats.dataset_folder import image_folder, read_dataset
from twinset.engine.errors import DataError
from twinset.headless.cli import app
from typer.testing import CliRunner

SIZES = ((80, 60), (60, 80), (50, 50))
BOXES = (("chair", (8, 6, 20, 24)), ("table", (30, 20, 16, 30)))
"""Of each photo; all are whole pixels, so that every format holds them exactly."""


@pytest.fixture(autouse=True)
def _said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "_said", set())


def name_of(number: int) -> str:
    return f"photo {number}.png"


def photos(folder: Path, names: Callable[[int], str] = name_of) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, (width, height) in enumerate(SIZES):
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 255, (height, width, 3)).astype(np.uint8)).save(folder / names(number))


def coco(names: Callable[[int], str] = name_of, chosen: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any]:
    images = [{"id": k, "file_name": names(k), "width": SIZES[k][0], "height": SIZES[k][1]} for k in chosen]
    categories = [{"id": k, "name": name} for k, (name, _) in enumerate(BOXES, 1)]
    annotations = [
        {"id": 2 * k + n, "image_id": k, "category_id": n, "bbox": list(box), "area": box[2] * box[3], "iscrowd": 0}
        for k in chosen
        for n, (_, box) in enumerate(BOXES, 1)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def as_coco(folder: Path) -> list[str]:
    photos(folder / "images")
    write(folder / "annotations/instances_default.json", coco())
    return [str(folder)]


def as_yolo(folder: Path) -> list[str]:
    """As Roboflow exports YOLO: a folder for each part, with images and labels in it."""
    for k, (width, height) in enumerate(SIZES):
        part = folder / ("train" if k else "valid")
        photos(folder / "all")
        (part / "images").mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "all" / name_of(k), part / "images")
        lines = [
            f"{n} {(x + w / 2) / width:.9f} {(y + h / 2) / height:.9f} {w / width:.9f} {h / height:.9f}"
            for n, (_, (x, y, w, h)) in enumerate(BOXES)
        ]
        write(part / f"labels/photo {k}.txt", "\n".join(lines))
    shutil.rmtree(folder / "all")
    write(folder / "data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['chair', 'table']\n")
    return [str(folder)]


def as_roboflow(folder: Path) -> list[str]:
    """Parts in folders, and a category for the whole dataset that is called like a class."""
    for part, chosen in (("train", (1, 2)), ("valid", (0,))):
        photos(folder / part)
        data = coco(chosen=chosen)
        data["categories"].insert(0, {"id": 0, "name": "chair", "supercategory": "none"})
        write(folder / part / "_annotations.coco.json", data)
        for k in {0, 1, 2} - set(chosen):
            (folder / part / name_of(k)).unlink()
    return [str(folder)]


def as_label_studio_coco(folder: Path) -> list[str]:
    """Its export of COCO with the names of a Windows server, and the photos elsewhere, without their prefix."""
    photos(folder / "elsewhere")
    named = write(folder / "result.json", coco(lambda k: f"C:\\label-studio\\upload\\1\\0a1b2c{k}d-{name_of(k)}"))
    return [str(named), "--images", str(folder / "elsewhere")]


def as_label_studio(folder: Path) -> list[str]:
    photos(folder / "photos")
    tasks = []
    for k, (width, height) in enumerate(SIZES):
        regions: list[dict[str, Any]] = [
            {
                "type": "rectanglelabels",
                "original_width": width,
                "original_height": height,
                "value": {
                    "x": 100 * x / width,
                    "y": 100 * y / height,
                    "width": 100 * w / width,
                    "height": 100 * h / height,
                    "rotation": 0,
                    "rectanglelabels": [label],
                },
            }
            for label, (x, y, w, h) in BOXES
        ]
        regions.append({"type": "choices", "value": {"choices": ["indoors"]}})
        done = [{"was_cancelled": True, "result": []}, {"result": regions}]
        url = f"/data/local-files/?d=photos/{name_of(k).replace(' ', '%20')}"
        tasks.append({"id": k, "data": {"image": url}, "annotations": done})
    return [str(write(folder / "export.json", tasks)), "--images", str(folder / "photos")]


def as_cvat(folder: Path) -> list[str]:
    photos(folder / "images")
    shapes = ""
    for k, (width, height) in enumerate(SIZES):
        shapes += f'<image id="{k}" name="{name_of(k)}" width="{width}" height="{height}">'
        (a, (x, y, w, h)), (b, (left, top, across, down)) = BOXES
        shapes += f'<box label="{a}" source="manual" xtl="{x}.00" ytl="{y}.00" xbr="{x + w}.00" ybr="{y + h}.00"/>'
        corners = [(left, top), (left + across, top), (left + across, top + down), (left, top + down)]
        points = ";".join(f"{u}.00,{v}.00" for u, v in corners)
        shapes += f'<polygon label="{b}" points="{points}"/><tag label="night"/></image>'
    labels = "".join(f"<label><name>{label}</name></label>" for label, _ in BOXES)
    head = f"<version>1.1</version><meta><job><labels>{labels}</labels></job></meta>"
    write(
        folder / "annotations.xml", f'<?xml version="1.0" encoding="utf-8"?><annotations>{head}{shapes}</annotations>'
    )
    return [str(folder)]


FORMS = (as_coco, as_yolo, as_roboflow, as_label_studio_coco, as_label_studio, as_cvat)


def measured(folder: Path, words: list[str]) -> list[tuple[Any, ...]]:
    """The table of `measure`, without ids, which each form numbers by itself."""
    done = CliRunner().invoke(app, ["measure", *words, "-o", str(folder / "t.csv"), "--workers", "1"])
    assert done.exit_code == 0, done.output
    with open(folder / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = ("bbox_x", "bbox_y", "bbox_w", "bbox_h", "image_width", "brightness", "sharpness", "image_entropy")
    return sorted((row["class"], *(round(float(row[name]), 4) for name in numbers)) for row in rows)


@pytest.mark.parametrize("form", FORMS[1:])
def test_every_form_is_measured_alike(tmp_path: Path, form: Callable[[Path], list[str]]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected = measured(tmp_path, as_coco(tmp_path / "a"))
    assert len(expected) == 6 and {row[0] for row in expected} == {"chair", "table"}
    assert measured(tmp_path, form(tmp_path / "b")) == expected


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_alike(tmp_path: Path, form: Callable[[Path], list[str]]) -> None:
    words = form(tmp_path / "b")
    found = read_dataset(Path(words[0]))
    assert found.classes() == {"chair": 3, "table": 3}
    assert sorted((i["width"], i["height"]) for i in found.images) == sorted(SIZES)
    assert sorted(tuple(a["bbox"]) for a in found.annotations) == sorted(box for _, box in BOXES for _ in SIZES)
    if len(words) == 1:
        assert image_folder(found) is not None


def test_other_commands_take_exports(tmp_path: Path) -> None:
    (roboflow,), (cvat,) = as_roboflow(tmp_path / "roboflow"), as_cvat(tmp_path / "cvat")
    done = CliRunner().invoke(app, ["report", roboflow, cvat, "-o", str(tmp_path / "r.html")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r.html").read_text().count("data:image/") >= 6  # the photos of both


def repaired(tmp_path: Path, data: Any, caplog: pytest.LogCaptureFixture) -> tuple[Any, str]:
    """The file as it is read, and the one warning; with ``strict`` it is refused."""
    path = write(tmp_path / "real.json", data)
    with pytest.raises(DataError):
        read_coco(path, strict=True)
    caplog.set_level(logging.WARNING)
    found = read_coco(path)
    assert caplog.text.count("was repaired as it was read") == 1 and "--strict" in caplog.text
    assert not found.is_plain
    return found, caplog.text


def test_numbers_as_text_or_decimals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = coco()
    for image in data["images"]:
        image |= {"id": str(image["id"]), "width": str(image["width"]), "height": float(image["height"])}
    for a in data["annotations"]:
        a |= {"id": float(a["id"]), "image_id": float(a["image_id"]), "bbox": [str(v) for v in a["bbox"]]}
    found, text = repaired(tmp_path, data, caplog)
    assert "27 ids or sizes" not in text and "24 ids or sizes" not in text  # 3 x 3 + 6 x 2
    assert "21 ids or sizes that were text or decimal numbers" in text and "6 boxes of text" in text
    assert [a["bbox"] for a in found.annotations[:2]] == [list(box) for _, box in BOXES]
    assert found.images == [{**i, "id": k} for k, i in enumerate(coco()["images"])]


def test_sizes_come_from_photos_beside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos(tmp_path / "images")
    data = coco(lambda k: f"/srv/upload/{name_of(k)}")
    for image in data["images"]:
        del image["width"]
    found, text = repaired(tmp_path, data, caplog)
    assert "the sizes of 3 images" in text and [(i["width"], i["height"]) for i in found.images] == list(SIZES)


def test_boxes_a_few_pixels_outside_are_clipped_and_far_ones_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = coco()
    data["annotations"][0]["bbox"] = [-4, 5, 20, 10]
    data["annotations"][1]["bbox"] = [70, 50, 17, 13.5]
    found, text = repaired(tmp_path, data, caplog)
    assert "2 boxes that extended up to 7 px beyond their images were clipped" in text
    assert [a["bbox"] for a in found.annotations[:2]] == [[0, 5, 16, 10], [70, 50, 10, 10]]
    data["annotations"][0]["bbox"] = [70, 5, 21, 10]
    with pytest.raises(DataError, match="11 px beyond"):
        read_coco(write(tmp_path / "real.json", data))


def test_categories_of_one_name_are_merged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = coco()
    data["categories"] += [{"id": 8, "name": "chair"}, {"id": 9, "name": "table"}]
    data["annotations"][0]["category_id"] = 8
    found, text = repaired(tmp_path, data, caplog)
    assert "2 categories" in text and found.classes() == {"chair": 3, "table": 3}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y, w, h: (x / 80, y / 60, w / 80, h / 60), "normalised"),
        (lambda x, y, w, h: (x + 30, y + 20, x + w + 30, y + h + 20), r"\[left, top, right, bottom\]"),
    ],
)
def test_boxes_of_another_kind_are_named_as_such(tmp_path: Path, change: Any, words: str) -> None:
    data = coco(chosen=(0,))
    for a in data["annotations"]:
        a["bbox"] = change(*(v * 0.8 for v in a["bbox"]))
    with pytest.raises(DataError, match=words):
        read_coco(write(tmp_path / "real.json", data))


def test_plain_files_are_not_touched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read_coco(write(tmp_path / "real.json", coco()))
    assert found.is_plain and caplog.text == ""
    assert (found.images, found.annotations, found.categories) == tuple(coco().values())


def test_the_option_refuses_what_would_be_repaired(tmp_path: Path) -> None:
    data = coco()
    data["annotations"][0]["bbox"] = [-4, 5, 20, 10]
    path = str(write(tmp_path / "real.json", data))
    words = ["measure", path, "--no-pixels", "-o", str(tmp_path / "t.csv")]
    assert CliRunner().invoke(app, words).exit_code == 0
    for strict in (["--strict", *words], [*words, "--strict"]):
        done = CliRunner().invoke(app, strict)
        assert done.exit_code == 2 and "4 px beyond" in done.output
    assert CliRunner().invoke(app, words).exit_code == 0


def test_filter_keeps_what_was_repaired(tmp_path: Path) -> None:
    """The written file has the repaired boxes and ids, as those are what was judged."""
    from twinset.dataset.jobs.subset import SubsetChanges, write_subset

    data = coco()
    data["images"] = [{**i, "id": str(i["id"])} for i in data["images"]]
    photos(tmp_path / "images")
    found = read_coco(write(tmp_path / "real.json", data))
    write_subset(found, tmp_path / "images", tmp_path / "new", SubsetChanges(without=frozenset([1])), {})
    back = read_dataset(tmp_path / "new")
    assert [i["id"] for i in back.images] == [0, 2] and back.is_plain and len(back.annotations) == 4


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><annotations><image id="0" name="a"/></annotations>',
        "<annotations><image",
        "<annotations></annotations>",
        "<other/>",
    ],
)
def test_other_xml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"a\.xml'"):
        read_dataset(write(tmp_path / "a.xml", text))


def test_turned_shapes_become_the_box_around_them(tmp_path: Path) -> None:
    """A quarter turn swaps the sides: about the centre in CVAT, about the upper left corner in Label Studio."""
    box = '<box label="a" xtl="10" ytl="20" xbr="30" ybr="24" rotation="90"/>'
    xml = f'<annotations><image id="0" name="a.png" width="99" height="99">{box}</image></annotations>'
    (annotation,) = read_dataset(write(tmp_path / "a.xml", xml)).annotations
    assert annotation["bbox"] == [18, 12, 4, 20]
    value = {"x": 50, "y": 20, "width": 20, "height": 4, "rotation": 90, "rectanglelabels": ["a"]}
    region = {"type": "rectanglelabels", "original_width": 100, "original_height": 100, "value": value}
    tasks = [{"data": {"image": "a.png"}, "annotations": [{"result": [region]}]}]
    (annotation,) = read_dataset(write(tmp_path / "a.json", tasks)).annotations
    assert annotation["bbox"] == [46, 20, 4, 20]

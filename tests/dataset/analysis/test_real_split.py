# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of images that belong together, and divisions of real datasets that keep them together."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from twinset.dataset.analysis.image_groups import ImageGroups, Link, group_images
from twinset.dataset.analysis.real_split import split_images
from twinset.dataset.formats.coco import CocoFile, read_coco
from twinset.engine.errors import DataError
from twinset.engine.rng import stream
from twinset.headless.cli import app
from typer.testing import CliRunner

DATA = Path(os.environ.get("TWINSET_DATA", Path(__file__).parents[4] / "shared" / "data"))


def scene(seed: int, shapes: int = 60) -> np.ndarray:
    """A picture (480, 640, 3) of many random polygons, with corners all over."""
    rng = stream(seed, "scene")
    picture = np.full((480, 640, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(shapes):
        corners = rng.integers(0, [640, 480], 2) + rng.integers(-70, 70, (rng.integers(3, 6), 2))
        cv2.fillPoly(picture, [corners.astype(np.int32)], rng.integers(0, 256, 3).tolist())
    return picture


def write(path: Path, picture: np.ndarray, quality: int = 95, taken: str = "") -> str:
    image = Image.fromarray(picture)
    exif = image.getexif()
    if taken:
        exif.get_ifd(34665)[36867] = taken
    image.save(path, quality=quality, exif=exif)
    return path.name


def grouped(names: list[str], folder: Path, **options: Any) -> list[list[str]]:
    found = group_images(names, folder, **options).group
    return [[n for n, g in zip(names, found, strict=True) if g == k] for k in range(found.max() + 1)]


def test_copies_are_found_however_they_were_resized_recompressed_or_cropped(tmp_path: Path) -> None:
    one, two = scene(1), scene(2)
    names = [
        write(tmp_path / "whole.jpg", one),
        write(tmp_path / "other.jpg", two),
        write(tmp_path / "half.jpg", cv2.resize(one, (320, 240), interpolation=cv2.INTER_AREA)),
        write(tmp_path / "coarse.jpg", one, quality=15),
        write(tmp_path / "cropped.jpg", np.ascontiguousarray(one[60:420, 100:560])),
        write(tmp_path / "brighter.jpg", np.clip(one * 0.8 + 40, 0, 255).astype(np.uint8)),
        *(write(tmp_path / f"different {k}.jpg", scene(10 + k)) for k in range(6)),
    ]
    together = grouped(names, tmp_path)
    assert together[0] == ["whole.jpg", "half.jpg", "coarse.jpg", "cropped.jpg", "brighter.jpg"]
    assert all(len(group) == 1 for group in together[1:])
    assert len(together) == 8


def test_times_link_images_through_others(tmp_path: Path) -> None:
    names = [
        write(tmp_path / "a.jpg", scene(1), taken="2024:05:01 12:00:00"),
        write(tmp_path / "b.jpg", scene(2), taken="2024:05:01 12:00:08"),
        write(tmp_path / "IMG_20240501_120004.jpg", scene(3)),
        write(tmp_path / "c.jpg", scene(4), taken="2024:05:01 12:00:14"),
        write(tmp_path / "d.jpg", scene(5), taken="not a time"),
    ]
    assert grouped(names, tmp_path) == [["a.jpg", "b.jpg", "IMG_20240501_120004.jpg"], ["c.jpg"], ["d.jpg"]]
    assert len(grouped(names, tmp_path, seconds=3.0)) == 5
    assert len(grouped(names, tmp_path, seconds=6.0)) == 2


def test_neighbouring_names_count_if_the_images_look_alike_or_are_trusted(tmp_path: Path) -> None:
    names = [write(tmp_path / f"frame_{k:03}.jpg", scene(k)) for k in (1, 2, 3, 7, 8)]
    names.append(write(tmp_path / "other_004.jpg", scene(4)))
    assert len(grouped(names, tmp_path)) == 6
    assert grouped(names, tmp_path, trust_names=True) == [names[:3], names[3:5], names[5:]]
    assert grouped(names, tmp_path, trust_names=True, name_gap=4) == [names[:5], names[5:]]
    # Without images, only trusted names and times are known.
    found = group_images(names, None, trust_names=True)
    assert found.group.tolist() == [0, 0, 0, 1, 1, 2]
    assert {link.why for link in found.links} == {"name"}


def dataset(tmp_path: Path, classes: list[list[str]]) -> CocoFile:
    """Images with a box of each of the classes listed for it."""
    names = sorted({name for of_image in classes for name in of_image})
    annotations = [
        {"image_id": i, "category_id": 10 + names.index(name), "bbox": [1, 2, 30, 40], "area": 1200}
        for i, of_image in enumerate(classes)
        for name in of_image
    ]
    data = {
        "info": {"description": "made for a test"},
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 80} for i in range(len(classes))],
        "annotations": [{**a, "id": n} for n, a in enumerate(annotations)],
        "categories": [{"id": 10 + k, "name": name} for k, name in enumerate(names)],
    }
    path = tmp_path / "real.json"
    path.write_text(json.dumps(data))
    return read_coco(path)


def test_groups_stay_whole_and_classes_are_balanced(tmp_path: Path) -> None:
    rng = stream(3, "balance")
    coco = dataset(tmp_path, [["chair"] * int(rng.integers(1, 4)) + ["table"] * (i % 5 == 0) for i in range(80)])
    group = np.repeat(np.arange(40), 2)
    groups = ImageGroups(group, ())
    made = split_images(coco, groups, folds=4, seed=5)
    assert np.sum([fold.test for fold in made], axis=0).tolist() == [1] * 80
    for fold in made:
        assert (fold.test[::2] == fold.test[1::2]).all()
        shares = [
            sum(fold.test[a["image_id"]] for a in coco.annotations_of(name)) / len(coco.annotations_of(name))
            for name in ("chair", "table")
        ]
        assert shares == pytest.approx([0.25, 0.25], abs=0.07)
    again, other = (split_images(coco, groups, folds=4, seed=seed) for seed in (5, 6))
    assert all((a.test == b.test).all() for a, b in zip(made, again, strict=True))
    assert any((a.test != b.test).any() for a, b in zip(made, other, strict=True))
    for share in (0.2, 0.3, 0.5):
        (fold,) = split_images(coco, groups, test_share=share, seed=1)
        assert fold.test.mean() == pytest.approx(share, abs=0.06)


def test_what_cannot_be_split_is_refused(tmp_path: Path) -> None:
    coco = dataset(tmp_path, [["chair"], ["chair"], ["chair", "lamp"], ["chair"]])
    links = (Link(0, 1, "same view"), Link(1, 2, "time"), Link(2, 3, "time"))
    with pytest.raises(DataError, match=r"4 images is 1 group .*\(linked by same view 1 times, time 2 times\)"):
        split_images(coco, ImageGroups(np.zeros(4, int), links))
    two = ImageGroups(np.array([0, 0, 1, 1]), ())
    with pytest.raises(DataError, match="cannot be split into 3 parts: its 4 images are 2 groups"):
        split_images(coco, two, folds=3)
    with pytest.raises(DataError, match="class 'lamp': its boxes are in 1 group "):
        split_images(coco, two, folds=2, classes=["lamp"])
    with pytest.raises(DataError, match="more than 0 and less than 1"):
        split_images(coco, two, test_share=1.0)
    (fold,) = split_images(coco, two, test_share=0.3)
    assert sorted(fold.test.tolist()) == [False, False, True, True]


def test_the_command_writes_coco_files_and_leaves_photos_alone(tmp_path: Path) -> None:
    coco = dataset(tmp_path, [["chair"]] * 9 + [["chair", "lamp"]])
    (tmp_path / "images").mkdir()
    for i in range(10):
        write(tmp_path / f"images/{i}.jpg", scene(i % 9))  # the last is a copy of the first
    before = sorted(path.name for path in (tmp_path / "images").iterdir())
    done = CliRunner().invoke(app, ["split", str(coco.path), "-o", str(tmp_path / "parts"), "--test", "0.3", "--json"])
    assert done.exit_code == 0, done.output
    files = {Path(one["file"]).name: read_coco(one["file"]) for one in json.loads(done.stdout)["files"]}
    exposed, test = ({i["file_name"] for i in files[f"{part}.json"].images} for part in ("exposed", "test"))
    assert exposed | test == set(before)
    assert not exposed & test
    assert ("0.jpg" in test) == ("9.jpg" in test)
    assert files["test.json"].categories == coco.categories
    assert files["test.json"].about["info"]["description"] == "made for a test"
    assert sum(len(one.annotations) for one in files.values()) == len(coco.annotations)
    assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == ["exposed.json", "groups.json", "test.json"]
    assert json.loads((tmp_path / "parts/groups.json").read_text())["links"] == [
        {"images": ["0.jpg", "9.jpg"], "why": "same view"}
    ]
    refused = CliRunner().invoke(app, ["split", str(coco.path), "-o", str(tmp_path / "x"), "--class", "lamp"])
    assert refused.exit_code == 2
    assert "1 group of images" in refused.stderr.replace("\n", " ")


@pytest.mark.skipif(not (DATA / "images/cartucho_A").is_dir(), reason="needs the photos of TWINSET_DATA")
def test_photos_of_an_apartment_from_one_place_stay_together() -> None:
    # These pairs were found by eye: one place, the camera turned or moved a little.
    pairs = [("027", "032"), ("528", "584"), ("648", "661"), ("629", "636"), ("452", "515")]
    names = [f"2007_000{number}.jpg" for pair in pairs for number in pair]
    # Unlike each other to the eye.
    names += [f"2007_000{number}.jpg" for number in ("061", "256", "480", "559")]
    found = group_images(names, DATA / "images/cartucho_A").group
    assert (found[:10:2] == found[1:10:2]).all()
    assert len(set(found.tolist())) >= 8

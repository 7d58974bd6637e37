# SPDX-License-Identifier: GPL-3.0-or-later
"""Images are found by the names that annotations give them, inside their folder, and read as they were annotated."""

import os

import numpy as np
import pytest
from PIL import Image
from twinset.dataset.formats import image_files
from twinset.dataset.formats.image_files import ImageFiles, trust_links
from twinset.dataset.image_names import base_name
from twinset.dataset.readers.yolo import read_yolo
from twinset.engine.errors import DataError

QUARTER, HALF = 6, 3


def photo(path, size=(48, 32), orientation=1, corner=255):
    """A photo of an upright size with a bright upper left corner, stored so that EXIF turns it upright."""
    upright = np.full((size[1], size[0], 3), 40, np.uint8)
    upright[:8, :8] = corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = {QUARTER: Image.Transpose.ROTATE_90, HALF: Image.Transpose.ROTATE_180}.get(orientation)
    image = Image.fromarray(upright)
    path.parent.mkdir(parents=True, exist_ok=True)
    (image.transpose(turn) if turn is not None else image).save(path, exif=exif.tobytes())


def entry(id, name, size):
    return {"id": id, "file_name": name, "width": size[0], "height": size[1]}


def photos(folder, *, stored):
    """Upright landscape, upside down landscape, portrait; annotated upright or as stored."""
    photo(folder / "a.png")
    photo(folder / "b.png", orientation=HALF)
    photo(folder / "c.png", (32, 48), orientation=QUARTER)
    return [
        entry(1, "a.png", (48, 32)),
        entry(2, "b.png", (48, 32)),
        entry(3, "c.png", (48, 32) if stored else (32, 48)),
    ]


@pytest.mark.parametrize("stored", [False, True])
def test_all_photos_follow_the_convention_that_the_sizes_show(tmp_path, stored):
    images = photos(tmp_path, stored=stored)
    files = ImageFiles(images, tmp_path)
    bright = [files.read(i)[:8, :8].mean() > 200 for i in images]
    assert bright == [True, not stored, not stored]
    assert ("as stored" if stored else "upright, as viewers show them") in files.note()
    assert files.note().startswith(f"2 of 3 images in '{tmp_path}' are turned by EXIF.")


def test_upright_is_the_default_and_a_mixture_is_named(tmp_path):
    images = photos(tmp_path, stored=False)
    only = ImageFiles(images[:2], tmp_path)
    assert only.read(images[1])[:8, :8].mean() > 200
    assert "Their sizes do not say" in only.note() and ImageFiles(images[:1], tmp_path).note() == ""
    photo(tmp_path / "d.png", (32, 48), orientation=QUARTER)
    photo(tmp_path / "e.png", (32, 48), orientation=QUARTER)
    images += [entry(4, "d.png", (48, 32)), entry(5, "e.png", (48, 32))]
    files = ImageFiles(images, tmp_path)
    assert [files.is_upright(i) for i in images[1:]] == [False, True, False, False]
    assert "1 were annotated upright and 2 as stored" in files.note()


def test_the_note_is_said_once(tmp_path, caplog):
    images = photos(tmp_path, stored=False)
    for _ in range(2):
        ImageFiles(images, tmp_path).say()
    assert caplog.text.count("turned by EXIF") == 1


def test_yolo_labels_are_those_of_upright_photos(tmp_path):
    photo(tmp_path / "images/a.jpg", (32, 48), orientation=QUARTER)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.125 0.0833333333 0.25 0.1666666667\n")
    (tmp_path / "classes.txt").write_text("corner\n")
    coco = read_yolo(tmp_path)
    assert [(i["width"], i["height"]) for i in coco.images] == [(32, 48)]
    assert coco.annotations[0]["bbox"] == [0, 0, 8, 8]
    assert ImageFiles(coco.images, tmp_path / "images").read(coco.images[0])[:7, :7].mean() > 200


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("a/b.jpg", "b.jpg"),
        ("C:\\photos\\b.jpg", "b.jpg"),
        ("/data/upload/1/0a1b2c3d-b.jpg", "0a1b2c3d-b.jpg"),
        ("https://example.org/x/b%20c.jpg?token=1", "b c.jpg"),
        ("/data/local-files/?d=photos/b.jpg", "b.jpg"),
        ("s3://bucket/photos/b.jpg", "b.jpg"),
    ],
)
def test_base_names(name, base):
    assert base_name(name) == base


@pytest.mark.parametrize(
    "name",
    ["/home/else/room/B.jpg", "D:\\else\\B.jpg", "images\\room\\b.jpg", "../elsewhere/b.jpg", "1f2e3d4c-b.jpg"],
)
def test_images_are_found_by_their_own_name(tmp_path, name):
    photo(tmp_path / "room/b.jpg")
    assert ImageFiles([], tmp_path).path({"id": 1, "file_name": name}) == tmp_path / "room/b.jpg"


def test_of_several_files_of_a_name_the_longest_common_path_wins(tmp_path):
    for folder in ("a", "b"):
        photo(tmp_path / folder / "x.jpg")
    files = ImageFiles([], tmp_path)
    assert files.path({"id": 1, "file_name": "C:\\set\\b\\x.jpg"}) == tmp_path / "b/x.jpg"
    with pytest.raises(DataError, match="several files there are called like it"):
        files.path({"id": 1, "file_name": "C:\\set\\c\\x.jpg"})


def test_names_and_links_do_not_lead_out_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "_trusted_folders", set())
    photo(tmp_path / "private/secret.jpg")
    folder = tmp_path / "set"
    photo(folder / "inside.jpg")
    (folder / "linked.jpg").symlink_to(tmp_path / "private/secret.jpg")
    (folder / "album").symlink_to(tmp_path / "private")
    (folder / "same.jpg").symlink_to("inside.jpg")
    files = ImageFiles([], folder)
    assert files.path({"id": 1, "file_name": "same.jpg"}) == folder / "same.jpg"
    for name, problem in (
        ("../private/secret.jpg", "lies outside"),
        (str(tmp_path / "private/secret.jpg"), "lies outside"),
        ("linked.jpg", "is a link to a file outside"),
        ("album/secret.jpg", "is a link to a file outside"),
    ):
        with pytest.raises(DataError, match=problem):
            files.path({"id": 1, "file_name": name})
    trust_links(folder)  # as --images does
    assert files.path({"id": 1, "file_name": "linked.jpg"}) == folder / "linked.jpg"
    with pytest.raises(DataError, match="lies outside"):
        files.path({"id": 1, "file_name": "../private/secret.jpg"})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_a_pipe_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="not a regular file"):
        ImageFiles([], tmp_path).read(entry(1, "a.jpg", (1, 1)))

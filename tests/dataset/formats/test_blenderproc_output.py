# SPDX-License-Identifier: GPL-3.0-or-later
"""What BlenderProc writes as a dataset of its own right: HDF5 frames and COCO files, compared and measured."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from twinset.dataset.analysis.measure import measure
from twinset.dataset.formats.blenderproc_output import read_blenderproc_coco
from twinset.dataset.formats.dataset_folder import image_folder, read_dataset
from twinset.engine.errors import DataError
from twinset.headless.cli import app
from typer.testing import CliRunner

WIDTH, HEIGHT = 64, 48
# Rectangles by frame: instance, category, name, x, y, w, h, depth.
FRAMES = [
    [
        (1, 0, "Floor", 0, 30, 64, 18, 5.0),
        (2, 3, "Chair.001", 4, 10, 12, 20, 2.0),
        (3, 3, "Chair.002", 30, 5, 20, 30, 1.5),
    ],
    [(1, 0, "Floor", 0, 30, 64, 18, 5.0), (2, 3, "Chair.001", 10, 12, 9, 15, 2.5), (4, 7, "Lamp", 40, 8, 6, 25, 3.0)],
]


def maps(things):
    """Ids, categories, depth and picture of a frame; later things lie before earlier ones."""
    ids, categories = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    depth = np.full((HEIGHT, WIDTH), 1e10, np.float32)
    for id, category, _, x, y, w, h, far in things:
        part = slice(y, y + h), slice(x, x + w)
        ids[part], categories[part], depth[part] = id, category, far
    colors = np.stack([ids * 40, 255 - ids * 40, np.full_like(ids, 90)], -1)
    return ids, categories, depth, colors


def frame(path, things, drop=(), **more):
    h5py = pytest.importorskip("h5py", reason='h5py is not installed: pip install "twinset[blenderproc]"')
    ids, categories, depth, colors = maps(things)
    said = [{"idx": 0, "category_id": 0, "name": "World"}]
    said += [{"idx": id, "category_id": category, "name": name} for id, category, name, *_ in things]
    values = {
        "colors": colors,
        "depth": depth,
        "instance_segmaps": ids,
        "category_id_segmaps": categories,
        "instance_attribute_maps": np.bytes_(json.dumps(said)),
    }
    with h5py.File(path, "w") as file:
        for key, value in {**values, **more}.items():
            if key not in drop:
                file.create_dataset(key, data=value)


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "hdf5"
    folder.mkdir()
    for number, things in enumerate(FRAMES):
        frame(folder / f"{number}.hdf5", things)
    return folder


def truth():
    """Box, area and depth of each annotated thing, by brute force over the maps."""
    out = []
    for things in FRAMES:
        ids = maps(things)[0]
        for id, category, _, *_, far in things:
            if category:
                ys, xs = np.nonzero(ids == id)
                box = [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1]
                out.append((category, [int(v) for v in box], len(xs), far))
    return out


def test_frames_are_read_as_coco(frames):
    coco = read_dataset(frames)
    assert [i["file_name"] for i in coco.images] == ["0.hdf5", "1.hdf5"]
    assert [(i["width"], i["height"]) for i in coco.images] == [(WIDTH, HEIGHT)] * 2
    found = [(a["category_id"], a["bbox"], a["area"], a["twinset"]["depth"]) for a in coco.annotations]
    assert found == truth()
    # What is called alike but for the endings of copies is one class; the background is none.
    assert coco.classes() == {"Chair": 3, "Lamp": 1}
    for annotation, thing in zip(coco.annotations, [t for f in FRAMES for t in f if t[1]], strict=True):
        mask = coco_mask.decode(annotation["segmentation"]).astype(bool)
        assert np.array_equal(mask, maps(FRAMES[annotation["image_id"] - 1])[0] == thing[0])
    assert image_folder(coco) == frames


def test_frames_come_in_the_order_of_their_numbers(frames):
    for number in (10, 2):
        frame(frames / f"{number}.hdf5", FRAMES[0])
    assert [i["file_name"] for i in read_dataset(frames).images] == ["0.hdf5", "1.hdf5", "2.hdf5", "10.hdf5"]


def test_categories_are_called_as_a_table_says(frames):
    (frames / "categories.csv").write_text("id,name\n0,background\n3,seat\n")
    assert read_dataset(frames).classes() == {"seat": 3, "Lamp": 1}
    frame(frames / "2.hdf5", [(1, 7, "Ceiling Light", 0, 0, 5, 5, 1.0)])
    assert read_dataset(frames).classes() == {"seat": 3, "7": 2}, "different names: the number says what they share"


def test_categories_may_be_in_a_map_alone(frames):
    for number, things in enumerate(FRAMES):
        frame(frames / f"{number}.hdf5", things, drop=["instance_attribute_maps", "depth"])
    coco = read_dataset(frames)
    assert [(a["category_id"], a["bbox"], a["area"]) for a in coco.annotations] == [t[:3] for t in truth()]
    assert coco.classes() == {"3": 3, "7": 1}


def test_pictures_are_measured(frames):
    coco = read_dataset(frames)
    table = measure(coco, frames, workers=1).columns
    assert table["depth"] == [t[3] for t in truth()]
    assert set(table["shape"]) == {"Chair", "Lamp"}
    assert np.isfinite(table["background_similarity"]).all() and np.isfinite(table["brightness"]).all()


def coco_of(tmp_path):
    boxes = [[10, 10, 12 + 3 * i, 20 + 2 * i] for i in range(8)]
    data = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT} for i in range(8)],
        "annotations": [
            {"id": i + 1, "image_id": i, "category_id": 1, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
            for i, b in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "Chair"}],
    }
    path = tmp_path / "real.json"
    path.write_text(json.dumps(data))
    return path


def test_commands_take_them(frames, tmp_path):
    real = coco_of(tmp_path)
    run = CliRunner()
    done = run.invoke(app, ["compare", str(real), str(frames), "--class", "Chair", "--json", "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)["classes"]["Chair"]
    assert (said["n_real"], said["n_synth"]) == (8, 3)
    done = run.invoke(app, ["measure", str(frames), "-o", str(tmp_path / "t.csv"), "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["boxes"] == 4, done.output
    assert {"depth", "brightness"} <= set(json.loads(done.stdout)["columns"])
    done = run.invoke(app, ["report", str(real), str(frames), "-o", str(tmp_path / "r.html")])
    assert done.exit_code == 0, done.output
    assert "data:image" in (tmp_path / "r.html").read_text(encoding="utf-8"), "pictures are shown"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"drop": ["instance_segmaps"]}, "has no instance_segmaps. Render with"),
        ({"drop": ["instance_attribute_maps", "category_id_segmaps"]}, "has no category for instance 1"),
        ({"instance_attribute_maps": np.bytes_(b"[1")}, "instance_attribute_maps of '.*' are damaged"),
        (
            {"instance_segmaps": np.zeros((2, 8, 8), np.uint8)},
            "only one image of each stereo pair, such as the left one",
        ),
        ({"depth": np.zeros((4, 4), np.float32)}, "which is not that of one frame"),
        ({"instance_segmaps": np.zeros((8, 8), np.float32)}, "which is not that of one frame"),
    ],
)
def test_frames_of_another_kind_are_refused(frames, change, sentence):
    frame(frames / "1.hdf5", FRAMES[1], **change)
    with pytest.raises(DataError, match=rf"(?s){sentence}"):
        read_dataset(frames)


def test_background_alone_is_told(frames):
    for path in frames.glob("*.hdf5"):
        frame(path, [(1, 0, "Chair", 0, 0, 9, 9, 1.0)])
    with pytest.raises(DataError, match="category_id of 1 or more"):
        read_dataset(frames)


def test_damaged_files_are_named(frames):
    path = frames / "1.hdf5"
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(DataError, match=r"1\.hdf5' cannot be read as HDF5"):
        read_dataset(frames)


def test_whatever_byte_is_damaged_the_file_is_read_or_named(frames):
    """Damage of the file's own tables shows only where they are followed, as another kind of error each time."""
    path = frames / "1.hdf5"
    whole, refused = path.read_bytes(), 0
    for place in range(96, 2400, 13):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read_dataset(frames)
        except DataError as error:
            refused += "1.hdf5" in str(error)
    assert refused > 20


def test_links_to_other_files_are_not_followed(frames, tmp_path):
    import h5py

    frame(tmp_path / "elsewhere.h5", FRAMES[0])
    with h5py.File(frames / "1.hdf5", "r+") as file:
        del file["instance_segmaps"]
        file["instance_segmaps"] = h5py.ExternalLink(str(tmp_path / "elsewhere.h5"), "instance_segmaps")
    with pytest.raises(DataError, match="is not a plain array in this file"):
        read_dataset(frames)
    layout = h5py.VirtualLayout((HEIGHT, WIDTH), np.uint8)
    layout[:] = h5py.VirtualSource(str(tmp_path / "elsewhere.h5"), "instance_segmaps", (HEIGHT, WIDTH))
    with h5py.File(frames / "1.hdf5", "r+") as file:
        del file["instance_segmaps"]
        file.create_virtual_dataset("instance_segmaps", layout)
    with pytest.raises(DataError, match="is not a plain array in this file"):
        read_dataset(frames)


def test_absurd_sizes_are_refused(frames):
    import h5py

    with h5py.File(frames / "1.hdf5", "r+") as file:
        del file["instance_segmaps"]
        file.create_dataset("instance_segmaps", (2**20, 2**20), np.uint8, chunks=(64, 64))
    with pytest.raises(DataError, match="which is not that of one frame"):
        read_dataset(frames)


def test_chunks_that_were_never_written_are_counted_as_the_memory_they_take(frames):
    import h5py

    with h5py.File(frames / "1.hdf5", "r+") as file:
        del file["depth"]
        file.create_dataset("depth", (20_000, 20_000), np.float32, chunks=(64, 64))
    assert (frames / "1.hdf5").stat().st_size < 2**20
    with pytest.raises(DataError, match="which is not that of one frame"):
        read_dataset(frames)


@pytest.mark.parametrize("category", ["chair", [1], {}, float("inf"), float("nan")])
def test_categories_that_are_no_numbers_are_refused(frames, category):
    said = [{"idx": id, "category_id": category, "name": "x"} for id in (1, 2, 3, 4)]
    frame(frames / "1.hdf5", FRAMES[1], instance_attribute_maps=np.bytes_(json.dumps(said)))
    with pytest.raises(DataError, match=r"has a category for instance \d that is no whole number"):
        read_dataset(frames)


def test_ids_beyond_all_numbers_are_refused(frames):
    frame(frames / "1.hdf5", FRAMES[1], instance_attribute_maps=np.bytes_(b'[{"idx": Infinity}]'))
    with pytest.raises(DataError, match=r"instance_attribute_maps of '.*' are damaged"):
        read_dataset(frames)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
@pytest.mark.parametrize("name", ["1.hdf5", "categories.csv"])
def test_pipes_and_devices_are_not_opened(frames, name):
    (frames / name).unlink(missing_ok=True)
    os.mkfifo(frames / name)
    if name == "categories.csv":  # as if it were missing
        read_dataset(frames)
        return
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        read_dataset(frames)
    (frames / name).unlink()
    (frames / name).symlink_to("/dev/zero")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        read_dataset(frames)


def written_coco(folder: Path) -> Path:
    """What BlenderProc 2 writes without a label mapping: ids from 0, names of objects or numbers, raw run lengths."""
    ids = maps(FRAMES[0])[0]
    annotations = []
    for number, (id, category) in enumerate([(2, 3), (3, 4)], start=1):
        mask = ids == id
        ys, xs = np.nonzero(mask)
        runs = np.flatnonzero(np.diff(mask.ravel(order="F").astype(int), prepend=0, append=0))
        counts = np.diff(runs, prepend=0, append=mask.size).tolist()
        # A pixel short, as earlier releases had it.
        box = [int(v) for v in (xs.min(), ys.min(), np.ptp(xs), np.ptp(ys))]
        outline = {"counts": counts, "size": [HEIGHT, WIDTH]}
        annotations.append(
            {
                "id": number,
                "image_id": 0,
                "category_id": category,
                "iscrowd": 0,
                "area": 1,
                "bbox": box,
                "segmentation": outline,
                "width": WIDTH,
                "height": HEIGHT,
            }
        )
    annotations.append(
        annotations[0] | {"id": 3, "category_id": 9, "segmentation": [[4.0, 10.0, 16.0, 10.0, 16.0, 30.0]]}
    )
    data = {
        "info": {"description": "coco_annotations"},
        "categories": [
            {"id": 3, "supercategory": "coco_annotations", "name": "Chair.001"},
            {"id": 4, "supercategory": "coco_annotations", "name": "Chair.002"},
            {"id": 9, "supercategory": "coco_annotations", "name": 9},
        ],
        "images": [{"id": 0, "file_name": "images/000000.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": annotations,
    }
    path = folder / "coco_data" / "coco_annotations.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(data))
    return path


def test_coco_of_blenderproc_is_put_right(tmp_path):
    path = written_coco(tmp_path)
    coco = read_dataset(tmp_path)
    assert coco.path == path and coco.classes() == {"Chair": 2, "9": 1}
    found = [(a["bbox"], a["area"]) for a in coco.annotations[:2]]
    assert found == [(box, area) for _, box, area, _ in truth()[:2]]
    assert coco.annotations[2]["bbox"] == [4, 10, 11, 19], "polygons stay, and so do their boxes"
    assert read_dataset(path).annotations == read_blenderproc_coco(path).annotations == coco.annotations

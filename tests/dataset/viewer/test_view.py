# SPDX-License-Identifier: GPL-3.0-or-later
"""`twinset view`: the page has all that the dataset has and runs only its own script; FiftyOne gets the same."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import attrs
import numpy as np
import pytest
from twinset.dataset.exports.outlines import mask_of
from twinset.dataset.formats import rle_masks
from twinset.dataset.formats.dataset_folder import open_dataset
from twinset.dataset.store.dataset_files import run_writer
from twinset.dataset.viewer import page
from twinset.dataset.viewer.fiftyone_app import fiftyone_dataset
from twinset.dataset.viewer.page import write_view
from twinset.engine.plugin.registry import find
from twinset.headless.cli import app
from twinset.testing.fixtures.datasets import SIZE, finished_dataset
from typer.testing import CliRunner

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    dataset = finished_dataset(tmp_path / "source", images=4, parts=True, crowds=True)
    categories = [dataset.categories[0], {"id": 2, "name": HOSTILE}]
    run_writer(find("writer", "coco")(), attrs.evolve(dataset, categories=categories))
    return tmp_path / "source"


def data_of(file: Path) -> dict:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', file.read_text("utf-8"))
    return json.loads(text)


def test_the_page_has_all_boxes_masks_and_columns(source, tmp_path):
    found = open_dataset(source)
    shown = write_view(found, tmp_path / "view", copies=True)
    data = data_of(shown.page)
    assert data["classes"] == ["chair", HOSTILE] and shown.images == 4 and not shown.left_out
    by_image = {i["id"]: [a for a in found.coco.annotations if a["image_id"] == i["id"]] for i in found.coco.images}
    for row, (image_id, own) in zip(data["images"], by_image.items(), strict=True):
        assert (row["w"], row["h"], row["part"]) == (*SIZE, ("train", "val")[(image_id - 1) % 2])
        assert (tmp_path / "view" / row["src"]).samefile(source / "images" / row["name"])
        assert [box["b"] for box in row["boxes"]] == [a["bbox"] for a in own]
        for box, a in zip(row["boxes"], own, strict=True):
            assert box["s"] == a["segmentation"]["counts"] and box["k"]["visible_share"] == 0.75
            assert box.get("i", 0) == a["iscrowd"] and box["z"] == ("small" if a["area"] < 1024 else "medium")


def test_only_its_own_script_runs_and_nothing_is_fetched(source, tmp_path):
    text = write_view(open_dataset(source), tmp_path / "view", copies=True).page.read_text("utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert len(scripts) == 1 and "alert" not in scripts[0]
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1])
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy and "http" not in policy
    assert HOSTILE not in text and not re.findall(r"https?://|\bfetch\(|XMLHttpRequest|innerHTML|import ", text)


def test_masks_are_decoded_as_coco_means_them(tmp_path):
    """The page's own function, run by Node, against pycocotools."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    script = (Path(page.__file__).parent / "view.js").read_text("utf-8")
    function = re.search(r"^function runs\(.*?^}", script, re.S | re.M)[0]
    rng = np.random.default_rng(0)
    masks = [rng.random((17, 23)) < share for share in (0.0, 0.1, 0.5, 1.0)]
    big = np.zeros((900, 1200), bool)
    big[100:800, 3:1100] = True
    texts = [rle_masks.encode(mask)["counts"] for mask in [*masks, big]]
    (tmp_path / "x.js").write_text(f"{function}\nconsole.log(JSON.stringify({json.dumps(texts)}.map(runs)))")
    done = json.loads(subprocess.run([node, str(tmp_path / "x.js")], capture_output=True, check=True, text=True).stdout)
    for lengths, mask in zip(done, [*masks, big], strict=True):
        values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
        np.testing.assert_array_equal(values.reshape(mask.shape, order="F"), mask)


def test_the_command_writes_the_page_or_opens_it(source, tmp_path, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    done = CliRunner().invoke(app, ["view", str(source), "-o", str(tmp_path / "view"), "--max-images", "3"])
    assert done.exit_code == 0 and "1 further images are not shown" in done.output and not opened
    assert len(list((tmp_path / "view/images").iterdir())) == 3
    done = CliRunner().invoke(app, ["view", str(source), "--page", "--json"])
    told = json.loads(done.output)
    assert opened == [Path(told["page"]).as_uri()]
    sources = [row["src"] for row in data_of(Path(told["page"]))["images"]]
    assert sources == [(source / f"images/{n:06d}.png").as_uri() for n in range(4)]


def test_frames_without_an_image_are_listed_with_their_reasons(tmp_path):
    from twinset.dataset.formats.coco import coco_file
    from twinset.dataset.store.frames import FrameStore
    from twinset.dataset.viewer.contents import contents

    store = FrameStore(tmp_path)
    store.prepare()
    rejected = ["camera: no free position", "too dark", "camera: no free position"]
    store.write(7, {"verdict": "given up", "attempts": 3, "rejected": rejected}, None)
    (tmp_path / "recipe.toml").write_text("")
    image = {"id": 1, "file_name": "000000.jpg", "width": 8, "height": 8, "twinset": {"frame": 0, "brightness": 0.25}}
    data = {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    (shown, other), left_out = contents(coco_file(tmp_path / "annotations/instances.json", data), 10)
    assert shown.verdict == "accepted" and shown.columns == {"brightness": 0.25, "boxes": 0} and not left_out
    assert (other.name, other.verdict, other.image) == ("frame 7", "given up", None)
    assert other.notes == "3 attempts; camera: no free position (2); too dark (1)"


def test_fiftyone_gets_boxes_masks_and_parts(source, monkeypatch):
    """With a stand-in that keeps what it is given."""
    stand_in = types.ModuleType("fiftyone")
    for name in ("Detection", "Detections", "Sample"):
        setattr(stand_in, name, type(name, (), {"__init__": lambda self, **given: vars(self).update(given)}))
    stand_in.Dataset = type("Dataset", (), {"add_samples": lambda self, samples: vars(self).update(samples=samples)})
    monkeypatch.setitem(sys.modules, "fiftyone", stand_in)
    found = open_dataset(source)
    samples = fiftyone_dataset(found, 100).samples
    assert [s.tags for s in samples] == [["train"], ["val"], ["train"], ["val"]]
    for sample, image in zip(samples, found.coco.images, strict=True):
        assert sample.filepath == str(source / "images" / image["file_name"])
        own = [a for a in found.coco.annotations if a["image_id"] == image["id"]]
        for detection, a in zip(sample.ground_truth.detections, own, strict=True):
            x, y, w, h = a["bbox"]
            assert np.multiply(detection.bounding_box, (*SIZE, *SIZE)) == pytest.approx([x, y, w, h])
            np.testing.assert_array_equal(detection.mask, mask_of(a, image)[y : y + h, x : x + w])
            assert detection.twinset_visible_share == 0.75 and detection.iscrowd == bool(a["iscrowd"])


def test_the_page_opens_where_fiftyone_cannot_start(source, tmp_path, monkeypatch):
    """As where its database is missing."""
    stand_in = types.ModuleType("fiftyone")
    for name in ("Detection", "Detections", "Sample"):
        setattr(stand_in, name, type(name, (), {"__init__": lambda self, **given: None}))

    def dataset():
        raise RuntimeError("MongoDB could not be found")

    stand_in.Dataset, stand_in.launch_app = dataset, None
    opened: list[str] = []
    monkeypatch.setitem(sys.modules, "fiftyone", stand_in)
    monkeypatch.setattr("twinset.dataset.viewer.fiftyone_app.has_fiftyone", lambda: True)
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = CliRunner().invoke(app, ["view", str(source)])
    assert done.exit_code == 0 and len(opened) == 1
    assert "RuntimeError: MongoDB could not be found" in done.stderr

# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts and configurations on the pages about training fit what a rendered dataset has, and run as pasted."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from recipes import on_floor, orbit
from stages import stool_stage
from twinset.dataset.aligning.steps.photos import TEST
from twinset.dataset.jobs.job import Job
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.settings import PluginUse, Recipe
from twinset.plugins.cameras.orbit import Orbit
from twinset.plugins.placements.on_surface import OnSurface

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted(GUIDE.glob("training-*.md"))


def scripts(page: Path) -> dict[str, str]:
    """The Python blocks of a page by the names that the text says to save them under."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`(\w+\.py)`[^\n]*:\n\n```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(named) == text.count("```python")
    return dict(named)


def script(name: str) -> str:
    return next(blocks[name] for blocks in map(scripts, PAGES) if name in blocks)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``demo``: the recipe of the demo, in a scene of plain numpy that shows only its chairs."""
    folder = tmp_path_factory.mktemp("training")
    tiny = {"images": 4, "output.width": 64, "output.height": 48, "output.report": False}
    recipe = load_recipe(ROOT / "examples" / "demo.toml", tiny)
    list(Job(attrs.evolve(recipe, plugins=_plain(recipe)), folder / "demo", stool_stage).run())
    return folder


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The plugins of the recipe, but for those that need the hall."""
    placed = {key: value for key, value in on_floor(1, 1, classes=["chair"]).items() if key != "plugin"}
    seen = {key: tuple(value) for key, value in orbit(1.5, 2.5).items() if key != "plugin"}
    return {
        **{kind: uses for kind, uses in recipe.plugins.items() if kind not in ("target", "appearance")},
        "placement": (PluginUse("placement", "on_surface", OnSurface(**{**placed, "count": tuple(placed["count"])})),),
        "camera": (PluginUse("camera", "orbit", Orbit(**seen)),),
    }


def categories(place: Path) -> list[str]:
    coco = json.loads((place / "demo" / "annotations" / "instances.json").read_text())
    return [category["name"] for category in coco["categories"]]


def strings(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_each_named_file_is_one_that_a_dataset_has(page: Path, place: Path) -> None:
    named = [text for code in scripts(page).values() for text in strings(code)]
    of_demo = [text for text in named if text.startswith("demo/")]
    assert of_demo and [text for text in of_demo if not (place / text).exists()] == []
    assert {text for text in named if text.startswith("aligned/")} <= {f"aligned/{TEST.as_posix()}"}


def test_the_configuration_of_mmdetection_names_the_classes_and_files(place: Path) -> None:
    code = script("twinset_rtmdet.py")
    words: dict[str, Any] = {}
    exec(code, words)
    assert list(words["metainfo"]["classes"]) == categories(place)
    assert words["model"]["bbox_head"]["num_classes"] == len(categories(place))
    for loader in (words["train_dataloader"], words["val_dataloader"], words["test_dataloader"]):
        dataset = loader["dataset"]
        assert dataset["metainfo"] == words["metainfo"]
        root = place / dataset["data_root"]
        images = {path.name for path in (root / dataset["data_prefix"]["img"]).iterdir()}
        coco = json.loads((root / dataset["ann_file"]).read_text())
        assert {image["file_name"] for image in coco["images"]} == images
    assert (place / words["val_evaluator"]["ann_file"]).is_file()


def test_mmengine_reads_the_configuration(place: Path) -> None:
    config = pytest.importorskip("mmengine.config")
    (place / "twinset_rtmdet.py").write_text(script("twinset_rtmdet.py"))
    try:
        import mmdet  # noqa: F401
    except ImportError:
        pytest.skip("its base is a part of MMDetection, which is not installed")
    read = config.Config.fromfile(place / "twinset_rtmdet.py")
    assert read.train_dataloader.dataset.type == "CocoDataset"
    assert read.model.bbox_head.num_classes == len(categories(place))


def test_data_yaml_names_images_with_a_label_file_each_and_the_classes(place: Path) -> None:
    data = yaml.safe_load((place / "demo" / "data.yaml").read_text(encoding="utf-8"))
    assert [data["names"][number] for number in range(data["nc"])] == categories(place)
    images = sorted((place / "demo" / data["train"]).glob("*.jpg"))
    labels = sorted(Path(str(path).replace("images", "labels")).with_suffix(".txt") for path in images)
    assert len(images) == 4 and all(path.is_file() for path in labels)
    page = (GUIDE / "training-ultralytics.md").read_text(encoding="utf-8")
    assert set(data) <= set(re.findall(r"`(\w+)`", page))


def test_ultralytics_reads_data_yaml(place: Path) -> None:
    data = pytest.importorskip("ultralytics.data.utils")
    found = data.check_det_dataset(str(place / "demo" / "data.yaml"))
    assert list(found["names"].values()) == categories(place)
    assert Path(found["train"]) == place / "demo" / "images"


def test_the_script_for_torchvision_reads_the_boxes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchvision")
    monkeypatch.chdir(place)
    words: dict[str, Any] = {"__name__": "pasted"}
    exec(script("train_torchvision.py"), words)
    data = words["Boxes"](words["ANNOTATIONS"], words["IMAGES"])
    assert data.names == ["background", *categories(place)]
    coco = json.loads(Path("demo/annotations/instances.json").read_text())
    read = [box for _, target in data for box in target["boxes"].tolist()]
    known = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in coco["annotations"])]
    assert sorted(read) == sorted(known) and known
    assert data[0][0].shape == (3, 48, 64)

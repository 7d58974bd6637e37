# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter by features alone: what it refuses to start with, and what it paints."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
import numpy as np
import pytest
from recipes import recipe_text
from twinset.alignment.features import onnx_file as onnx
from twinset.alignment.features.density import fit_density, load_density
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.jobs.job import Job
from twinset.engine.block import Block
from twinset.engine.errors import DataError, RecipeError
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.sampling.gates import OpenGates, paint_black
from twinset.engine.sampling.sampler import Sampler
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.models import pixel_model
from twinset.testing.fixtures.shots import make_shot

RECIPE = recipe_text()

GATE = """
[[filter]]
plugin = "feature_score"
features = "real.features"
model = "pixels.onnx"
"""


def recipe_of(folder: Path, gate: str = GATE) -> Recipe:
    return loads_recipe(RECIPE + gate, folder, "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, and features of forty random pictures."""
    folder = tmp_path_factory.mktemp("gate")
    extractor = Extractor(pixel_model(folder / "pixels.onnx"))
    pictures = np.random.default_rng(2).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    density = fit_density(extractor.extract(pictures), origin={"model": extractor.sha256, "class": "chair"})
    (folder / "real.features").write_bytes(density.to_bytes())
    return folder


def test_paint_leaves_other_instances_alone() -> None:
    ids = np.zeros((6, 8), int)
    ids[1:5, 1:5], ids[3:6, 4:8] = 1, 2
    image = np.full((6, 8, 3), 200, np.uint8)
    shot = make_shot(ids, n=2, image=image)
    rows = [{"id": 1, "bbox": (1, 1, 4, 4)}, {"id": 2, "bbox": (4, 3, 4, 3)}]
    black = (paint_black(shot, rows, {1}, {2}).image == 0).all(2)
    inside = np.zeros_like(black)
    inside[1:5, 1:5] = True
    assert np.array_equal(black, inside & (ids != 2)) and (image == 200).all()


def broken(folder: Path, tmp_path: Path, what: str) -> Path:
    for name in ("pixels.onnx", "real.features"):
        shutil.copy(folder / name, tmp_path)
    model, features = tmp_path / "pixels.onnx", tmp_path / "real.features"
    if what == "other model":
        (tmp_path / "pixels.toml").write_text("color = 'bgr'")
    elif what == "cut model":
        model.write_bytes(model.read_bytes()[:40])
    elif what == "no such operator":
        node = onnx.node("NoSuchThing", ["x"], "y")
        values = [onnx.value(name, "float32", ("n", 3, 8, 8)) for name in "xy"]
        model.write_bytes(onnx.model("odd", nodes=[node], constants=[], inputs=values[:1], outputs=values[1:]))
    elif what == "fails while it runs":
        graph = pixel_model(tmp_path / "pixels.onnx").read_bytes()
        model.write_bytes(graph.replace(np.array([-1, 192]).tobytes(), np.array([-1, 191]).tobytes()))
        density = attrs.evolve(load_density(features), origin={"model": Extractor(model).sha256, "class": "chair"})
        features.write_bytes(density.to_bytes())
    elif what == "cut features":
        features.write_bytes(features.read_bytes()[:300])
    elif what == "no features":
        features.write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("other model", "made with another model"),
        ("cut model", "no ONNX file, or it is cut off"),
        ("no such operator", "cannot be run by onnxruntime"),
        ("fails while it runs", "fails while it runs"),
        ("cut features", "does not hold real features, or is damaged"),
        ("no features", "does not hold real features, or is damaged"),
    ],
)
def test_what_will_not_do_is_said_before_the_scene_is_opened(
    folder: Path, tmp_path: Path, what: str, sentence: str
) -> None:
    recipe, opened = recipe_of(broken(folder, tmp_path, what)), []
    with pytest.raises(DataError, match=sentence) as caught:
        list(Job(recipe, tmp_path / "out", opened.append).run())
    assert not opened and not (tmp_path / "out").exists()
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def test_missing_files_and_contradictions_are_problems_of_the_recipe(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "real.features", tmp_path)
    with pytest.raises(RecipeError, match=r"model .*No file or folder matches"):
        recipe_of(tmp_path)
    with pytest.raises(RecipeError, match=r"needs the parameter 'features'"):
        recipe_of(folder, gate='[[filter]]\nplugin = "feature_score"\n')
    with pytest.raises(RecipeError, match="'black box' needs level"):
        recipe_of(folder, gate=GATE + 'action = "black box"\n')


def test_probes_alone_open_no_gate(folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(broken(folder, tmp_path, "cut model"))
    stool = asset("stool", "chair", box((1, 1, 1)))
    stage = BruteStage({"Floor": plane((6.0, 6.0))}, [stool], kept=[(stool, np.eye(4))])
    sampler = Sampler(recipe, stage, {})
    assert sampler.frame(0, Block(), render=False).shot is not None
    with pytest.raises(DataError, match="no ONNX file, or it is cut off"):
        sampler.frame(0, Block())


def test_few_real_boxes_are_told_at_the_start(folder: Path) -> None:
    (gate,) = OpenGates(recipe_of(folder)).report()
    assert gate["real"] == 40 and len(gate["notes"]) == 1
    assert gate["notes"][0].startswith("40 real samples give scores in steps of 2.5%")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken and hostile files: whatever a parser is given, it ends soon, with a result or a sentence for the user.

``benchmarks/robustness/fuzz.py`` gives each parser many inputs and counts them.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from fuzzed_jobs import of_jobs
from mutations import Subject, fuzz
from property_examples import examples
from recipes import on_floor, orbit, recipe_text
from twinset.alignment.features.density import fit_density, load_density
from twinset.alignment.features.extractor import Extractor
from twinset.alignment.features.model_settings import read_settings
from twinset.alignment.features.onnx_file import model, node, node_outputs, tensor, value
from twinset.dataset.analysis.measure import measure
from twinset.dataset.atomic_files import json_bytes
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.formats.coco_results import read_predictions
from twinset.dataset.formats.dataset_folder import read_dataset
from twinset.dataset.formats.metadata_table import read_columns, write_columns
from twinset.dataset.formats.pixels import read_depth, read_image
from twinset.dataset.labels.depth import encode_depth
from twinset.dataset.store.frames import encode_image
from twinset.dataset.store.inputs import read_inputs
from twinset.engine.recipe.reading import dump_recipe, load_recipe, loads_recipe

RECIPE = recipe_text(
    seed=2,
    images=3,
    real="real.json",
    classes=[{"name": "chair", "models": ["stool.gltf"], "height": [0.4, 0.5]}],
    placements=[on_floor(1, 3)],
    appearances=["lights"],
    cameras=[orbit(2.0, 4.0)],
    filters=["min_pixels"],
    variants=[{"weight": 2.0, "camera": {"orbit": {"distance": [1.0, 2.0]}}}],
    render={"block_size": 3},
    size=(64, 48),
    output={"yolo": True, "masks": True},
)


def subjects(folder: Path) -> dict[str, Subject]:
    """All parsers, each with a valid file made in the folder."""
    real = {
        "images": [{"id": 1, "width": 64, "height": 48, "file_name": "1.png", "license": 1}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 3, "bbox": [i, 2, 20, 30.5], "area": 9.0, "iscrowd": 0, **shape}
            for i, shape in enumerate(
                (
                    {"segmentation": [[1, 2, 21, 2, 21, 30]]},
                    {"segmentation": {"size": [48, 64], "counts": [100, 50, 2922]}},
                    {"twinset": {"shape": "a", "visible_share": 0.5, "main": True}},
                )
            )
        ],
        "categories": [{"id": 3, "name": "chair"}],
        "licenses": [{"id": 1, "name": "CC BY"}],
    }
    (folder / "real.json").write_bytes(json_bytes(real))
    gltf = json_bytes({"asset": {"version": "2.0", "copyright": "Ann"}, "buffers": [{"uri": "a.bin"}]})
    (folder / "stool.gltf").write_bytes(gltf)
    (folder / "r.toml").write_text(RECIPE)
    shutil.copytree(folder, folder / "other")
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    known = read_coco(folder / "real.json")
    rng = np.random.default_rng(1)
    density = fit_density(rng.normal(size=(12, 3)), origin={"class": "chair"})
    (folder / "d.features").write_bytes(density.to_bytes())
    write_columns(folder / "t.parquet", {"class": ["a", "b"], "x": [1.5, 2.5], "n": [1, None]})
    write_columns(folder / "t.csv", {"class": ["a", "b"], "x": [1.5, None], "main": [True, False]})
    predictions = [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]
    onnx = model(
        "m",
        nodes=[node("Mul", ["x", "two"], "y")],
        constants=[tensor("two", np.array([2.0], np.float32))],
        inputs=[value("x", "float32", [1, 3, 4, 4])],
        outputs=[value("y", "float32", [1, 3, 4, 4])],
        metadata={"twinset": "range = [0.0, 1.0]"},
    )
    made = {
        "recipe": Subject("toml", RECIPE.encode(), partial(use_recipe, folder)),
        "coco": Subject("json", json_bytes(real), partial(in_file, folder / "c.json", use_coco)),
        "predictions": Subject(
            "json", json_bytes(predictions), partial(in_file, folder / "p.json", lambda p: read_predictions(p, known))
        ),
        "features": Subject(
            "bytes", (folder / "d.features").read_bytes(), partial(in_file, folder / "e.features", use_density)
        ),
        "features head": Subject("json", b"", partial(use_density_head, folder)),
        "parquet": Subject(
            "bytes", (folder / "t.parquet").read_bytes(), partial(in_file, folder / "u.parquet", read_columns)
        ),
        "csv": Subject("text", (folder / "t.csv").read_bytes(), partial(in_file, folder / "u.csv", read_columns)),
        "onnx": Subject("bytes", onnx, partial(in_file, folder / "m.onnx", use_onnx)),
        "onnx settings": Subject(
            "toml",
            b'size = [4, 4]\nlayout = "NCHW"\nrange = [0.0, 1.0]\nmean = [0.0, 0.0, 0.0]\noutput = "y"\n',
            partial(in_file, folder / "s.toml", lambda p: read_settings(p.with_suffix(".onnx"), {})),
        ),
        "gltf": Subject(
            "json",
            gltf,
            partial(in_file, folder / "other/stool.gltf", use_gltf),
        ),
        "png": Subject("bytes", encode_image(picture, "png", 0), partial(in_file, folder / "i.png", read_image)),
        "jpg": Subject("bytes", encode_image(picture, "jpg", 90), partial(in_file, folder / "i.jpg", read_image)),
        "depth": Subject("bytes", encode_depth(np.ones((48, 64))), partial(in_file, folder / "z.png", read_depth)),
    }
    head = json.loads(str(np.load(folder / "d.features")["head"]))
    made["features head"] = attrs.evolve(made["features head"], valid=json_bytes(head))
    return made | of_yolo(folder, picture) | of_jobs(folder)


def of_yolo(folder: Path, picture: np.ndarray) -> dict[str, Subject]:
    """The files of a YOLO folder."""
    yolo = folder / "yolo"
    for name, data in {
        "images/1.png": encode_image(picture, "png", 0),
        "labels/1.txt": b"0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.1 0.2 0.3 0.15 0.3\n",
        "data.yaml": b"path: .\nnames:\n  0: chair\n  1: 'dining table'\n",
        "other/data.yaml": b"",
    }.items():
        (yolo / name).parent.mkdir(parents=True, exist_ok=True)
        (yolo / name).write_bytes(data)

    def read(path: Path) -> None:
        found = read_dataset(yolo)
        for name in found.classes():
            found.annotations_of(name)

    flow = b"names: [\"chair\", 'dining table', # two\n sofa]\n"
    return {
        "yolo labels": Subject(
            "text", (yolo / "labels/1.txt").read_bytes(), partial(in_file, yolo / "labels/1.txt", read)
        ),
        "yolo names": Subject("text", (yolo / "data.yaml").read_bytes(), partial(in_file, yolo / "data.yaml", read)),
        "yolo flow names": Subject("text", flow, partial(in_file, yolo / "data.yaml", read)),
    }


def in_file(path: Path, read: Callable[[Path], Any], data: bytes) -> None:
    path.write_bytes(data)
    read(path)


def use_recipe(folder: Path, data: bytes) -> None:
    path = folder / "fuzzed.toml"
    path.write_bytes(data)
    try:
        recipe = load_recipe(path, check_files=False)
    finally:
        if b"**" not in data:  # which may mean the whole disk
            load_recipe(path)
    assert loads_recipe(dump_recipe(recipe), folder, "again", check_files=False) == recipe


def use_coco(path: Path) -> None:
    found = read_coco(path)
    for name, count in found.classes().items():
        if count:
            found.boxes(name)
    measure(found, None)


def use_gltf(path: Path) -> None:
    read_inputs(load_recipe(path.with_name("r.toml")))


def use_density(path: Path) -> None:
    found = load_density(path)
    found.score_samples(np.zeros((1, len(found.mean))))


def use_density_head(folder: Path, data: bytes) -> None:
    with np.load(folder / "d.features") as file:
        arrays = {name: file[name] for name in file.files if name != "head"}
    path = folder / "h.features"
    with open(path, "wb") as out:
        np.savez(out, head=data.decode("utf-8", "replace"), **arrays)
    use_density(path)


def use_onnx(path: Path) -> None:
    with contextlib.suppress(ValueError):  # as its docstring says
        node_outputs(path.read_bytes())
    Extractor(path).extract(np.zeros((1, 4, 4, 3), np.uint8))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    return subjects(tmp_path_factory.mktemp("fuzz"))


NAMES = (
    *("recipe", "coco", "predictions", "features", "features head", "parquet", "csv", "onnx", "onnx settings", "gltf"),
    *("png", "jpg", "depth", "yolo labels", "yolo names", "yolo flow names", "job frames", "job recipe.toml"),
    *("job stage.json", "job inputs.json", "job summary.json", "job worker", "job history", "job annotations"),
    *("job annotations_train", "job rich frames", "job rich stage.json", "job rich inputs.json", "job rich gate.json"),
    *("job rich summary.json", "job chosen frames", "job probes"),
)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_file_holds_the_answer_is_a_sentence(made: dict[str, Subject], name: str) -> None:
    assert set(made) == set(NAMES)
    made[name].use(made[name].valid)
    count = examples(3 if name.startswith("job") else 25)
    found = fuzz(made[name], count)
    made[name].use(made[name].valid)  # other parsers read this file, too
    assert not found.problems
    assert found.taken + found.refused >= count

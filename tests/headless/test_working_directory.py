# SPDX-License-Identifier: GPL-3.0-or-later
"""No command writes into the working directory unless it is told to: each runs in an empty one, which stays empty."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from recipes import ONE_SAMPLE, orbit, plugin_table, recipe_text
from twinset.dataset.formats.metadata_table import write_columns
from twinset.headless.cli import app
from typer.testing import CliRunner

pytest.importorskip("bpy")

RECIPE = recipe_text(
    images=2,
    real="real/labels.json",
    placements=[plugin_table("on_surface", surfaces=["Floor*"])],
    cameras=[orbit()],
    render=ONE_SAMPLE,
    size=(96, 72),
)

CALLS = {
    "demo": ("--images", 1, "--samples", 1, "-o", "{out}/demo"),
    "init": ("{rooms}/small.blend", "{real}", "-o", "{out}/recipe.toml"),
    "preview": ("{folder}/recipe.toml", "--frames", "0-1"),
    "tune": (
        *("{folder}/recipe.toml", "--column", "bbox_area", "--vary", "camera.orbit.distance=1:3"),
        *("--configurations", 2, "--probes", 12, "-o", "{out}/tuned.toml"),
    ),
    "align": ("{folder}/recipe.toml", "--real", "{real}", "--until", "split", "-o", "{out}/aligned"),
    "render": ("{folder}/recipe.toml", "-o", "{out}/rendered"),
    "status": ("{folder}/rendered",),
    "verify": ("{folder}/rendered", "--sample", 1),
    "replay": ("{folder}/rendered", 0),
    "finish": ("{folder}/rendered",),
    "compare": ("{real}", "{synth}", "--pixels", "--workers", 1),
    "report": ("{real}", "{synth}", "--no-features", "--workers", 1, "-o", "{out}/report.html"),
    "quality": ("{real}", "{synth}", "--no-features", "--workers", 1),
    "measure": ("{real}", "--workers", 1, "-o", "{out}/table.csv"),
    "infer": ("{real}", "{synth}", "--model", "box", "--column", "depth", "-o", "{out}/inferred.csv"),
    "evaluate": ("{real}", "{folder}/predictions.json", "--synth", "{synth}"),
    "fit": ("{real}", "--class", "chair"),
    "fit-features": ("{real}", "--class", "chair", "-o", "{out}/chair.features"),
    "filter": ("{synth}", "--features", "{folder}/chair.features"),
    "curate": ("{synth}", "--features", "{folder}/chair.features", "--by", "image"),
    "augment": (
        *("{folder}/rendered", "--features", "{folder}/chair.features", "--top", 1),
        *("-o", "{out}/augmented.toml"),
    ),
    "fit-camera": ("{folder}/real/images", "--compare", "{folder}/synth/images"),
    "repaint": ("{folder}/rendered", "-o", "{out}/repainted"),
    "backgrounds": ("{real}", "-o", "{out}/backgrounds"),
    "convert": ("{folder}/rendered", "--to", "voc", "-o", "{out}/voc"),
    "view": ("{folder}/rendered", "--page", "-o", "{out}/page"),
    "split": ("{real}", "-o", "{out}/split"),
    "rating-sheet": ("{real}", "{folder}/inferred.csv", "-o", "{out}/sheet"),
    "score-ratings": ("{folder}/sheet/rated.csv",),
    "plugins": (),
    "plugins show": ("orbit",),
    "plugins reference": ("-o", "{out}/reference"),
    "schema": (),
    "new-plugin": ("glare", "-o", "{out}/glare"),
    "check-plugin": ("camera/orbit",),
    "doctor": (),
    "farm slurm": ("{folder}/recipe.toml", "-o", "{out}/dataset"),
    "farm openjd": ("{folder}/recipe.toml", "-o", "{out}/dataset"),
    "farm flamenco": ("{folder}/recipe.toml", "-o", "{out}/dataset"),
    "farm kubernetes": (
        *("{folder}/recipe.toml", "-o", "{out}/dataset"),
        *("--image", "twinset", "--claim", "data", "--mount", "/"),
    ),
}


def names(group: Any, before: str = "") -> Iterator[str]:
    for part, command in group.commands.items():
        if not getattr(command, "commands", None) or command.invoke_without_command:
            yield f"{before}{part}"
        if getattr(command, "commands", None):
            yield from names(command, f"{before}{part} ")


def dataset(folder: Path, seed: int) -> Path:
    """24 images with a square of noise each; boxes of a seed other than 0 know their depth, 100 over their side."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for k in range(24):
        side = int(rng.integers(20, 60))
        picture = np.full((80, 100, 3), 90, dtype=np.uint8)
        picture[10 : 10 + side, 20 : 20 + side] = rng.integers(0, 255, (side, side, 3))
        cv2.imwrite(str(folder / f"images/{k}.png"), picture)
        images.append({"id": k, "file_name": f"{k}.png", "width": 100, "height": 80})
        box = {"id": k, "image_id": k, "category_id": 1, "bbox": [20, 10, side, side], "area": side**2, "iscrowd": 0}
        annotations.append(box | ({"twinset": {"depth": 100.0 / side}} if seed else {}))
    categories = [{"id": 1, "name": "chair"}]
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def run(*args: object) -> None:
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe, a real and a synthetic dataset, predictions, features, ratings, and a rendered dataset."""
    folder = tmp_path_factory.mktemp("material")
    real = dataset(folder / "real", 0)
    dataset(folder / "synth", 1)
    (folder / "recipe.toml").write_text(RECIPE)
    found = [{"image_id": k, "category_id": 1, "bbox": [20, 10, 30, 30], "score": 0.9} for k in range(24)]
    (folder / "predictions.json").write_text(json.dumps(found))
    run("fit-features", real, "--class", "chair", "-o", folder / "chair.features")
    write_columns(folder / "inferred.csv", {"id": list(range(24)), "depth": [1.0 + k / 10 for k in range(24)]})
    run("rating-sheet", real, folder / "inferred.csv", "-o", folder / "sheet")
    rated = [{**row, "rating_depth": "4"} for row in csv.DictReader((folder / "sheet/ratings.csv").open(newline=""))]
    write_columns(folder / "sheet/rated.csv", {name: [row[name] for row in rated] for name in rated[0]})
    run("render", folder / "recipe.toml", "-o", folder / "rendered")
    return folder


def test_all_commands_are_tried() -> None:
    assert set(CALLS) == set(names(typer.main.get_command(app)))


@pytest.mark.parametrize("name", CALLS)
def test_the_working_directory_stays_empty(
    name: str, folder: Path, rooms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, out = tmp_path / "here", tmp_path / "out"
    here.mkdir(), out.mkdir()
    monkeypatch.chdir(here)
    places = {"folder": folder, "rooms": rooms, "out": out}
    places |= {"real": folder / "real/labels.json", "synth": folder / "synth/labels.json"}
    args = [str(a).format(**places) for a in CALLS[name]]
    done = CliRunner().invoke(app, [*name.split(), *args])
    assert done.exit_code in ((0, 2) if name == "doctor" else (0,)), done.output
    assert list(here.iterdir()) == []
    assert bool(list(out.iterdir())) == any("{out}" in str(a) for a in CALLS[name])


@pytest.mark.parametrize("name", ["compare", "quality", "fit", "evaluate"])
def test_plots_go_where_they_are_asked_for(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"folder": folder, "real": folder / "real/labels.json", "synth": folder / "synth/labels.json"}
    run(name, *(str(a).format(**places) for a in CALLS[name]), "-o", "plots")
    (plot,) = (tmp_path / "plots").iterdir()
    assert plot.read_bytes().startswith(b"\x89PNG") and [p.name for p in tmp_path.iterdir()] == ["plots"]


@pytest.mark.parametrize("name", ["compare", "quality", "fit", "evaluate"])
def test_a_file_is_no_folder_for_plots(name: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("")
    places = {"folder": folder, "real": folder / "real/labels.json", "synth": folder / "synth/labels.json"}
    args = [name, *(str(a).format(**places) for a in CALLS[name]), "-o", str(tmp_path / "r.toml")]
    done = CliRunner().invoke(app, args, env={"COLUMNS": "300"})
    assert done.exit_code == 2 and not done.stdout and "is a file" in done.stderr


@pytest.mark.parametrize(
    "name",
    [
        *("init", "tune", "report", "measure", "fit-features", "augment", "render", "demo"),
        *("repaint", "backgrounds", "split", "rating-sheet"),
    ],
)
def test_what_a_command_is_there_to_write_must_be_named(name: str, folder: Path, tmp_path: Path) -> None:
    args = [str(a) for a in CALLS[name][: CALLS[name].index("-o")]]
    done = CliRunner().invoke(app, [name, *args])
    assert done.exit_code == 2 and "'-o'" in done.stderr and "--out" in done.stderr

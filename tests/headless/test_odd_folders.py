# SPDX-License-Identifier: GPL-3.0-or-later
"""Links in place of files and folders: in a circle they are refused by every command, others are followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text
from stages import stool_stage
from twinset.dataset.jobs.job import Job
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.regular_files import real_path
from twinset.headless.cli import app
from twinset.headless.commands.generate import render
from twinset.testing.fixtures.render_process import file_bytes
from typer.testing import CliRunner

RECIPE = recipe_text(
    images=2,
    placements=[on_floor(1, 1)],
    cameras=[orbit(2.0, 4.0)],
    metrics=["bbox"],
    render={**ONE_SAMPLE, "device": "cpu"},
    size=(32, 24),
    output={"report": False},
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "r.toml").write_text(RECIPE)
    for name in ("loop", "loop.toml", "loop.json", "loop.blend"):
        (tmp_path / name).symlink_to(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(render, "open_stage", stool_stage)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "render r.toml -o loop",
        "render r.toml -o loop/below",
        "render loop.toml -o out",
        "finish loop",
        "status loop",
        "verify loop",
        "measure loop.json -o t.csv",
        "measure loop -o t.csv",
        "compare loop.json loop",
        "report loop loop.json -o r.html",
        "fit loop.json",
        "init loop.blend loop.json -o x.toml",
        "filter loop -o out --where bbox_area>0",
        "split loop -o out",
        "align r.toml --real loop.json -o out",
        "align r.toml --real loop.json -o loop",
    ],
)
def test_a_circle_of_links_is_refused_with_a_sentence(place: Path, words: str) -> None:
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 2, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert sorted(os.listdir(place)) == ["loop", "loop.blend", "loop.json", "loop.toml", "r.toml"]


def to_folder(place: Path) -> Path:
    (place / "target").mkdir()
    return place / "target"


def to_nothing(place: Path) -> Path:
    return place / "made later"


@pytest.mark.parametrize("target", [to_folder, to_nothing])
def test_an_output_folder_may_be_a_link(place: Path, target: Callable[[Path], Path]) -> None:
    leads = target(place)
    (place / "link").symlink_to(leads)
    for out in ("whole", "link"):
        list(Job(load_recipe(place / "r.toml"), place / out, stool_stage).run())
    assert (place / "link").is_symlink() and file_bytes(leads) == file_bytes(place / "whole")


def test_links_are_followed_as_far_as_they_lead(place: Path) -> None:
    (place / "short").symlink_to("r.toml")
    assert real_path(place / "short") == (place / "r.toml").resolve()
    assert real_path(place / "loop") == real_path(place) / "loop"


FOREIGN = ("notes.txt", "images/holiday.jpg", "frames/notes.json", "frames/000001.json.orig", "masks/x/y.png")
FOREIGN += ("annotations/mine.json", "labels/a.txt", ".git/config", "workers/readme")


def test_files_of_others_in_the_output_folder_stay(place: Path) -> None:
    list(Job(load_recipe(place / "r.toml"), place / "whole", stool_stage).run())
    for name in FOREIGN:
        (place / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "out" / name).write_text(f"mine: {name}")
    list(Job(load_recipe(place / "r.toml"), place / "out", stool_stage).run())
    expected = file_bytes(place / "whole") | {name: f"mine: {name}".encode() for name in FOREIGN}
    assert file_bytes(place / "out") == expected
    done = CliRunner().invoke(app, ["finish", "out"])
    assert done.exit_code == 0 and file_bytes(place / "out") == expected


@pytest.mark.parametrize("name", ["frames", "images", "annotations", "workers"])
def test_a_file_in_place_of_a_folder_is_named_and_stays(place: Path, name: str) -> None:
    (place / "out").mkdir()
    (place / "out" / name).write_text("mine")
    done = CliRunner().invoke(app, ["render", "r.toml", "-o", "out"])
    said = " ".join(done.output.split())
    assert (place / "out" / name).read_text() == "mine" and "Traceback" not in said
    if name == "workers":  # only status reads it
        assert done.exit_code == 0
    else:
        assert done.exit_code == 2 and f"/{name}' cannot be created because a file has its name" in said

# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file of an output folder is checked: damage is named, and repaired where the file follows from others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text
from stages import stool_stage
from twinset.dataset import checksums
from twinset.dataset.checksums import append_checksum, append_text_checksum, remove_checksum, remove_text_checksum
from twinset.dataset.formats.dataset_folder import read_dataset
from twinset.dataset.jobs.job import Job, open_job
from twinset.engine.errors import StageError
from twinset.engine.recipe.reading import load_recipe, loads_recipe
from twinset.headless import cli
from twinset.testing.fixtures.render_process import file_bytes
from typer.testing import CliRunner

RECIPE = recipe_text(
    seed=2,
    images=4,
    placements=[on_floor(1, 3)],
    cameras=[orbit(2.0, 4.0)],
    metrics=["bbox"],
    render={**ONE_SAMPLE, "block_size": 2, "device": "cpu"},
    size=(64, 48),
    output={"format": "png", "masks": True, "depth": "png", "yolo": True},
    real="real.json",
)

FRAMES = ("frames/", "images/", "masks/", "depth/")
"""Folders whose files have their checksums in the records."""

NOT_DERIVED = ("recipe.toml", "inputs.json", "stage.json")
"""Files that do not follow from the records."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checksums")
    (folder / "images").mkdir()
    images = [{"id": k, "file_name": f"{k}.png", "width": 64, "height": 48} for k in (1, 2)]
    for image in images:
        Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(folder / "images" / image["file_name"])
    boxes = [{"id": k, "image_id": k, "category_id": 1, "bbox": [8, 8, 16, 16], "area": 256} for k in (1, 2)]
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "chair"}]}
    (folder / "real.json").write_text(json.dumps(coco))
    (folder / "r.toml").write_text(RECIPE)
    list(Job(load_recipe(folder / "r.toml"), folder / "whole", stool_stage).run())
    return folder


@pytest.fixture
def out(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dataset at its own place."""
    monkeypatch.setattr(checksums, "_said", set())
    shutil.rmtree(place / "out", ignore_errors=True)
    shutil.copytree(place / "whole", place / "out")
    return place / "out"


def damage(path: Path, how: str) -> None:
    if how == "removed":
        path.unlink()
        return
    data = bytearray(path.read_bytes())
    at = len(data) // 2 if len(data) else 0
    if not data:
        path.write_bytes(b"x")
        return
    data[at] ^= 1
    path.write_bytes(bytes(data))


def named(out: Path) -> set[str]:
    """The files that `verify` names; of frames their records."""
    job = open_job(out, stool_stage)
    damaged = {f"frames/{frame:06d}.json" for *_, frame, state in job.checksums() if state == "damaged"}
    return damaged | {name for name, _ in job.changed_files()}


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_any_file_that_is_damaged_is_named(out: Path, how: str) -> None:
    files = sorted(file_bytes(out))
    assert {"checksums.json", "report.html", "labels/000002.txt", "real/images/000001.png"} <= set(files)
    assert named(out) == set()
    for name in files:
        if name == "recipe.toml":
            continue  # without it, the folder is none of a job; see below
        kept = (out / name).read_bytes()
        damage(out / name, how)
        of_frame = f"frames/{Path(name).stem}.json" if name.startswith(FRAMES) else name
        found = named(out)
        # A record that is gone is a frame that was not rendered.
        assert found == ({of_frame} if how == "changed" or not name.startswith("frames/") else set()), name
        (out / name).write_bytes(kept)


def test_finish_repairs_what_follows_from_the_records(out: Path, place: Path) -> None:
    whole = file_bytes(place / "whole")
    derived = [name for name in whole if not name.startswith(FRAMES) and name not in NOT_DERIVED]
    for how in ("changed", "removed"):
        for name in derived:
            damage(out / name, how)
        open_job(out, stool_stage).finish()
        assert file_bytes(out) == whole


@pytest.mark.parametrize("how", ["changed", "removed"])
@pytest.mark.parametrize("name", ["stage.json", "inputs.json"])
def test_finish_names_what_it_cannot_repair_and_render_repairs_it(
    out: Path, place: Path, name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = file_bytes(place / "whole")
    damage(out / name, how)
    left = (out / name).read_bytes() if how == "changed" else None
    open_job(out, stool_stage).finish()
    assert f"{name}' is missing" in caplog.text or f"{name}' was changed" in caplog.text or "is damaged" in caplog.text
    assert {k: v for k, v in file_bytes(out).items() if k not in (name, "checksums.json")} == {
        k: v for k, v in whole.items() if k not in (name, "checksums.json")
    }
    assert ((out / name).read_bytes() if left is not None else None) == left and named(out) == {name}
    list(Job(load_recipe(place / "r.toml"), out, stool_stage).run())
    assert file_bytes(out) == whole


def test_a_changed_recipe_is_named(out: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = out / "recipe.toml"
    text = path.read_text()
    path.write_text(text.replace("max_attempts = ", "max_attempts = 1"))
    assert named(out) == {"recipe.toml"} and "recipe.toml' was changed after it was written" in caplog.text
    path.write_text(text.rstrip("\n")[:-1] + "\n")  # the checksum itself
    assert named(out) == {"recipe.toml"}


def test_the_command_fails_for_a_changed_file(out: Path) -> None:
    damage(out / "labels/000001.txt", "changed")
    done = CliRunner().invoke(cli.app, ["verify", str(out), "--sample", "0", "--json"])
    assert done.exit_code == 3 and list(json.loads(done.stdout)["changed"]) == ["labels/000001.txt"]
    done = CliRunner().invoke(cli.app, ["verify", str(out), "--sample", "0"])
    assert "labels/000001.txt' was changed after it was written" in " ".join(done.stdout.split())
    assert "intact" not in done.stdout


def test_folders_of_earlier_releases_are_checked_as_far_as_they_can(out: Path) -> None:
    (out / "checksums.json").unlink()
    path = out / "recipe.toml"
    path.write_text(remove_text_checksum(path.read_text()))
    stage = json.loads((out / "stage.json").read_text())
    del stage["sha256"]
    (out / "stage.json").write_text(json.dumps(stage))
    assert named(out) == set()
    damage(out / "images/000001.png", "changed")
    assert named(out) == {"frames/000001.json"}


def test_readers_of_changed_annotations_are_warned(out: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = out / "annotations/instances.json"
    read_dataset(out)
    assert caplog.text == ""
    path.write_text(path.read_text().replace('"iscrowd":0', '"iscrowd":1', 1))
    read_dataset(out)
    assert f"'{path}' was changed after it was written" in caplog.text and f"twinset finish {out}" in caplog.text


@pytest.mark.parametrize("value", [{}, {"a": 1}, {"sha256x": '"sha256":'}])
def test_checksums_of_objects(value: dict[str, Any]) -> None:
    data = append_checksum(json.dumps(value).encode() + b"\n")
    back = json.loads(data)
    assert remove_checksum(data, back) and back == value
    assert not remove_checksum(data.replace(b"{", b"{ ", 1), json.loads(data))


def test_a_job_without_input_files_is_intact(tmp_path: Path) -> None:
    recipe = loads_recipe(recipe_text(images=1, placements=[on_floor()], cameras=[orbit(2.0, 4.0)]), tmp_path, "r.toml")
    list(Job(recipe, tmp_path / "out", stool_stage).run())
    assert not (tmp_path / "out/inputs.json").exists() and named(tmp_path / "out") == set()


def test_checksums_of_texts() -> None:
    assert remove_text_checksum(append_text_checksum("a = 1\nb = 2")) == "a = 1\nb = 2\n"


def test_a_share_that_cannot_start_leaves_the_work_of_another(place: Path) -> None:
    """The other share makes the folder and renders while this one opens its scene, which fails."""
    recipe, out = load_recipe(place / "r.toml"), place / "shared"

    def late(recipe: Any) -> Any:
        list(Job(recipe, out, stool_stage).run(range(2)))
        raise StageError("The scene is broken.")

    with pytest.raises(StageError, match="broken"):
        list(Job(recipe, out, late).run(range(2, 4)))
    assert sorted(p.name for p in (out / "frames").iterdir()) == ["000000.json", "000001.json"]
    list(Job(recipe, out, stool_stage).run())
    whole = file_bytes(place / "whole")
    assert file_bytes(out) == whole


def test_a_job_that_cannot_start_leaves_nothing(place: Path) -> None:
    def broken(recipe: Any) -> Any:
        assert not (place / "nothing").exists()
        raise StageError("The scene is broken.")

    with pytest.raises(StageError, match="broken"):
        list(Job(load_recipe(place / "r.toml"), place / "nothing", broken).run())
    assert not (place / "nothing").exists() and not list(place.glob(".twinset*"))

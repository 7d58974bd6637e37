# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering from Python with real Blender: the bytes of the command, frame by frame, resumable."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import twinset as ts
from recipes import FOR_WORKERS
from twinset.engine.events import Event, Finished, FrameDone

IMAGES = 4


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("bpy")
    path = tmp_path_factory.mktemp("recipe") / "r.toml"
    path.write_text(FOR_WORKERS)
    return path


@pytest.fixture(scope="module")
def by_command(recipe: Path) -> Path:
    """The dataset that the command renders of the recipe."""
    out = recipe.parent / "command"
    command = [sys.executable, "-m", "twinset.headless", "render", recipe, "-o", out, "--images", str(IMAGES)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return out


def same_images(one: Path, other: Path) -> bool:
    names = sorted(os.listdir(one / "images"))
    assert names == sorted(os.listdir(other / "images")) and names
    return not any(filecmp.cmpfiles(one / "images", other / "images", names, shallow=False)[1:])


def test_render_gives_the_bytes_of_the_command(recipe: Path, by_command: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    dataset = ts.render(str(recipe), tmp_path / "out", images=IMAGES, progress=events.append)
    assert len(dataset) == IMAGES and dataset.classes["chair"] == len(dataset.annotations) > 0
    assert same_images(by_command, tmp_path / "out")
    assert sum(isinstance(e, FrameDone) for e in events) == IMAGES and isinstance(events[-1], Finished)


def test_frames_come_one_by_one_and_a_loop_left_early_goes_on_later(
    recipe: Path, by_command: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    loaded = ts.load_recipe(recipe, {"images": IMAGES})
    first = next(iter(ts.iter_frames(loaded, out)))
    assert first.index == 0 and first.read_image().shape == (48, 64, 3)
    assert len(os.listdir(out / "images")) < IMAGES and not (out / "annotations" / "instances.json").exists()
    frames = list(ts.iter_frames(loaded, out))
    assert [frame.index for frame in frames] == list(range(IMAGES))
    assert same_images(by_command, out)
    dataset = ts.load_dataset(out)
    for frame in frames:
        entry = next(i for i in dataset.images if i["file_name"] == frame.record["image"]["file_name"])
        boxes = [a["bbox"] for a in dataset.annotations if a["image_id"] == entry["id"]]
        np.testing.assert_allclose([i["bbox"] for i in frame.record["instances"] if i.get("annotated", True)], boxes)


def test_several_processes_give_the_same(recipe: Path, by_command: Path, tmp_path: Path) -> None:
    dataset = ts.render(recipe, tmp_path / "out", images=IMAGES, workers=2)
    assert len(dataset) == IMAGES and same_images(by_command, tmp_path / "out")


def test_a_callback_that_raises_stops_the_job(recipe: Path, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def stop(event: Event) -> None:
        if isinstance(event, FrameDone):
            raise EnoughError

    with pytest.raises(EnoughError):
        ts.render(recipe, tmp_path / "out", images=IMAGES, progress=stop)
    assert 1 <= len(os.listdir(tmp_path / "out" / "images")) < IMAGES

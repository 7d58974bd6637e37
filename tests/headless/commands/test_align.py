# SPDX-License-Identifier: GPL-3.0-or-later
"""``twinset align`` in the built-in hall: killed and continued to the same bytes; its messages and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from recipes import ONE_SAMPLE, on_floor, plugin_table, recipe_text
from twinset.headless.cli import app
from twinset.testing.fixtures.render_process import PATIENCE
from typer.testing import CliRunner

SIZE = (64, 48)
SKIPPED = ("infer", "features", "report")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a recipe for the hall and real photos, each with one box of a chair."""
    (tmp_path / "images").mkdir()
    (width, height), images, annotations = SIZE, [], []
    for k in range(36):
        rng = np.random.default_rng(k)
        w, h = rng.uniform(18, 34), rng.uniform(18, 34)
        picture = cv2.resize(rng.uniform(40, 200, (5, 6, 3)), SIZE, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / "images" / f"{k:06d}.png"), np.clip(picture, 0, 255).astype(np.uint8))
        images.append({"id": k, "file_name": f"{k:06d}.png", "width": width, "height": height})
        box = [rng.uniform(0, width - w), rng.uniform(0, height - h), w, h]
        annotations.append({"id": k, "image_id": k, "category_id": 1, "bbox": box, "area": w * h})
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "chair"}]}
    (tmp_path / "real.json").write_text(json.dumps(data))
    text = recipe_text(
        placements=[on_floor(1, 1)],
        cameras=[plugin_table("framed", area=[0.1, 0.3], candidates=16)],
        render=ONE_SAMPLE,
        images=4,
        size=SIZE,
    )
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    return tmp_path


def arguments(place: Path, *more: str) -> list[str]:
    words = ["align", place / "recipe.toml", "--real", place / "real.json", "-o", place / "out", "--trial-images", 4]
    return [*map(str, words), *more]


def skipping() -> list[str]:
    return [word for name in SKIPPED for word in ("--skip", name)]


def invoke(words: list[str]) -> Any:
    return CliRunner().invoke(app, words)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_killed_and_continued_in_the_hall_it_makes_the_same_bytes(place: Path) -> None:
    pytest.importorskip("bpy")
    command = [sys.executable, "-m", "twinset.headless", *arguments(place, *skipping())]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        begun = place / "out" / "trials" / "areas" / "frames"
        end = time.monotonic() + PATIENCE
        while not (begun.is_dir() and any(begun.glob("*.json"))):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    state = json.loads((place / "out" / "align.json").read_text())["steps"]
    assert state["baseline"]["done"] and not state["areas"]["done"] and "camera" not in state
    done = invoke(["--json", *arguments(place, *skipping())])
    assert done.exit_code == 0, done.output
    states = {step["step"]: step["state"] for step in json.loads(done.stdout)["steps"]}
    assert states["split"] == states["baseline"] == "kept" and states["areas"] == states["dataset"] == "done"
    continued = files(place / "out")
    (place / "out").rename(place / "first")
    assert invoke(arguments(place, *skipping())).exit_code == 0
    at_once = files(place / "out")
    assert at_once.keys() == continued.keys()
    assert [name for name in at_once if at_once[name] != continued[name]] == []
    # The recipe that it leaves is one to render from.
    done = invoke(["render", str(place / "out" / "recipe.toml"), "-o", str(place / "more"), "--images", "1"])
    assert done.exit_code == 0 and (place / "more" / "images" / "000000.jpg").is_file()


def test_bad_input_is_a_sentence_and_exit_code_2(place: Path) -> None:
    done = invoke([*arguments(place), "--until", "photos"])
    assert done.exit_code == 2 and "--until must be a step: split, baseline" in done.stderr
    done = invoke([*arguments(place)[:2], "-o", str(place / "out")])
    assert done.exit_code == 2 and "name the annotations of your photos with --real" in done.stderr
    (place / "real.json").write_text((place / "real.json").read_text().replace('"chair"', '"sofa"'))
    done = invoke(arguments(place))
    assert done.exit_code == 2 and "No class of the recipe (chair) has boxes" in done.stderr
    assert not (place / "out").exists()


def test_all_steps_are_named_in_the_help() -> None:
    from twinset.dataset.aligning.steps import STEPS
    from twinset.headless.commands.generate.align import STEP_NAMES

    assert ", ".join(step.name for step in STEPS) == STEP_NAMES

# SPDX-License-Identifier: GPL-3.0-or-later
"""Output folders that an earlier release began: this one resumes them, and refuses those of another recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipes import on_floor, orbit, recipe_text
from stages import stool_stage
from twinset import __version__
from twinset.dataset.jobs.job import Job
from twinset.engine.errors import OutputError
from twinset.engine.events import FrameDone
from twinset.engine.recipe.reading import load_recipe

RECIPE = recipe_text(
    seed=2,
    images=4,
    classes=[{"name": "chair", "models": ["stool.glb"]}],
    placements=[on_floor(1, 3)],
    appearances=["lights"],
    cameras=[orbit(2.0, 4.0)],
    metrics=["bbox"],
    render={"block_size": 3},
    size=(64, 48),
    output={"format": "png"},
)


def write_as_0_1(path: Path) -> None:
    """Rewrite a resolved recipe in the spelling of version 0.1."""
    text = path.read_text()
    assert f"Twinset {__version__}." in text and "\nblock_size = 3\n" in text and "\nmin_visible_share = " in text
    text = text.replace(f"Twinset {__version__}.", "Twinset 0.1.0.").replace("\nblock_size = 3\n", "\nblock = 3\n")
    before, camera, after = text.partition("[[camera]]")
    path.write_text(before + camera + after.replace("min_visible_share = ", "seen = ", 1))


@pytest.fixture
def begun(tmp_path: Path) -> Job:
    """A job of four frames, of which one is missing, as version 0.1 left it."""
    (tmp_path / "r.toml").write_text(RECIPE)
    (tmp_path / "stool.glb").write_bytes(b"")
    job = Job(load_recipe(tmp_path / "r.toml"), tmp_path / "out", stool_stage)
    list(job.run())
    (job.out / "frames" / "000002.json").unlink()
    write_as_0_1(job.out / "recipe.toml")
    return job


def rendered(job: Job) -> list[int]:
    return [event.frame for event in job.run() if isinstance(event, FrameDone) and not event.resumed]


def test_a_folder_in_the_old_spelling_is_resumed(begun: Job) -> None:
    again = Job(load_recipe(begun.out / "recipe.toml"), begun.out, stool_stage)
    assert rendered(again) == [2]
    text = (begun.out / "recipe.toml").read_text()
    assert "block_size = 3" in text and "block = 3" not in text and "seen = " not in text
    assert rendered(begun) == []


@pytest.mark.parametrize(
    ("old", "new"), [("seed = 2", "seed = 3"), ("seen = ", "seen = 0.1 #"), ("Twinset 0.1.0", "Twinset 0.0.9")]
)
def test_another_recipe_or_version_is_refused(begun: Job, old: str, new: str) -> None:
    path = begun.out / "recipe.toml"
    assert old in path.read_text()
    path.write_text(changed := path.read_text().replace(old, new, 1))
    with pytest.raises(OutputError, match="another recipe, seed or version"):
        list(begun.run())
    assert path.read_text() == changed

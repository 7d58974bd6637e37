# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes that would take all time or memory are refused with a sentence, before they do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from recipes import recipe_text
from twinset.engine.errors import DataError, RecipeError
from twinset.engine.plugin.params import describe
from twinset.engine.plugin.registry import default
from twinset.engine.recipe import paths
from twinset.engine.recipe.paths import matching_files
from twinset.engine.recipe.reading import load_recipe, loads_recipe

THRESHOLDS = {"min_real_boxes", "min_samples", "min_box_side", "pixels", "attempts_per_layout"}
"""Whole numbers that only decide; large ones cost nothing."""


def test_numbers_that_cost_time_have_a_limit() -> None:
    unlimited = [
        f"{kind} {id}: {p.name}"
        for kind in ("placement", "appearance", "camera", "target", "metric", "filter", "effect")
        for id in default().ids(kind)
        if default().is_builtin(default().find(kind, id))
        for p in describe(default().find(kind, id))
        if "int" in str(p.type) and p.max is None and p.name not in THRESHOLDS
    ]
    assert unlimited == []


@pytest.mark.parametrize("separator", [".", " . ", ".\t"])
@pytest.mark.parametrize("part", ["a", '"a b"', "'a'"])
@pytest.mark.parametrize("line", ["{} = 1", "[{}]", "[[{}]]", "x = {{ {} = 1 }}"])
def test_keys_of_many_parts_are_not_parsed(separator: str, part: str, line: str) -> None:
    text = recipe_text() + "\n" + line.format(separator.join([part] * 20_000))
    with pytest.raises(RecipeError, match="more than 32 parts"):
        loads_recipe(text, Path(), "r.toml")


def test_long_words_and_texts_are_no_keys() -> None:
    """In time that grows with the length alone, and without a complaint about dots in texts."""
    word = "a" * 300_000
    loads_recipe(recipe_text() + f"\n# {word} {'../' * 100} {'1.5 ' * 100}\n", Path(), "r.toml", check_files=False)


def test_patterns_that_lead_through_the_whole_disk_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MAX_LOOKED_AT", 50)
    for folder in range(9):
        (tmp_path / f"models/{folder}").mkdir(parents=True)
        for name in range(9):
            (tmp_path / f"models/{folder}/{name}.glb").touch()
    assert len(matching_files(tmp_path, "models/*/*.glb".replace("*", "1", 1))) == 9
    assert len(matching_files(tmp_path, "models/[12]")) == 2  # looks at 9 folders and not into them
    for pattern in ("**/*.glb", "models/*/*.glb"):
        with pytest.raises(DataError, match="leads through more than 50 files and folders"):
            matching_files(tmp_path, pattern)
    (tmp_path / "models/1/loop").symlink_to(tmp_path)
    with pytest.raises(DataError, match="leads through"):
        matching_files(tmp_path, "models/1/**/x.glb")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_recipes_are_regular_files_of_bounded_size(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "r.toml").write_text('extends = "pipe.toml"\n')
    with pytest.raises(RecipeError, match="not a regular file"):
        load_recipe(tmp_path / "pipe.toml")
    with pytest.raises(RecipeError, match="not a regular file"):
        load_recipe(tmp_path / "r.toml")
    with open(tmp_path / "large.toml", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(RecipeError, match="more than 16,777,216 bytes"):
        load_recipe(tmp_path / "large.toml")

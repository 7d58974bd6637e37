# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of recipes that begin with ``~``, whose users exist or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipes import recipe_text
from twinset.engine.errors import RecipeError
from twinset.engine.plugin.trusted_folders import is_trusted
from twinset.engine.recipe.paths import absolute_path, matching_files
from twinset.engine.recipe.reading import loads_recipe


def test_a_home_that_nobody_has_is_a_file_name(tmp_path):
    assert absolute_path(tmp_path, "~nobody0/a.json") == tmp_path.resolve() / "~nobody0" / "a.json"
    assert matching_files(tmp_path, "~nobody0/*.glb") == []
    (tmp_path / "~nobody0").mkdir()
    (tmp_path / "~nobody0" / "a.json").write_text("{}")
    assert matching_files(tmp_path, "~nobody0/*.json") == [tmp_path.resolve() / "~nobody0" / "a.json"]


def test_the_own_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert absolute_path(Path("/elsewhere"), "~/a.json") == tmp_path.resolve() / "a.json"


def test_a_plugin_folder_in_a_home_that_nobody_has_is_not_trusted():
    assert not is_trusted(Path("~nobody0/plugins"))


def test_a_recipe_says_which_file_is_missing(tmp_path):
    with pytest.raises(RecipeError, match=r"\[real\] annotations.*~nobody0/real\.json does not exist"):
        loads_recipe(recipe_text(real="~nobody0/real.json"), tmp_path, "test")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugin code runs only from folders that the user named, whatever a recipe says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from recipes import recipe_text
from twinset.engine.errors import RecipeError
from twinset.engine.plugin.trusted_folders import VARIABLE, is_trusted, trust, trusted
from twinset.engine.recipe.reading import load_recipe
from twinset.headless import cli
from twinset.headless.farm.plan import Plan
from typer.testing import CliRunner

PLUGIN = """
from pathlib import Path

from ...engine.plugin import plugin

Path({mark!r}).touch()


@plugin("appearance")
class Marks:
    \"\"\"Leaves a mark when its file runs.\"\"\"

    def vary(self, stage, rng):
        pass
"""
RECIPE = recipe_text(images=4, plugin_folders=["code"], appearances=["marks"])


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe from somebody else, with code beside it."""
    monkeypatch.setenv(VARIABLE, "")  # and puts back what was there
    (tmp_path / "code").mkdir()
    (tmp_path / "code/marks.py").write_text(PLUGIN.format(mark=str(tmp_path / "ran")))
    (tmp_path / "r.toml").write_text(RECIPE)
    return tmp_path


def test_a_recipe_alone_runs_no_code_in_any_command(strange: Path) -> None:
    out = strange / "out"
    out.mkdir()
    (out / "recipe.toml").write_text(RECIPE.replace("code", str(strange / "code")))
    recipe = str(strange / "r.toml")
    for command in (
        ["render", recipe, "-o", str(out)],
        ["render", recipe, "-o", str(out), "--workers", "2"],
        ["preview", recipe],
        ["farm", "slurm", recipe, "-o", str(out)],
        ["status", str(out)],
        ["finish", str(out)],
        ["verify", str(out)],
        ["replay", str(out), "0"],
    ):
        done = CliRunner().invoke(cli.app, [*command, "--json"])
        assert done.exit_code == 2, (command, done.output)
        (said,) = json.loads(done.stdout.splitlines()[-1])["error"]
        assert f"--plugins {(strange / 'code').resolve()}" in said and VARIABLE in said
    assert not (strange / "ran").exists()


@pytest.mark.parametrize("place", ["before", "behind", "equals", "variable"])
def test_the_user_allows_a_folder_and_what_is_below_it(
    strange: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["farm", "openjd", str(strange / "r.toml"), "-o", str(strange / "out")]
    allowed = ["--plugins", str(strange)]
    if place == "variable":
        monkeypatch.setenv(VARIABLE, os.pathsep.join(["/nowhere", str(strange / "code")]))
        line = command
    elif place == "equals":
        line = [*command, f"--plugins={strange}"]
    else:
        line = [*allowed, *command] if place == "before" else [*command, *allowed]
    before = os.environ.get(VARIABLE)
    done = CliRunner().invoke(cli.app, line)
    assert done.exit_code == 0, done.output
    assert (strange / "ran").exists() and os.environ.get(VARIABLE) == before
    # Nodes of a farm are told as well.
    steps = json.loads((strange / "out_openjd/template.json").read_text())["steps"]
    folder = str((strange / "code").resolve())
    assert f"--plugins {folder} render" in steps[0]["script"]["embeddedFiles"][0]["data"]
    assert steps[1]["script"]["actions"]["onRun"]["args"][:2] == ["--plugins", folder]


def test_only_that_folder_counts_not_one_of_a_similar_name_nor_a_link(strange: Path) -> None:
    (strange / "own").mkdir()
    (strange / "owner").mkdir()
    (strange / "link").symlink_to(strange / "own")
    assert not is_trusted(strange / "own")
    os.environ[VARIABLE] = str(strange / "own")
    assert is_trusted(strange / "own") and is_trusted(strange / "link") and is_trusted(strange / "own/deep")
    assert not is_trusted(strange / "owner") and not is_trusted(strange) and not is_trusted(strange / "own/../code")
    (strange / "own/out").symlink_to(strange / "code")
    assert not is_trusted(strange / "own/out")
    trust([strange / "own", strange / "code"])
    assert trusted() == [strange / "own", strange / "code"] and load_recipe(strange / "r.toml").images == 4


def test_a_folder_that_is_not_there_is_no_question_of_trust(strange: Path) -> None:
    (strange / "r.toml").write_text(RECIPE.replace("code", "nowhere"))
    with pytest.raises(RecipeError, match=r"The plugin folder .* nowhere|plugin_folders .*nowhere"):
        load_recipe(strange / "r.toml")


def test_plans_name_folders_before_the_command() -> None:
    plan = Plan(Path("/r.toml"), Path("/out"), 4, 2, 1, "tw inset", ("/a b", "/c"))
    assert plan.finish() == ["tw", "inset", "--plugins", "/a b", "--plugins", "/c", "finish", "/out"]

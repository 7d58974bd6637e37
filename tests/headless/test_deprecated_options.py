# SPDX-License-Identifier: GPL-3.0-or-later
"""Old spellings of the command line still work for a release: they do the same, and say so in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from twinset.headless.cli import app
from twinset.headless.console.deprecated_options import MADE_ARGUMENTS, RENAMED, replace_deprecated
from typer.testing import CliRunner

ROOT: Any = typer.main.get_command(app)


def command_of(name: str) -> tuple[Any, Any]:
    """A command and a context in which its arguments are parsed."""
    command, context = ROOT, ROOT.make_context("twinset", ["doctor"], resilient_parsing=True)
    for part in name.split():
        command = command.commands[part]
        context = type(context)(command, info_name=part, parent=context)
    return command, context


@pytest.mark.parametrize("name", sorted({name for _, _, where in RENAMED for name in where}))
def test_each_old_name_leads_to_an_option_that_there_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, context = command_of(name)
    own = {option for parameter in command.params for option in parameter.opts}
    for old, new, where in RENAMED:
        if name not in where:
            continue
        assert new in own and old not in own, (old, new)
        assert replace_deprecated(context, [old, "x", f"{old}=y", "--", old]) == [new, "x", f"{new}=y", "--", old]
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) == 1 and f"{old} of `twinset {name}` is now {new}" in said[0]
    assert replace_deprecated(context, ["--json", "a"]) == ["--json", "a"]
    assert capsys.readouterr().err == ""


def coco(path: Path) -> Path:
    images = [{"id": k, "file_name": f"{k}.png", "width": 100, "height": 100} for k in range(30)]
    annotations = [
        {"id": k, "image_id": k, "category_id": 1, "bbox": [1.0, 2.0, 10.0 + k, 20.0 + k], "area": 9.0, "iscrowd": 0}
        for k in range(30)
    ]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "chair"}]})
    )
    return path


def run(*args: object) -> tuple[str, str]:
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_old_options_do_what_the_new_ones_do(tmp_path: Path) -> None:
    real = coco(tmp_path / "real.json")
    old = run("fit", real, "--class", "chair", "--plots", tmp_path / "old", "--json")
    new = run("fit", real, "--class", "chair", "-o", tmp_path / "new", "--json")
    assert old[1].splitlines() == ["Deprecated: --plots of `twinset fit` is now --out, and goes in version 0.3."]
    assert new[1] == "" and json.loads(old[0].replace("/old/", "/new/")) == json.loads(new[0])
    assert (tmp_path / "old/fit_chair.png").read_bytes() == (tmp_path / "new/fit_chair.png").read_bytes()
    run("measure", real, "--no-pixels", f"--output={tmp_path / 'old.csv'}")
    run("measure", real, "--no-pixels", "--out", tmp_path / "new.csv")
    assert (tmp_path / "old.csv").read_bytes() == (tmp_path / "new.csv").read_bytes()


def test_options_that_have_become_arguments(tmp_path: Path) -> None:
    real, predictions = coco(tmp_path / "real.json"), tmp_path / "dets.json"
    predictions.write_text("[]")
    new, quiet = run("evaluate", real, predictions, "--json")
    for args in (
        ["--predictions", predictions, "--real", real, "--json"],
        ["--json", f"--real={real}", f"--predictions={predictions}"],
    ):
        old, said = run("evaluate", *args)
        assert old == new and len(said.splitlines()) == len(MADE_ARGUMENTS["evaluate"])
        assert "--real of `twinset evaluate` is now the argument REAL" in said
    assert quiet == ""
    done = CliRunner().invoke(app, ["evaluate", "--predictions", str(predictions)])
    assert done.exit_code == 2 and "PREDICTIONS" in done.stderr


def test_the_argument_that_has_become_an_option(tmp_path: Path) -> None:
    said = run("plugins", "reference", tmp_path / "old")[1]
    assert said.splitlines()[0].startswith("Deprecated: the argument of `twinset plugins reference` is now --out")
    assert run("plugins", "reference", "-o", tmp_path / "new")[1] == ""
    assert sorted(p.name for p in (tmp_path / "old").iterdir()) == sorted(p.name for p in (tmp_path / "new").iterdir())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages written by `twinset new-plugin` pass their own tests at once; `twinset check-plugin` says what fails."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from twinset.engine.errors import OutputError, PluginError
from twinset.engine.plugin import CONTRACT, KINDS
from twinset.headless.commands.extend.scaffold import write_package
from twinset.testing import check_plugin
from typer.testing import CliRunner


def run(*arguments: str) -> tuple[int, dict]:
    from twinset.headless.cli import app

    done = CliRunner().invoke(app, [*arguments, "--json"])
    return done.exit_code, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_own_tests(tmp_path: Path, kind: str) -> None:
    id, folder = write_package(f"First-{kind} of mine", kind, tmp_path / kind, "MIT")
    assert id == f"first_{kind}_of_mine"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT"
    ((name, target),) = project["entry-points"]["twinset.plugins"].items()
    module, _, cls = target.partition(":")
    source = folder / "src" / (module.replace(".", "/") + ".py")
    # Else a later Twinset would take it for one of its own contract.
    assert f'@plugin("{kind}", contract={CONTRACT})' in source.read_text()
    assert name == id and cls in {n.name for n in ast.parse(source.read_text()).body if isinstance(n, ast.ClassDef)}
    assert not [p for p in folder.rglob("*") if p.is_file() and re.search(r"@[A-Z]+@", p.read_text())]
    twinset = os.environ.get("PYTHONPATH", "")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in ("src", twinset) if p)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout


def test_the_command_writes_a_package_and_checks_it(tmp_path: Path) -> None:
    code, made = run("new-plugin", "glow", "--kind", "filter", "-o", str(tmp_path / "glow"))
    assert code == 0 and made["id"] == "glow"
    assert {"README.md", "pyproject.toml", ".github/workflows/test.yml", "tests/test_glow.py"} <= set(made["files"])
    code, told = run("check-plugin", str(tmp_path / "glow"))
    assert code == 0 and told["passed"] and [p["plugin"] for p in told["plugins"]] == ["filter 'glow'"]
    file = tmp_path / "glow/src/twinset_glow/glow.py"
    text = file.read_text().replace("float(shot.image.mean())", "float(np.random.random())")
    file.write_text(
        text.replace("from twinset.engine.plugin import", "import numpy as np\nfrom twinset.engine.plugin import")
    )
    code, told = run("check-plugin", str(file))
    assert code == 1 and not told["passed"]
    failed = {c["check"]: c["problem"] for c in told["plugins"][0]["checks"] if c["problem"]}
    assert {"repeatable", "global_random"} <= set(failed) <= {"repeatable", "global_random", "order"}
    code, told = run("check-plugin", str(tmp_path / "nothing.py"))
    assert code == 2 and "does not exist" in told["error"][0]


def test_values_come_from_the_command_line() -> None:
    code, told = run("check-plugin", "metric/depth", "--set", "statistic=mean")
    assert code == 0
    code, told = run("check-plugin", "depth", "--set", "statistic=mode")
    (problem,) = [c["problem"] for c in told["plugins"][0]["checks"] if c["problem"]]
    assert code == 1 and "must be one of 'median', 'mean', 'min'. Got 'mode'" in problem
    code, told = run("check-plugin", "depth", "--set", "statistic")
    assert code == 2 and "must be NAME=VALUE" in told["error"][0]


def test_names_that_cannot_be(tmp_path: Path) -> None:
    for name in ("2fast", "class", "!"):
        with pytest.raises(PluginError, match="not a valid plugin name"):
            write_package(name, "metric", tmp_path / "x", "MIT")
    with pytest.raises(PluginError, match="A metric plugin 'depth' already exists"):
        write_package("twinset-depth", "metric", tmp_path / "x", "MIT")
    with pytest.raises(PluginError, match="not a kind of plugin"):
        write_package("glare", "lens", tmp_path / "x", "MIT")
    with pytest.raises(PluginError, match="no template for the licence"):
        write_package("glare", "metric", tmp_path / "x", "WTFPL")
    assert not (tmp_path / "x").exists()
    with pytest.raises(OutputError, match="already exists"):
        write_package("glare", "metric", tmp_path, "MIT")


def test_a_name_that_the_template_uses_gets_another_class(tmp_path: Path) -> None:
    _, folder = write_package("verdict", "filter", tmp_path / "x", "MIT")
    assert "class VerdictFilter:" in (folder / "src/twinset_verdict/verdict.py").read_text()
    assert all(f.passed for f in check_plugin(folder))

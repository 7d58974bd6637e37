# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflows, issue forms, citation and hooks follow their schemas, and call what there is; all without a network."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
FORMS = [("github-issue-forms", path) for path in sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))]
CHECKED = [
    *(("github-workflows", path) for path in sorted((GITHUB / "workflows").glob("*.yml"))),
    *((schema, path) for schema, path in FORMS if path.name != "config.yml"),
    ("github-issue-config", GITHUB / "ISSUE_TEMPLATE" / "config.yml"),
    ("citation-file-format", ROOT / "CITATION.cff"),
]


def check(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(("schema", "path"), CHECKED, ids=lambda value: getattr(value, "name", value))
def test_files_follow_their_published_schemas(schema: str, path: Path) -> None:
    done = check(schema, path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "path", "right", "wrong"),
    [
        ("github-workflows", GITHUB / "workflows" / "ci.yml", "runs-on:", "run-on:"),
        ("github-issue-forms", GITHUB / "ISSUE_TEMPLATE" / "bug.yml", "type: textarea", "type: textfield"),
        ("citation-file-format", ROOT / "CITATION.cff", "cff-version: 1.2.0", "cff-version: 9"),
    ],
)
def test_mistakes_are_found(schema: str, path: Path, right: str, wrong: str, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert right in text
    broken = tmp_path / path.name
    broken.write_text(text.replace(right, wrong), encoding="utf-8")
    assert check(schema, broken).returncode == 1


def workflow(name: str) -> dict[str, Any]:
    content = yaml.safe_load((GITHUB / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_each_system_and_python_is_tested() -> None:
    matrix = workflow("ci")["jobs"]["test"]["strategy"]["matrix"]
    assert {re.match(r"[a-z]+", name)[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}  # type: ignore[index]
    assert matrix["python"] == ["3.11", "3.13"]


@pytest.mark.parametrize("name", ["ci", "docs", "nightly", "release"])
def test_workflows_call_targets_and_scripts_of_the_tree(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    steps = [step for job in workflow(name)["jobs"].values() for step in job["steps"]]
    commands = "\n".join(step.get("run", "") for step in steps)
    assert set(re.findall(r"\bmake ([a-z-]+)", commands)) <= targets
    assert all((ROOT / script).is_file() for script in re.findall(r"(?<![\w/])\.ci/\w+", commands))


def test_hooks_run_tools_that_setup_installs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["test"]
    installed = {re.split(r"[<>=;]", line)[0].strip() for line in extra} | {"python"}
    for hook in hooks:
        tool, *arguments = hook["entry"].removeprefix(".venv/bin/").split()
        assert tool in installed and all((ROOT / a).is_file() for a in arguments if a.endswith(".py")), hook["id"]


def test_the_site_is_built_strictly() -> None:
    (command,) = re.findall(r"mkdocs build.*", (ROOT / "Makefile").read_text(encoding="utf-8"))
    # Quiet would keep MkDocs from counting its warnings, so that none ends the build.
    assert "--strict" in command and not re.search(r"-q|--quiet", command)

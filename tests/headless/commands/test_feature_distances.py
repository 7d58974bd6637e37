# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances of sets of features in compare, quality and the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from twinset.headless.cli import app
from twinset.testing.fixtures.pictures import striped_dataset
from typer.testing import CliRunner


def run(*args: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr.replace("\n", " ")


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real pictures, others of the same look, and others of another look."""
    folder = tmp_path_factory.mktemp("stripes")
    looks = {"real": (6, 24), "twin": (6.2, 26), "other": (14, 26)}
    return {name: striped_dataset(folder / name, period, 30, n) for name, (period, n) in looks.items()}


def test_compare_shows_which_set_differs(stripes: dict[str, Path], tmp_path: Path) -> None:
    twin, other = (
        json.loads(run("compare", stripes["real"], stripes[name], "--features", "--json"))["classes"]["disc"]
        for name in ("twin", "other")
    )
    assert not any(found["significant"] for found in twin["features"]["distances"].values())
    distances = other["features"]["distances"]
    assert all(distances[name]["significant"] for name in ("kid", "precision", "recall", "density", "coverage"))
    assert other["features"]["distances"]["recall"]["value"] < 0.3
    shown = run("compare", stripes["real"], stripes["other"], "--features")
    assert "KID" in shown
    assert "Coverage" in shown
    table = tmp_path / "real.csv"
    run("measure", stripes["real"], "-o", table, "--no-pixels")
    assert "omit --features" in run("compare", table, stripes["twin"], "--features", code=2)
    few = striped_dataset(tmp_path / "few", 6, 30, 5)
    assert "5 synthetic boxes are too few" in run("compare", stripes["real"], few, "--features")


def test_quality_lists_them_for_each_dataset_and_correlates_them_with_scores(stripes: dict[str, Path]) -> None:
    args = ["quality", stripes["real"], stripes["twin"], stripes["other"], "--column", "sqrt_area"]
    args += ["--map", f"{stripes['twin']}=0.4", "--map", f"{stripes['other']}=0.1"]
    found = json.loads(run(*args, "--json"))["feature_distances"]["features"]
    assert found[str(stripes["twin"])]["kid"]["value"] < found[str(stripes["other"])]["kid"]["value"]
    shown = run(*args)
    assert "rank correlation with mAP" in shown.replace("\n", " ")


def test_the_report_has_them(stripes: dict[str, Path], tmp_path: Path) -> None:
    run("report", stripes["real"], stripes["other"], "-o", tmp_path / "page.html", "--max-images", "0")
    page = (tmp_path / "page.html").read_text()
    assert "Distances of all real and all synthetic boxes in features" in page
    assert "Kynkäänniemi" in page

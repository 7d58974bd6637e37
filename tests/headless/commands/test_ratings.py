# SPDX-License-Identifier: GPL-3.0-or-later
"""Rating sheets: what they show, and scores of ratings whose answer is known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from twinset.dataset.formats.metadata_table import write_columns
from twinset.headless.cli import app
from twinset.testing.fixtures.pictures import striped_dataset
from typer.testing import CliRunner


def run(*args: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr.replace("\n", " ")


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ratings")
    real = striped_dataset(folder / "real", 8, 30, 40)
    table = folder / "inferred.csv"
    shares = [None if i == 3 else 0.2 for i in range(40)]
    write_columns(table, {"id": list(range(40)), "depth": [1.0 + i / 10 for i in range(40)], "visible_share": shares})
    run("rating-sheet", real, table, "-o", folder / "sheet", "--boxes", 32, "--seed", 5)
    return folder / "sheet"


def filled(sheet: Path, name: str, rate: dict[str, int]) -> Path:
    with (sheet / "ratings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["rating_depth"] = str(rate.get(row["box"], ""))
    path = sheet / name
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return path


def test_a_quarter_of_the_boxes_show_the_values_of_another_one(sheet: Path) -> None:
    key = json.loads((sheet / "key.json").read_text())
    with (sheet / "ratings.csv").open(newline="") as file:
        rows = {row["box"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(key) == 32
    assert sum(of["control"] for of in key.values()) == 8
    assert 3 not in [of["annotation"] for of in key.values()]  # one of its values is not known
    for box, of in key.items():
        own = f"{1.0 + of['annotation'] / 10:.3g} m"
        assert (rows[box]["depth"] == own) == (not of["control"])
        assert rows[box]["rating_depth"] == ""
    page = (sheet / "sheet.html").read_text()
    assert page.count("<article") == page.count("data:image/jpeg") == 32
    assert "control" not in page.lower()


def test_scores_are_the_means_and_their_difference(sheet: Path) -> None:
    key = json.loads((sheet / "key.json").read_text())
    boxes = list(key)
    rate = {box: 1 if key[box]["control"] else 4 + (int(box) % 2) for box in boxes if box != "7"}
    found = json.loads(run("score-ratings", filled(sheet, "one.csv", rate), "--json"))["scores"]
    depth, share = found
    assert (depth["column"], share["column"]) == ("depth", "visible_share")
    assert share["ratings"] == 0
    assert depth["ratings"] + depth["controls"] == 31
    expected = np.mean([v for box, v in rate.items() if not key[box]["control"]])
    assert depth["mean"] == pytest.approx(expected)
    assert depth["control_mean"] == pytest.approx(1)
    assert depth["gain"] == pytest.approx(expected - 1)
    assert depth["low"] <= depth["gain"] <= depth["high"] < 4
    assert depth["low"] > 3
    # Somebody who guesses gains nothing.
    guess = {box: int(box) % 6 for box in boxes}
    guessed = json.loads(run("score-ratings", filled(sheet, "two.csv", guess), "--json"))["scores"][0]
    assert guessed["low"] < 0 < guessed["high"]
    both = json.loads(run("score-ratings", sheet / "one.csv", sheet / "two.csv", "--json"))["scores"][0]
    common = [box for box in boxes if box in rate]
    kappa = cohen_kappa_score(
        [rate[b] for b in common], [guess[b] for b in common], weights="quadratic", labels=range(6)
    )
    assert both["agreement"] == pytest.approx(kappa)


def test_what_is_wrong_is_said(sheet: Path, tmp_path: Path) -> None:
    assert "no ratings" in run("score-ratings", sheet / "ratings.csv", code=2)
    bad = filled(sheet, "bad.csv", {"1": 7})
    assert "whole number from 0 to 5. Got '7'" in run("score-ratings", bad, code=2)
    assert "no box 99" in run("score-ratings", _renamed(filled(sheet, "ok.csv", {"1": 3})), code=2)
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    assert "is no rating sheet" in run("score-ratings", other, "--key", sheet / "key.json", code=2)
    real = sheet.parent / "real" / "set.json"
    assert "that can be rated" in run("rating-sheet", real, other, "-o", tmp_path / "x", code=2)
    assert "exists already" in run("rating-sheet", real, other, "-o", sheet, code=2)


def _renamed(path: Path) -> Path:
    path.write_text(path.read_text().replace("\n1,", "\n99,", 1))
    return path

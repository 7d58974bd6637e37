# SPDX-License-Identifier: GPL-3.0-or-later
"""Analyses from Python say what the commands say, take paths and objects alike, and show themselves in notebooks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import twinset as ts
from pycocotools.coco import COCO
from twinset.headless.cli import app
from twinset.testing.fixtures.pictures import striped_dataset
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def real(root: Path) -> Path:
    return root / "examples" / "coco_furniture.json"


@pytest.fixture(scope="module")
def synth(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real boxes, all half as wide and half as high."""
    data = json.loads(real.read_text())
    for annotation in data["annotations"]:
        x, y, w, h = annotation["bbox"]
        annotation["bbox"] = [x, y, w / 2, h / 2]
        annotation["area"] /= 4
    path = tmp_path_factory.mktemp("synth") / "synth.json"
    path.write_text(json.dumps(data))
    return path


def by_command(*arguments: object) -> Any:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_comparison_is_that_of_the_command(real: Path, synth: Path) -> None:
    found = ts.compare(str(real), ts.load_dataset(synth))
    said = by_command("compare", real, synth)
    assert found.verdict == "\n".join(said["verdict"]["sentences"])
    for row in found.table:
        column = said["classes"][row["class"]]["columns"][row["column"]]
        assert column[row["distance"]] == pytest.approx(row["value"], nan_ok=True)
        assert column[f"{row['distance']}_interval"] == pytest.approx(list(row["interval"]), nan_ok=True)
    assert any(s.column in ("area", "sqrt_area") and s.direction == "smaller" for s in found.findings.significant)
    with pytest.raises(ts.TwinsetError, match=r"no box of class 'chiar'\. Did you mean 'chair'"):
        ts.compare(real, synth, class_name="chiar")


def test_objects_show_themselves_as_text_and_html(real: Path, synth: Path) -> None:
    found = ts.compare(real, synth, class_name="chair")
    page = ElementTree.fromstring(f"<page>{found._repr_html_()}</page>")
    rows = page.findall(".//tbody/tr")
    assert len(rows) == len(found.table) > 5
    assert [cell.text for cell in rows[0]][:3] == ["chair", found.table[0]["column"], found.table[0]["distance"]]
    assert found.verdict in repr(found) and repr(found.table).splitlines()[0].split() == list(found.table.columns)
    assert "(" in repr(ts.load_dataset(real)) and len(found.table[1:3]) == 2


def test_names_from_files_are_escaped_in_notebooks(tmp_path: Path) -> None:
    table = ts.Table([{"class": "<script>alert(1)</script>"}], ["class"])
    assert "<script" not in table._repr_html_() and "&lt;script" in table._repr_html_()


def test_measurements_are_those_of_pycocotools_and_of_the_command(real: Path, tmp_path: Path) -> None:
    measured = ts.measure(real, pixels=False)
    coco = COCO(str(real))
    expected = {
        a["id"]: a["bbox"][2] * a["bbox"][3] / (coco.imgs[a["image_id"]]["width"] * coco.imgs[a["image_id"]]["height"])
        for a in coco.anns.values()
        if not a["iscrowd"]
    }
    got = dict(zip(measured["id"], np.asarray(measured["bbox_area"], float), strict=True))
    assert got == pytest.approx(expected, rel=0.02)
    assert measured.n_boxes == len(expected) < len(coco.anns)
    measured.save(tmp_path / "api.csv")
    by_command("measure", real, "-o", tmp_path / "command.csv", "--no-pixels")
    assert (tmp_path / "api.csv").read_bytes() == (tmp_path / "command.csv").read_bytes()
    again = ts.compare(measured, tmp_path / "api.csv", class_name="chair")
    assert not again.findings.significant
    assert all(row["value"] == pytest.approx(0, abs=1e-6) for row in again.table if row["distance"] == "wasserstein")


def test_pictures_are_found_and_measured(tmp_path: Path) -> None:
    measured = ts.measure(striped_dataset(tmp_path / "a", 8.0, 40.0, n=3))
    assert measured.problems == () and len(measured["brightness"]) == measured.n_boxes


def test_fit_is_that_of_the_command_and_draws_only_where_it_is_asked(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = ts.fit(real, "chair")
    said = by_command("fit", real, "--class", "chair")
    assert [row["weight"] for row in found.table] == pytest.approx([c["weight"] for c in said["components"]])
    assert (found.distance, found.floor) == pytest.approx((said["distance"], said["floor"]))
    assert sum(row["weight"] for row in found.table) == pytest.approx(1.0)
    assert not list(tmp_path.iterdir())
    assert found.plot(tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")


def test_report_is_written_where_it_is_asked(real: Path, synth: Path, tmp_path: Path) -> None:
    made = ts.report(real, synth, tmp_path / "r.html", class_name="chair", features=False, max_images=0)
    assert made.path == tmp_path / "r.html" and b"<html" in made.path.read_bytes()
    assert "differ" in made.verdict


def test_perfect_predictions_score_one(real: Path, tmp_path: Path) -> None:
    annotations = json.loads(real.read_text())["annotations"]
    detections = [{k: a[k] for k in ("image_id", "category_id", "bbox")} | {"score": 0.9} for a in annotations]
    (tmp_path / "d.json").write_text(json.dumps(detections))
    rows = {row["class"]: row for row in ts.evaluate(real, tmp_path / "d.json").table}
    assert rows["all"]["ap50"] == pytest.approx(1.0) and rows["all"]["false_positives"] == 0
    assert rows["chair"]["real"] == sum(
        a["category_id"] == rows_id(real, "chair") and not a["iscrowd"] for a in annotations
    )


def rows_id(real: Path, name: str) -> int:
    return next(c["id"] for c in json.loads(real.read_text())["categories"] if c["name"] == name)


def test_a_script_without_a_guard_is_run_once(tmp_path: Path) -> None:
    """Processes that measure images do not run the script that started them again."""
    data = striped_dataset(tmp_path / "a", 8.0, 40.0, n=20)
    script = tmp_path / "script.py"
    script.write_text(
        f"import twinset as ts\nprint('begun')\nm = ts.measure({str(data)!r}, workers=2)\nprint(len(m['brightness']))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == ["begun", "20"]


def test_plots_and_names_that_will_not_do_end_in_a_sentence(real: Path, tmp_path: Path) -> None:
    found = ts.fit(real, "chair")
    assert found.plot(tmp_path / "new" / "fit.png").is_file()
    with pytest.raises(ts.TwinsetError, match=re.escape(str(tmp_path))):
        found.plot(tmp_path / "new")
    with pytest.raises(ts.TwinsetError, match="components"):
        ts.fit(real, "chair", components=-1)

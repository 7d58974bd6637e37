# SPDX-License-Identifier: GPL-3.0-or-later
"""A column and a distance that are declared through the registries alone show up everywhere, and go again."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipes import orbit, recipe_text
from scipy import stats
from twinset.alignment.columns import registry as columns
from twinset.alignment.columns.box_data import BoxData
from twinset.alignment.distances import registry as distances
from twinset.alignment.distances.distance import Distance
from twinset.alignment.distances.support import SharePairs
from twinset.dataset.report.page import make_report
from twinset.engine.errors import DataError
from twinset.engine.plugin import Column
from twinset.engine.plugin.registry import Registry, check_declaration, default
from twinset.headless.cli import app
from twinset.testing import check_plugin
from twinset.testing.fixtures.shots import make_shot
from typer.testing import CliRunner

SIZE = (64, 48)


def perimeter(data: BoxData) -> np.ndarray:
    return 2 * data.bboxes[:, 2:].sum(1)


def redness(data: BoxData) -> np.ndarray:
    assert data.image is not None
    return np.full(len(data), redness_of_image(data))


def redness_of_image(data: BoxData) -> float:
    assert data.image is not None
    return float(data.image[..., 0].mean() / 255)


def energy(pairs: SharePairs) -> np.ndarray:
    """As Székely defines it: twice the integral of the squared difference of the distributions, and its root."""
    return np.asarray(np.sqrt(2 * pairs.cdf_difference[:, :-1] ** 2 @ np.diff(pairs.values)))


PERIMETER = Column("perimeter", label="Box perimeter", unit="px", larger="longer around", measure=perimeter)
REDNESS = Column(
    "redness",
    label="Redness",
    levels=("bbox", "image"),
    kind="share",
    needs={"pixels"},
    measure=redness,
    measure_image=redness_of_image,
)
ENERGY = Distance("energy", "Energy distance", "Root of twice the squared difference of the distributions.", energy)


def write_dataset(folder: Path, seed: int, scale: float) -> Path:
    """Twelve pictures of one colour with two boxes each."""
    import cv2

    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for k in range(1, 13):
        name = f"{k}.png"
        picture = np.full((SIZE[1], SIZE[0], 3), rng.integers(0, 256), np.uint8)
        cv2.imwrite(str(folder / "images" / name), picture)
        images.append({"id": k, "width": SIZE[0], "height": SIZE[1], "file_name": name})
        for _ in range(2):
            w, h = scale * rng.uniform(5, 25, 2)
            box = [float(rng.uniform(0, SIZE[0] - w)), float(rng.uniform(0, SIZE[1] - h)), float(w), float(h)]
            id = len(annotations) + 1
            annotations.append({"id": id, "image_id": k, "category_id": 1, "bbox": box, "area": w * h, "iscrowd": 0})
    path = folder / "annotations.json"
    coco = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "chair"}]}
    path.write_text(json.dumps(coco))
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("registries")
    return write_dataset(folder / "real", 0, 1.0), write_dataset(folder / "synth", 1, 1.6)


@pytest.fixture
def dummies() -> Iterator[None]:
    with columns.registered(PERIMETER, REDNESS), distances.registered(ENERGY):
        yield


def run(*args: Any) -> str:
    done = CliRunner().invoke(app, [str(arg) for arg in args], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


def measured(path: Path, folder: Path) -> list[dict[str, str]]:
    table = folder / f"{path.parent.name}.csv"
    run("measure", path, "-o", table, "--images", path.parent / "images", "--workers", 1)
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_registered_column_is_in_the_measured_table(pair: tuple[Path, Path], tmp_path: Path, dummies: None) -> None:
    boxes = {str(a["id"]): a["bbox"] for a in json.loads(pair[0].read_text())["annotations"]}
    for row in measured(pair[0], tmp_path):
        assert float(row["perimeter"]) == pytest.approx(2 * sum(boxes[row["id"]][2:]))
        assert float(row["redness"]) == float(row["image_redness"]) == pytest.approx(float(row["brightness"]), abs=0.01)


def test_both_are_in_the_output_of_compare(pair: tuple[Path, Path], tmp_path: Path, dummies: None) -> None:
    found = json.loads(run("compare", *pair, "--json"))["classes"]["chair"]["columns"]
    sides = [[2 * sum(a["bbox"][2:]) for a in json.loads(path.read_text())["annotations"]] for path in pair]
    column = found["perimeter"]
    assert column["energy"] == pytest.approx(stats.energy_distance(*sides), rel=1e-9)
    assert column["ks"] == pytest.approx(stats.ks_2samp(*sides, method="asymp").statistic)
    low, high = column["energy_interval"]
    assert 0 <= low < column["energy"] < high and 0 < column["energy_floor"] < column["energy_upper_floor"]
    shown = run("compare", *pair)
    assert "perimeter" in shown and shown.count("Energy distance") == len(found)
    assert "chair, box perimeter: synthetic ones are longer around in" in shown


def test_the_distance_of_the_handbook_is_scipys() -> None:
    page = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n([^`]*^ENERGY = .*?)^```", page, re.M | re.S)
    words: dict[str, Any] = {"np": np, "Distance": Distance, "SharePairs": SharePairs}
    exec(code, words)
    a, b = np.random.default_rng(3).normal([[0.0], [0.5]], 1.0, (2, 40))
    assert words["ENERGY"].between(a, b, 20, (-4.0, 4.0)) == pytest.approx(stats.energy_distance(a, b))


def test_both_are_in_the_report(pair: tuple[Path, Path], dummies: None) -> None:
    page = make_report(*pair, workers=1).html.decode()
    assert "Box perimeter" in page and "Energy distance" in page and "Redness of images" in page
    assert "Histogram of box perimeter, real against synthetic" in page


def test_a_registered_distance_ranks_datasets(pair: tuple[Path, Path], dummies: None) -> None:
    options = ("--no-features", "--distance", "energy", "--column", "perimeter", "--json")
    found = json.loads(run("quality", pair[0], pair[1], *options))
    assert found["distance"] == "energy"
    component = next(iter(found["datasets"].values()))["components"]["perimeter"]
    assert component["distance"] > component["floor"] > 0


def test_they_leave_no_trace(pair: tuple[Path, Path], tmp_path: Path) -> None:
    before = json.loads(run("compare", *pair, "--json"))
    with columns.registered(PERIMETER, REDNESS), distances.registered(ENERGY):
        during = json.loads(run("compare", *pair, "--json"))
    assert json.loads(run("compare", *pair, "--json")) == before
    assert "perimeter" not in measured(pair[0], tmp_path)[0]
    assert not columns.find_column("perimeter").reported
    with pytest.raises(DataError, match=r"no distance 'energy'.*bhattacharyya"):
        distances.find_distance("energy")
    # The verdict counts the built-in distances alone, and other columns' numbers do not change.
    new = {"perimeter", "redness", "image_redness"}
    assert [s for s in during["verdict"]["off"] if s["column"] not in new] == before["verdict"]["off"]
    for name, column in before["classes"]["chair"]["columns"].items():
        other = during["classes"]["chair"]["columns"][name]
        assert {key: value for key, value in other.items() if not key.startswith("energy")} == column


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="'depth' is declared already"):
        columns.register(Column("depth"))
    with pytest.raises(ValueError, match="'ks' is declared already"), distances.registered(ENERGY):
        distances.register(Distance("ks", "KS", "", energy))
    with pytest.raises(DataError):
        distances.find_distance("energy")
    with pytest.raises(ValueError, match=r"'metres'.*number, share"):
        Column("width", kind="metres")


PLUGIN = '''# SPDX-License-Identifier: GPL-3.0-or-later
"""Clipped pixels."""
from ...engine.plugin import Column, Columns, plugin


@plugin("metric")
class Clipping:
    """Share of values that are black or white."""

    columns = (
        Column("clipping", label="Clipped values", levels=("bbox", "image"), kind="share", larger="more clipped"),
    )

    def measure(self, shot):
        return Columns(image={"clipping": 0.5})
'''


def test_columns_of_plugins_have_their_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clipping.py").write_text(PLUGIN)
    plugins = Registry([tmp_path], entry_points=False)
    monkeypatch.setattr(columns, "plugin_registry", lambda: plugins)
    found = columns.find_column("clipping")
    assert (found.heading, found.kind, found.larger, found.reported) == (
        "Clipped values",
        "share",
        "more clipped",
        True,
    )
    assert columns.find_column("image_clipping").heading == "Clipped values of images"
    unknown = columns.find_column("fog_density")
    assert (unknown.heading, unknown.larger, unknown.reported) == ("Fog density", "larger", False)
    (tmp_path / "broken.py").write_text(PLUGIN.replace('Column("clipping"', 'dict(name="clipping"'))
    broken = Registry([tmp_path], entry_points=False).broken
    assert any("'columns' must be a tuple of Column" in plugin.reason for plugin in broken)


def test_the_kit_refuses_names_of_builtin_columns(tmp_path: Path) -> None:
    (tmp_path / "oblong.py").write_text(PLUGIN.replace("clipping", "aspect").replace("Clipping", "Oblong"))
    found = check_plugin(tmp_path / "oblong.py", raises=False)
    assert any("its column 'aspect' has the name of a built-in column. Rename it." in one.problem for one in found)


def test_a_report_knows_the_columns_of_the_recipes_plugins(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, out = tmp_path / "own", tmp_path / "out"
    own.mkdir()
    (own / "soot.py").write_text(PLUGIN.replace("clipping", "soot").replace("Clipped values", "Sooty values"))
    coco = json.loads(pair[1].read_text())
    for number, annotation in enumerate(coco["annotations"]):
        annotation["twinset"] = {"soot": number / len(coco["annotations"])}
    (out / "annotations").mkdir(parents=True)
    (out / "annotations" / "instances.json").write_text(json.dumps(coco))
    recipe = recipe_text(scene="room.blend", cameras=[orbit(2.0, 4.0)], metrics=["soot"])
    (out / "recipe.toml").write_text(f'plugin_folders = ["{own.as_posix()}"]\n{recipe}')
    monkeypatch.setenv("TWINSET_PLUGINS", str(own))
    page = make_report(out, out, workers=1).html.decode()
    assert "Sooty values" in page and "Histogram of sooty values" in page


@pytest.mark.parametrize("metric", [cls for cls in default().catalogue(builtin=True) if cls.plugin_kind == "metric"])  # type: ignore[attr-defined]
def test_builtin_metrics_declare_all_that_they_measure(metric: type) -> None:
    assert check_declaration(metric) == ""
    ids = np.zeros((20, 30), int)
    ids[5:15, 5:20] = 1
    found = metric().measure(make_shot(ids, n=1))
    declared = {level: {c.name for c in metric.columns if level in c.levels} for level in ("image", "bbox")}  # type: ignore[attr-defined]
    assert set(found.image) <= declared["image"] and set(found.bbox) - {"bbox"} <= declared["bbox"]
    assert all(c.definition for c in metric.columns)  # type: ignore[attr-defined]

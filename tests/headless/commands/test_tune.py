# SPDX-License-Identifier: GPL-3.0-or-later
"""The command tune on a stage without Blender: what is varied, measured once, remembered, written and refused."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from recipes import on_floor, orbit, plugin_table, recipe_text
from twinset.dataset.analysis.real_boxes import real_columns
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.jobs.configuration_probes import Prober, scaled
from twinset.dataset.jobs.tuned_recipe import class_of, column_name
from twinset.engine.block import Block
from twinset.engine.errors import DataError, RecipeError
from twinset.engine.recipe.reading import load_recipe, loads_recipe
from twinset.engine.recipe.search_space import Axis, read_axes
from twinset.engine.recipe.settings import Recipe
from twinset.headless.cli import app
from twinset.headless.commands.generate import tune as command
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.scene import scene
from typer.testing import CliRunner, Result

RECIPE = recipe_text(
    seed=4,
    images=40,
    real="real.json",
    placements=[on_floor(1, 1)],
    cameras=[orbit(off_axis=0.1, lens=[30.0, 30.0], tries=8)],
    filters=[plugin_table("min_pixels", pixels=40)],
    size=(64, 48),
)


class Counted(BruteStage):
    """Counts what it is asked for."""

    probes = 0
    after: Callable[[], None] = staticmethod(lambda: None)

    def probe(self, *args: Any, **kwargs: Any) -> Any:
        Counted.probes += 1
        Counted.after()
        return super().probe(*args, **kwargs)


def open_stage(recipe: Recipe) -> BruteStage:
    floor = plane((30.0, 30.0))
    return Counted({"Floor": floor}, [asset("crate", "chair", box((0.5, 0.5, 0.6)))], resolution=size(recipe))


def size(recipe: Recipe) -> tuple[int, int]:
    return recipe.output.width, recipe.output.height


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe and real boxes: a third of them near, two thirds far."""
    rng = np.random.default_rng(0)
    roots = np.concatenate([rng.normal(0.4, 0.05, 10), rng.normal(0.14, 0.025, 20)])
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 400, "height": 400} for i in range(30)]
    boxes = [
        {"id": i, "image_id": i, "category_id": 3, "bbox": [100, 100, 400 * r, 400 * r], "iscrowd": 0}
        for i, r in enumerate(roots)
    ]
    data = {"images": images, "annotations": boxes, "categories": [{"id": 3, "name": "chair"}]}
    (tmp_path / "real.json").write_text(json.dumps(data))
    (tmp_path / "r.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "open_stage", open_stage)
    monkeypatch.setattr(Counted, "probes", 0)
    return tmp_path


def run(*args: Any) -> Result:
    common = ["tune", "r.toml", "--column", "bbox_area", "--vary", "camera.orbit.distance=1:8:log/6", "--probes", 9]
    out = () if "-o" in args else ("-o", "tuned.toml")
    return CliRunner().invoke(app, [str(a) for a in (*common, *out, *args)])


# The command


def test_near_and_far_are_found_in_their_proportion_and_beat_the_recipe_as_it_is(place: Path) -> None:
    result = run("--json", "--verify", 50)
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    tuned = load_recipe("tuned.toml")
    text = (place / "tuned.toml").read_text()
    assert text.startswith(RECIPE.rstrip("\n")) and "# Variants by `twinset tune r.toml --column bbox_area`" in text
    assert sum(v.weight for v in tuned.variants) == pytest.approx(1, abs=1e-3)
    # One box per frame, so shares of boxes are shares of frames. Near: boxes of 0.3 of the image's side and more.
    changes = [c["changes"].get("camera.orbit.distance", [9])[0] for c in values["configurations"]]
    chosen = values["choices"]["gaussian"]["weights"]
    assert sum(w for k, w in chosen.items() if changes[int(k)] < 2.5) == pytest.approx(1 / 3, abs=0.05)
    assert values["n_real"] == 30 and values["class"] == "chair" and len(values["configurations"]) == 7
    assert set(values["choices"]) == {"gaussian", "shares"} and values["probes"] == 63
    before, after = values["verified"]["untuned"], values["verified"]["tuned"]
    assert after["value"] * 3 < before["value"] and after["values"] >= 50
    assert after["low"] <= after["value"] <= after["high"] and after["floor"] > 0
    assert values["choices"][values["method"]]["predicted"]["value"] == min(
        c["predicted"]["value"] for c in values["choices"].values()
    )


def test_what_was_probed_is_not_probed_again(place: Path) -> None:
    assert run("-o", "a.toml").exit_code == 0
    first, seen = (place / "a.toml").read_text(), Counted.probes
    assert seen >= 63
    assert "already exists" in run("-o", "a.toml").output
    result = run("-o", "a.toml", "--force")
    assert result.exit_code == 0 and Counted.probes == seen and (place / "a.toml").read_text() == first
    # Another column of the same boxes costs nothing either; another seed does.
    other = ["tune", "r.toml", "--column", "aspect", "--vary", "camera.orbit.distance=1:8:log/6", "--probes", "9"]
    assert CliRunner().invoke(app, [*other, "-o", "a.toml", "--force"]).exit_code == 0 and Counted.probes == seen
    (place / "a.probes.json").write_text("[]")
    assert "is not a valid cache of probes" in run("-o", "a.toml", "--force").output


def test_what_a_target_learned_from_other_boxes_is_probed_again(place: Path) -> None:
    text = RECIPE + '[target]\nplugin = "bbox_area_gmm"\n'
    boxes = {"chair": read_coco(place / "real.json").boxes("chair")}

    def probed(text: str, boxes: Any) -> int:
        before = Counted.probes
        prober = Prober(loads_recipe(text, place, "r.toml"), open_stage, boxes, memory=place / "memory.json")
        list(prober.run([{}], 2))
        return Counted.probes - before

    assert probed(text, boxes) and probed(RECIPE, {})
    assert not probed(text, boxes) and not probed(RECIPE, {})
    data = json.loads((place / "real.json").read_text())
    data["annotations"].pop()
    (place / "real.json").write_text(json.dumps(data))
    assert probed(text, boxes) and not probed(RECIPE, {})


def test_a_stopped_run_comes_to_the_very_same_numbers(place: Path) -> None:
    found = []
    for _ in range(2):
        prober = Prober(loads_recipe(RECIPE, place, "r.toml"), open_stage, {}, memory=place / "memory.json")
        list(prober.run([{}], 4))
        found.append(attrs.asdict(prober.results[0]))
    assert found[0] == found[1] and found[0]["columns"]["bbox_area"]


def test_ctrl_c_leaves_what_is_measured_and_the_same_command_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("-o", "whole.toml")
    assert whole.exit_code == 0
    total, Counted.probes = Counted.probes, 0

    def interrupt() -> None:
        if Counted.probes == 35:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Counted, "after", staticmethod(interrupt))
    result = run("-o", "cut.toml")
    assert result.exit_code == 130 and "Run the same command again to continue." in result.output
    assert not (place / "cut.toml").exists() and not list(place.glob(".twinset-*"))
    kept = json.loads((place / "cut.probes.json").read_text())
    assert 1 <= len(kept) <= 4
    monkeypatch.setattr(Counted, "after", staticmethod(lambda: None))
    Counted.probes = 0
    assert run("-o", "cut.toml").exit_code == 0
    assert 0 < Counted.probes < total
    assert (place / "cut.toml").read_text() == (place / "whole.toml").read_text()


def test_elsewhere_the_recipe_is_written_with_absolute_paths(place: Path) -> None:
    (place / "sub").mkdir()
    result = run("-o", "sub/t.toml", "--method", "gaussian", "--scale", 0.5)
    assert result.exit_code == 0, result.output
    tuned = load_recipe("sub/t.toml")
    assert tuned.path(tuned.real.annotations) == place / "real.json" and tuned.output.width == 64
    assert tuned.variants and tuned.plugins["filter"][0].plugin.pixels == 40


def test_a_configuration_in_which_nothing_can_be_placed_is_left_out_and_told(place: Path) -> None:
    (place / "r.toml").write_text(
        RECIPE.replace("count = [1, 1]", "count = [1, 1]\ntries = 2") + "[render]\nmax_attempts = 2\n"
    )
    vary = ["camera.orbit.distance=1:8:log/3", "placement.on_surface.edge_margin=0,20"]
    command = [
        "tune",
        "-o",
        "tuned.toml",
        "r.toml",
        "--column",
        "area",
        *(part for text in vary for part in ("--vary", text)),
        "--probes",
        "9",
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "has no boxes: placement: border" in result.output
    assert all(
        v.changes["placement.on_surface.edge_margin"] == 0 for v in load_recipe("tuned.toml").variants if v.changes
    )


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--column", "brightness"], "'brightness' needs a rendered image, which probes do not have"),
        (["--column", "depth"], "The real data have no column 'depth'. Their columns: aspect, bbox_area"),
        (["--class", "sofa"], "The recipe has no class 'sofa'"),
        (["--real", "none.json"], "does not exist"),
        (["--vary", "camera.orbit.distance=1:2"], "is varied already"),
        (["--vary", "camera.orbit.lens=5:3"], "must be ascending"),
        (["--vary", "camera.orbit.lenses=5:6"], "Did you mean 'lens'?"),
        (["--method", "magic"], "must be auto, gaussian or shares"),
        (["--configurations", 5, "--design", "grid"], "more than 5"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_the_scene_is_opened(place: Path, args: list[Any], part: str) -> None:
    result = run(*args)
    assert result.exit_code == 2 and part in " ".join(result.output.split()), result.output
    assert Counted.probes == 0 and not (place / "tuned.toml").exists()


def test_recipes_with_variants_are_refused(place: Path) -> None:
    assert run("-o", "a.toml").exit_code == 0
    result = CliRunner().invoke(
        app, ["tune", "a.toml", "--column", "aspect", "--vary", "camera.orbit.lens=20:40", "-o", "b.toml"]
    )
    assert result.exit_code == 2 and "already has variants" in result.output


# Parts


def test_tables_stand_in_for_annotations(place: Path) -> None:
    (place / "real.csv").write_text("class,image_id,depth\nchair,1,2.5\nchair,1,3.0\nsofa,2,1.0\n")
    columns = real_columns(place / "real.csv")
    recipe = load_recipe("r.toml")
    assert class_of(recipe, columns, "") == "chair" and list(columns["depth"]) == [2.5, 3.0, 1.0]
    with pytest.raises(DataError, match="none of its classes"):
        class_of(recipe, {"class": ["sofa"]}, "")
    assert column_name("area") == column_name("bbox_area") == "sqrt_area"


def test_probes_measure_what_full_frames_measure(place: Path) -> None:
    recipe = load_recipe("r.toml")
    prober = Prober(recipe, lambda r: scene(size(r)), {}, amodal=True)
    steps = list(prober.run([{}, {"placement.on_surface.count": [2, 2]}], 4))
    assert (steps[-1].done, steps[-1].total) == (8, 8)
    from twinset.engine.sampling.sampler import Sampler

    sampler = Sampler(recipe, scene(size(recipe)), {})
    rows = [row for i in range(4) for row in sampler.frame(i, Block()).rows if row["annotated"]]
    found = prober.results[0]
    assert len(rows) == len(found.columns["class"]) > 0
    for name in ("bbox_area", "center_y", "depth", "a_d2", "visible_share", "truncated_share"):
        assert found.columns[name] == pytest.approx([row["columns"][name] for row in rows]), name
    # The second configuration has frames of its own.
    assert set(prober.results[1].columns["image_id"]) <= {4, 5, 6, 7}


def test_smaller_probes_judge_pixels_alike(place: Path) -> None:
    recipe = scaled(load_recipe("r.toml"), 0.5)
    assert size(recipe) == (32, 24) and recipe.plugins["filter"][0].plugin.pixels == 10
    assert scaled(load_recipe("r.toml"), 1.0) == load_recipe("r.toml")


def axes(*texts: str) -> list[Axis]:
    return read_axes(texts, loads_recipe(RECIPE, Path(), "r", check_files=False).plugins)


@pytest.mark.parametrize(
    ("text", "points", "expected"),
    [
        ("camera.orbit.distance=1:9", [(0.125, 0.25), (0.875, 0.25), (0.0, 0.5)], [[1, 3], [7, 9], [1, 5]]),
        ("camera.orbit.distance=1:16:log", [(0.125, 0.25), (0.625, 0.25)], [[1, 2], [4, 8]]),
        ("camera.orbit.clearance=0:2", [(0.25, 0.5), (0.75, 0.5)], [0.5, 1.5]),
        ("camera.orbit.tries=1:4", [(0.0, 1), (0.3, 1), (0.99, 1)], [1, 2, 4]),
        ("placement.on_surface.count=1:9", [(1 / 6, 1 / 3), (0.5, 1 / 3), (5 / 6, 1 / 3)], [[1, 3], [4, 6], [7, 9]]),
        ("placement.on_surface.align_to_normal=true,false", [(0.2, 1), (0.7, 1)], [True, False]),
        ("camera.orbit.lens=20:30,50:50", [(0.2, 1), (0.7, 1)], [[20, 30], [50, 50]]),
        (
            'placement.on_surface.surfaces=[["Floor"], ["Table", "Bed"]]',
            [(0.2, 1), (0.7, 1)],
            [["Floor"], ["Table", "Bed"]],
        ),
        ("camera.orbit.enabled=true,false", [(0.2, 1)], [True]),
    ],
)
def test_values_of_an_axis(text: str, points: list[tuple[float, float]], expected: list[Any]) -> None:
    (axis,) = axes(text)
    assert [axis.value(*p) for p in points] == [pytest.approx(e) if isinstance(e, list) else e for e in expected]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("camera.orbit.distance", "it has no values"),
        ("camera.orbit.distance=1:0", "must be ascending"),
        ("camera.orbit.distance=-1:2", "must be a pair"),
        ("camera.orbit.off_axis=0:2", "must be a float in [0, 1]"),
        ("camera.orbit.off_axis=0:1:log", "a log scale needs a lower end above 0"),
        ("camera.orbit.tries=1:2.5", "takes whole numbers"),
        ("camera.orbit.distance=1:2/1", "at least two levels"),
        ("camera.orbit.min_visible_share=0.5", "is a single value"),
        ("camera.orbit.min_visible_share=[0.5", "is not a TOML array"),
        ("camera.orbit.min_visible_share=a,b", "must be a float"),
        ("metric.bbox.x=1:2", "Variants cannot change the kind"),
        ("orbit=1:2", "must be kind.plugin.parameter"),
    ],
)
def test_axes_that_cannot_be_are_refused(text: str, part: str) -> None:
    with pytest.raises(RecipeError) as caught:
        axes(text)
    assert part in str(caught.value) and text in str(caught.value)

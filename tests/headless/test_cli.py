# SPDX-License-Identifier: GPL-3.0-or-later
"""The twinset command: what it prints where, its exit codes, and its errors in one sentence."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from twinset import __version__
from twinset.dataset.jobs import job as job_module
from twinset.engine.errors import StageError
from twinset.engine.events import Event, Finished, FrameDone, Funnel, Started, Stepped
from twinset.engine.plugin.registry import catalogue
from twinset.headless.cli import app
from twinset.headless.commands.extend.doctor import PACKAGES
from twinset.headless.console.frame_ranges import parse_range, select_frames
from twinset.testing.fixtures.render_process import RenderProcess, events, rendered
from typer.testing import CliRunner, Result

RECIPE = """
images = 4
[scene]
builtin = "hall"
[[class]]
name = "chair"
builtin = "chair"
[[placement]]
plugin = "on_surface"
surfaces = ["Floor*"]
[render]
samples = 1
[output]
width = 64
height = 48
"""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, [str(a) for a in args])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "r.toml"
    path.write_text(RECIPE)
    return path


def coco(path: Path, areas: list[float], name: str = "chair") -> Path:
    """A COCO file with one box per image, of these relative areas."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(len(areas))]
    boxes = [[1.0, 2.0, 100 * a**0.5, 100 * a**0.5] for a in areas]
    annotations = [
        {"id": i, "image_id": i, "category_id": 7, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
        for i, b in enumerate(boxes)
    ]
    data = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": name}]}
    path.write_text(json.dumps(data))
    return path


class ScriptedJob:
    """Stands in for a job: gives events without Blender, to see what the command makes of them."""

    calls: list[tuple[Any, Path, range | None]] = []  # noqa: RUF012 - set anew by each test
    ending: Exception | type[BaseException] | None = None

    def __init__(self, recipe: Any, out: Path, open_stage: Any) -> None:
        self.recipe, self.out = recipe, out

    def run(self, frames: range | None = None) -> Iterator[Event]:
        self.calls.append((self.recipe, self.out, frames))
        yield Stepped("Opening")
        yield Started(self.recipe.images, 1, ("3 of 9 boxes are out of reach.",))
        yield FrameDone(0, 1, 2, self.out / "images/000000.jpg", 1, resumed=True)
        if self.ending is not None:
            raise self.ending
        yield FrameDone(1, 2, 2, None, 20)
        funnel = Funnel(23, {"probe: too small": 20, "placement: no room": 2}, 1, 1, 0)
        yield Finished(self.out, 1, 2, funnel, self.out / "contact_sheet.jpg")


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedJob]:
    monkeypatch.setattr(job_module, "Job", ScriptedJob)
    monkeypatch.setattr(ScriptedJob, "calls", [])
    return ScriptedJob


# Rendering


def test_render_shows_funnel_notes_and_preview(run: Run, recipe: Path, scripted: type[ScriptedJob]) -> None:
    done = run("render", recipe, "-o", "out", "--images", 2, "--seed", 0, "--samples", 3, "--frames", "0-1")
    assert done.exit_code == 0, done.output
    assert all(part in done.stdout for part in ("tried", "23", "rejected: probe: too small", "20", "accepted"))
    assert "1 images with 2 annotations in out" in done.stdout
    assert f"Preview: {Path('out') / 'contact_sheet.jpg'}" in done.stdout
    assert "3 of 9 boxes are out of reach." in done.stderr
    assert "Frame 1 was given up after 20 attempts." in done.stderr
    ((loaded, out, frames),) = scripted.calls
    assert (loaded.images, loaded.seed, loaded.render.samples) == (2, 0, 3)
    assert (out, frames) == (Path("out"), range(0, 2))


@pytest.mark.parametrize("place", ["before", "behind"])
def test_json_lines_of_a_render(run: Run, recipe: Path, scripted: type[ScriptedJob], place: str) -> None:
    args = ["render", recipe, "-o", "out"]
    done = run("--json", *args) if place == "before" else run(*args, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["event"] for e in events] == ["stepped", "started", "frame_done", "frame_done", "finished"]
    assert events[-1]["funnel"]["rejected"] == {"probe: too small": 20, "placement: no room": 2}
    assert events[2]["resumed"] is True and events[3]["image"] is None


def test_ctrl_c_says_how_to_go_on(
    run: Run, recipe: Path, scripted: type[ScriptedJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "ending", KeyboardInterrupt)
    done = run("render", recipe, "-o", "out")
    assert done.exit_code == 130
    assert "Stopped with 1 frames in out. Run the same command again to continue." in done.stderr
    assert "Traceback" not in done.output
    done = run("render", recipe, "-o", "out", "--json")
    assert json.loads(done.stdout.splitlines()[-1]) == {"event": "stopped", "written": 1, "out": "out"}


def test_expected_errors_are_sentences(
    run: Run, recipe: Path, scripted: type[ScriptedJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "ending", StageError("The floor is lava. Choose another."))
    done = run("render", recipe, "-o", "out")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.strip().splitlines()[-1] == "The floor is lava. Choose another."
    done = run("render", recipe, "-o", "out", "--json")
    assert json.loads(done.stdout.splitlines()[-1]) == {"error": ["The floor is lava. Choose another."]}


def test_all_problems_of_a_recipe_are_printed(run: Run, recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("samples = 1", "sample = 1").replace("[scene]", "seed = -1\n[scene]"))
    done = run("render", recipe, "-o", "out")
    assert done.exit_code == 2
    assert "seed (line 3): " in done.stderr and "[render] sample (line 13): " in done.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "args",
    [
        ["render"],
        ["render", "r.toml"],
        ["render", "r.toml", "-o", "out", "--frames", "3-1"],
        ["render", "r.toml", "-o", "out", "--frames", "x"],
        ["render", "r.toml", "-o", "out", "--frames", "4-9"],
        ["render", "r.toml", "-o", "out", "--images", "0"],
        ["render", "r.toml", "-o", "out", "--seed", "-1"],
        ["render", "none.toml", "-o", "out"],
        ["rendr"],
        ["finish", "nowhere"],
        ["replay", "nowhere", "0"],
        ["plugins", "show", "nothing"],
        ["fit", "none.json", "--class", "chair"],
        ["compare", "none.json", "none.json"],
        ["measure", "none.json", "--out", "."],
        ["init", "none.blend", "none.json"],
    ],
)
def test_wrong_use_ends_with_code_2_and_a_sentence(run: Run, recipe: Path, args: list[str]) -> None:
    done = run(*args)
    assert done.exit_code == 2, done.output
    assert done.stderr.strip() and "Traceback" not in done.output
    assert sorted(p.name for p in Path().iterdir()) == ["r.toml"]


def test_frames_count_both_ends() -> None:
    assert parse_range("0-31") == range(0, 32)
    assert parse_range("7") == range(7, 8)
    assert parse_range("") is None


def test_blocks_are_shares_of_whole_blocks(recipe: Path) -> None:
    from twinset.engine.recipe.reading import load_recipe

    loaded = load_recipe(recipe, {"images": 70, "render.block_size": 32})
    assert select_frames(loaded, None, range(1, 2)) == range(32, 64)
    assert select_frames(loaded, None, range(1, 9)) == range(32, 70)
    with pytest.raises(typer.BadParameter, match=r"96 \(block 3\) is beyond its end"):
        select_frames(loaded, None, range(3, 4))
    with pytest.raises(typer.BadParameter, match="not both"):
        select_frames(loaded, range(1), range(1))


def test_the_last_block_may_reach_beyond_the_end(run: Run, recipe: Path, scripted: type[ScriptedJob]) -> None:
    assert run("render", recipe, "-o", "out", "--frames", "2-31").exit_code == 0
    assert scripted.calls[0][2] == range(2, 4)


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "twinset.headless", *map(str, args)]


def test_a_real_render_is_stopped_and_goes_on(recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    out = tmp_path / "out"
    with RenderProcess(recipe, out, "--images", 5000) as running:
        running.wait_for_frame(1)  # each line is JSON: nothing of Blender's output gets in between
        written = running.send(signal.SIGINT)[-1]["written"]
        assert running.wait() == 130, running.messages()
        assert "Run the same command again to continue." in running.messages()
    there = len(list((out / "images").glob("*.jpg")))
    assert there - 1 <= written <= there and there >= 2  # Ctrl-C may come between a frame and its event
    done = rendered(recipe, out, "--images", there + 1)
    assert done.returncode == 0, done.stderr
    said = events(done.stdout)
    assert [e["resumed"] for e in said if e["event"] == "frame_done"] == [True] * there + [False]
    assert said[-1]["images"] == there + 1


# Datasets


def test_fit_prints_json_and_plots(run: Run, tmp_path: Path) -> None:
    coco(tmp_path / "real.json", [0.01 + 0.0005 * i for i in range(20)] + [0.3 + 0.01 * i for i in range(20)])
    done = run("fit", "real.json", "--class", "chair", "--json", "-o", "plots")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert len(report["components"]) >= 2
    assert sum(c["weight"] for c in report["components"]) == pytest.approx(1.0)
    assert Path(report["plot"]).read_bytes().startswith(b"\x89PNG")
    shown = run("fit", "real.json", "--class", "chair")
    assert "40 boxes of 'chair'" in shown.stdout and "Plot" not in shown.stdout


def test_compare_of_a_dataset_with_itself_and_another(run: Run, tmp_path: Path) -> None:
    small = coco(tmp_path / "small.json", [0.01 + 0.001 * i for i in range(30)])
    coco(tmp_path / "large.json", [0.6 + 0.001 * i for i in range(30)])
    same = json.loads(run("compare", small, small, "--json").stdout)["classes"]["chair"]["columns"]
    assert all(column["bhattacharyya"] == pytest.approx(0, abs=1e-9) for column in same.values())
    apart = run("compare", small, "large.json", "--class", "chair", "--json")
    # Not finite is null: no JSON parser takes Infinity.
    assert json.loads(apart.stdout)["classes"]["chair"]["columns"]["sqrt_area"]["bhattacharyya"] is None
    assert "no common bin" in run("compare", small, "large.json").stdout
    wrong = run("compare", small, "large.json", "--class", "char")
    assert wrong.exit_code == 2 and "Did you mean 'chair'?" in wrong.stderr


def test_compare_takes_a_dataset_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out" / "annotations").mkdir(parents=True)
    coco(tmp_path / "out" / "annotations" / "instances.json", [0.1, 0.2])
    real = coco(tmp_path / "real.json", [0.1, 0.2])
    assert run("compare", real, "out").exit_code == 0
    (tmp_path / "empty").mkdir()
    assert "twinset finish empty" in run("compare", real, "empty").stderr


def test_statistics_need_no_blender(tmp_path: Path) -> None:
    real = coco(tmp_path / "real.json", [0.1, 0.2, 0.3])
    code = (
        "import sys\nsys.modules['bpy'] = None\nfrom twinset.headless.cli import main\n"
        f"main(['compare', {str(real)!r}, {str(real)!r}, '-o', {str(tmp_path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Telling about itself


def test_plugins_are_listed_and_shown(run: Run) -> None:
    listed = json.loads(run("plugins", "--json").stdout)["plugins"]
    assert {(p["kind"], p["id"]) for p in listed} >= {(c.plugin_kind, c.plugin_id) for c in catalogue()}
    shown = run("plugins", "show", "on_surface")
    assert "placement/on_surface" in shown.stdout and "max_slope" in shown.stdout
    both = json.loads(run("plugins", "show", "keep", "--json").stdout)["plugins"]
    assert [p["kind"] for p in both] == ["placement", "camera"]
    one = json.loads(run("plugins", "show", "camera/keep", "--json").stdout)["plugins"]
    assert [p["kind"] for p in one] == ["camera"]
    wrong = run("plugins", "show", "on_surfac")
    assert wrong.exit_code == 2 and "Did you mean 'on_surface'?" in wrong.stderr


def test_plugins_of_a_folder_are_shown_and_broken_ones_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere")
    done = run("plugins", "--folder", tmp_path)
    assert done.exit_code == 0 and "on_surface" in done.stdout
    assert "The plugin 'broken'" in done.stderr and "no_such_module_anywhere" in done.stderr


def test_the_schema_is_printed(run: Run) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(run("schema").stdout))
    assert run("schema", "--markdown").stdout.startswith("# Recipe reference")


def test_doctor_looks_around(run: Run) -> None:
    done = run("doctor", "--json")
    facts = json.loads(done.stdout)
    assert done.exit_code == (2 if facts["problems"] else 0)
    assert facts["twinset"] == __version__ and facts["packages"]["numpy"]


def test_doctor_knows_all_dependencies(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[\s<>=!;]", line)[0] for line in project["dependencies"]}
    assert names - {"bpy"} == set(PACKAGES.values())


def test_doctor_has_a_remedy_for_each_problem(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from twinset.headless.commands.extend import doctor

    monkeypatch.setitem(doctor.PACKAGES, "no_such_module_anywhere", "no-such-package")
    monkeypatch.setattr(doctor, "LOW_DISK", 1e18)
    done = run("doctor")
    assert done.exit_code == 2
    assert "Problem: The package no-such-package is missing." in done.stdout
    assert "Problem: Only" in done.stdout and "Free some space" in done.stdout


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout.strip() == f"twinset {__version__}"
    shown = run("-h").stdout
    for name in ("render", "demo", "init", "fit", "compare", "replay", "finish", "plugins", "schema", "doctor"):
        assert f"  {name} " in shown


def test_a_closed_pipe_is_no_error() -> None:
    if os.name == "nt":
        pytest.skip("shells of Windows end both sides of a pipe")
    line = f"{' '.join(command('schema'))} | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents say can be done: recipes render, command lines parse, the tutorial leads where it says."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pycocotools.coco import COCO
from twinset.dataset.jobs.job import Job
from twinset.engine.errors import RecipeError
from twinset.engine.recipe.reading import load_recipe, loads_recipe
from twinset.engine.recipe.recorded_frames import brings_light
from twinset.engine.recipe.settings import Recipe
from twinset.engine.recipe.writing import toml_value
from twinset.engine.stage import Stage
from twinset.headless.cli import app
from twinset.testing import check_plugin
from twinset.testing.conformance.checks import CHECKS
from twinset.testing.fixtures.scene import scene
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIAL = ROOT / "docs" / "plugins" / "tutorial.md"
TINY = {"images": 1, "render.samples": 1, "render.denoise": False, "output.width": 64, "output.height": 48}

BASE: dict[str, Any] = {
    "scene": {"builtin": "hall"},
    "class": [
        {"name": "chair", "builtin": "chair"},
        {"name": "plant", "objects": ["Plant*"]},
        {"name": "table", "builtin": "table"},
    ],
    "distractor": [{"builtin": "bag"}],
    "placement": [{"plugin": "on_surface", "surfaces": ["Floor"], "classes": ["chair"]}],
    "camera": [{"plugin": "orbit"}],
    "filter": [],  # of such small images few boxes have 50 pixels
}
"""What a fragment is put into, where it does not say otherwise."""

TARGET = {"real": {"annotations": "coco_furniture.json"}, "target": {"plugin": "bbox_area_gmm", "classes": ["chair"]}}
"""The same for fragments about targets."""


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The code blocks of a page, each with the line on which it begins."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, match.start()) + 2, match[1]) for match in found]


def recipes() -> Iterator[Any]:
    for page in PAGES:
        for line, text in blocks(page, "toml") if page != TUTORIAL else ():
            yield pytest.param(text, id=f"{page.relative_to(ROOT).as_posix()}:{line}")
    for path in sorted((ROOT / "examples").glob("*.toml")):
        yield pytest.param(path, id=f"examples/{path.name}")


@pytest.fixture(scope="module")
def open_shared() -> Callable[[Recipe], Stage]:
    """Opens a stage as a job does, but keeps the last one for a recipe with the same scene and assets."""
    pytest.importorskip("bpy")
    from twinset.blender.stage import open_stage

    kept: dict[str, Stage] = {}

    def opened(recipe: Recipe) -> Stage:
        if any(use.id == "keep" for use in recipe.plugins["camera"]):  # the hall has no camera of its own
            return scene((recipe.output.width, recipe.output.height), furnished=True)
        parts = (recipe.scene, recipe.models, recipe.rooms, recipe.classes, recipe.distractors, recipe.folder)
        key = repr((parts, recipe.output, recipe.camera_model, recipe.render.engine, brings_light(recipe)))
        if key not in kept or not is_open(kept[key]):
            kept.clear()
            kept[key] = open_stage(recipe)
        return kept[key]

    return opened


def is_open(stage: Any) -> bool:
    """Whether a stage's scene is still there: Blender holds one, and another test may have opened its own."""
    try:
        return bool(stage._scene.name)
    except ReferenceError:
        return False


def read(source: str | Path, folder: Path) -> Recipe:
    """A recipe, or a fragment of one in a whole one, for tiny images; skips what needs files of somebody else's.

    A recipe that a fragment extends is an example, or written into a folder.
    """
    if isinstance(source, Path):
        return load_recipe(source, tiny(tomllib.loads(source.read_text(encoding="utf-8"))))
    given = tomllib.loads(source)
    if "extends" in given:
        extended = ROOT / "examples" / given["extends"]
        if not extended.is_file():
            extended = folder / given["extends"]
            annotations = {"annotations": str(ROOT / "examples" / TARGET["real"]["annotations"])}
            whole = {**BASE, **TARGET, "real": annotations}
            extended.write_text("\n".join(f"{key} = {toml_value(value)}" for key, value in whole.items()))
        recipe = loads_recipe(source, extended.parent, "recipe", tiny(given), check_files=extended.parent == folder)
        if extended.parent != folder:
            pytest.skip("read, not rendered: what it extends is rendered by itself")
        return recipe
    whole = given if {"scene", "class"} <= given.keys() else {**BASE, **given}
    if "room" in given:
        whole.pop("scene", None)
    if given.get("placement", [{}])[0].get("plugin") == "beside":  # there must be something to stand beside
        whole["placement"] = [{**BASE["placement"][0], "classes": ["table"]}, *given["placement"]]
    if "target" in source and "real" not in given:
        whole = {**whole, **{key: value for key, value in TARGET.items() if key not in given}}
        whole |= {"camera": [*whole["camera"], {"plugin": "framed"}], "class": whole["class"][:1]}
    text = "\n".join(f"{key} = {toml_value(value)}" for key, value in whole.items())
    return loads_recipe(text, ROOT / "examples", "recipe", tiny(given))


def tiny(given: dict[str, Any]) -> dict[str, Any]:
    """Overrides for one image, or one sequence of two moments."""
    length = 2 if given.get("sequence", {}).get("length", 1) > 1 else 1
    size = length * (1 + len(given.get("rig", [])))
    moments = {"sequence.length": length} if length > 1 else {}
    found = {**TINY, "images": size, "render.block_size": size, **moments} if size > 1 else TINY
    if any(placement.get("containers") for placement in given.get("placement", [])):
        return {**found, "output.width": 192, "output.height": 144}  # parts of a few centimetres are no specks there
    return found


@pytest.mark.parametrize("source", list(recipes()))
def test_recipes_render(
    source: str | Path,
    open_shared: Callable[[Recipe], Stage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = (ROOT / "../shared/data").resolve()
    if isinstance(source, Path) and "TWINSET_DATA" in source.read_text(encoding="utf-8"):
        pytest.skip("its room and models are held against their real sizes in test_examples.py")
    monkeypatch.setenv("MATERIAL", str(real))
    try:
        recipe = read(source, tmp_path)
    except RecipeError as error:
        # All that is wrong is that files of the reader's own are not here; everything else was checked.
        missing = [p for p in error.problems if re.search(r"does not exist|No file|There is (no folder|nothing at)", p)]
        assert missing == error.problems, error.problems
        pytest.skip(f"read, not rendered: {missing[0].split(': ', 1)[1][:80]}")
    out = tmp_path / "out"
    list(Job(recipe, out, open_shared).run())
    assert len(COCO(str(out / "annotations" / "instances.json")).imgs) == recipe.images


# Commands


COMMAND: Any = typer.main.get_command(app)


def lines_of(page: Path) -> list[str]:
    """The command lines of a page, several on a line taken apart."""
    code = [line for _, block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    parts = [part.strip() for line in code for part in re.split(r"\s(?:&&|\||>|;)\s", line)]
    return [part for part in parts if part.startswith("twinset ")]


def parse(words: list[str]) -> None:
    """Take words apart as the command does, without running anything; click's UsageError where it does not."""
    command, name, context = COMMAND, "twinset", None
    while True:
        context = command.make_context(name, words, parent=context)
        words = [*getattr(context, "_protected_args", ()), *context.args]
        if not hasattr(command, "commands") or not words:
            return
        name, command, words = command.resolve_command(context, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_command_lines_parse(page: Path) -> None:
    for line in lines_of(page):
        # A placeholder may stand for a number, and dots for more of the same.
        words = [re.sub(r"^[A-Z][A-Z-]*$", "1", word) for word in shlex.split(line, comments=True)[1:] if word != "..."]
        try:
            parse(words)
        except typer.Exit:
            pass
        except Exception as error:
            pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_in_sentences_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    said = re.findall(r"`twinset ([a-z][^`\n]*)`", text)
    if page == ROOT / "docs" / "start" / "commands.md":
        cells = re.findall(r"^\| (`.+?) \| ", text, re.MULTILINE)
        said += [code for cell in cells for code in re.findall(r"`([a-z][^`]*)`", cell) if code[0] != "-"]
    for code in said:
        command = COMMAND
        words = re.findall(r"[\w-]+", code)
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        known = {option for p in (*command.params, *COMMAND.params) for option in (*p.opts, *p.secondary_opts)}
        assert command is not COMMAND or not words or words[0] in SHORT, f"there is no command: twinset {code}"
        assert {word for word in words if word.startswith("--")} <= known | {"--json"}, (
            f"no such option: twinset {code}"
        )


SHORT = ("openjd", "flamenco", "kubernetes")
"""Words of the table that go with the one before them: ``farm slurm``, ``openjd``, ..."""


# Python


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_code_is_python(page: Path) -> None:
    for line, text in blocks(page, "python"):
        ast.parse(text, f"{page.name}:{line}")


def test_the_plugin_of_the_page_keeps_the_contract() -> None:
    page = ROOT / "docs" / "plugins" / "README.md"
    (_, plugin), (_, tests) = blocks(page, "python")
    words: dict[str, Any] = {"__name__": "clipping_of_the_page"}
    given = "from twinset.engine.plugin import Column, Columns, param, plugin\n"
    exec(f"{given}from twinset.engine.stage import Shot\n{plugin}", words)
    exec(tests, words)
    check_plugin(words["Clipping"])
    table = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert [name for name in table if name in CHECKS] == list(CHECKS)


# The tutorial


def test_the_tutorial_leads_to_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bpy")
    monkeypatch.chdir(tmp_path)
    text = TUTORIAL.read_text(encoding="utf-8")
    steps = re.compile(
        r"`([\w./-]+\.(?:py|toml))`[^\n`]*:\n\n```(?:python|toml)\n(.*?)^```|^```sh\n(.*?)^```", re.S | re.M
    )
    ran, written = [], []
    for step in steps.finditer(text):
        if step[1]:
            tiny = re.sub(r"^samples = \d+$", "samples = 1", step[2], flags=re.M)
            tiny = tiny.replace("width = 320", "width = 64").replace("height = 240", "height = 48")
            assert step[1].endswith(".toml") or Path(step[1]).is_file(), f"{step[1]} was not written by new-plugin"
            Path(step[1]).write_text(tiny.replace("images = 6", "images = 2"), encoding="utf-8")
            written.append(step[1])
            continue
        for line in step[3].splitlines():
            done = CliRunner().invoke(app, shlex.split(line)[1:])
            assert done.exit_code == 0, f"{line}\n{done.output}"
            ran.append(line.split()[1])
    assert len(written) == text.count("```python") + text.count("```toml") == 11
    assert [ran.count(name) for name in ("new-plugin", "check-plugin", "render")] == [8, 8, 3]
    annotations = [a for name in ("first", "evening", "middling") for a in boxes(tmp_path / name)]
    assert len(annotations) > 9
    facing = [a["twinset"]["facing"] for a in boxes(tmp_path / "evening")]
    assert facing and max(facing) <= 100.0
    for path, start in (("evening/captions.jsonl", "An evening with"), ("captions/captions.jsonl", "A room with")):
        told = [json.loads(line) for line in (tmp_path / path).read_text().splitlines()]
        assert len(told) == 2 and all(line["text"].startswith(f"{start} ") for line in told)


def boxes(out: Path) -> list[dict[str, Any]]:
    return list(COCO(str(out / "annotations" / "instances.json")).anns.values())


def test_each_link_of_the_pages_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert "://" in link or (page.parent / link).exists(), f"{page.relative_to(ROOT)}: {link}"


def test_each_command_is_on_the_page_of_commands() -> None:
    page = (ROOT / "docs" / "start" / "commands.md").read_text(encoding="utf-8")
    cells = " ".join(re.findall(r"^\| (`.+?) \| ", page, re.MULTILINE))
    assert {name for name in COMMAND.commands if not COMMAND.commands[name].hidden} <= set(re.findall(r"[\w-]+", cells))

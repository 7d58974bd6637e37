# SPDX-License-Identifier: GPL-3.0-or-later
"""An alignment in plain numpy: what it makes, what a second call keeps, and what skipped steps and new inputs do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import cv2
import numpy as np
import pytest
from recipes import builtin_class, on_floor, orbit, plugin_table, recipe_text
from twinset.dataset.aligning.pipeline import DONE, KEPT, SKIPPED, Alignment, align
from twinset.dataset.aligning.steps import STEPS
from twinset.dataset.aligning.workspace.options import AlignOptions, Surroundings
from twinset.dataset.jobs.job import Job
from twinset.engine.errors import DataError, OutputError
from twinset.engine.events import Event, Finished, FrameDone, Funnel
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.stage import Stage
from twinset.testing import BruteStage, asset, box, plane

SIZE = (64, 48)
OPTIONS = AlignOptions(trial_images=6, workers=1)
COMMON: dict[str, Any] = {"classes": [builtin_class("chair")], "placements": [on_floor(1, 1)], "size": SIZE}
FAR = plugin_table("framed", area=[0.02, 0.05], candidates=8)
"""A camera that takes chairs from afar."""
Render = Callable[[Recipe, Path, Callable[[Event], None]], None]


def open_numpy(recipe: Recipe) -> Stage:
    """A floor of 6 x 6 m and two boxes as chairs: few triangles, of which pictures are quickly made."""
    chairs = [asset("stool", "chair", box((0.4, 0.4, 0.45))), asset("high stool", "chair", box((0.35, 0.35, 0.7)))]
    return BruteStage({"Floor": plane((6.0, 6.0))}, chairs, resolution=(recipe.output.width, recipe.output.height))


def render(recipe: Recipe, out: Path, watch: Callable[[Event], None]) -> None:
    for event in Job(recipe, out, open_numpy).run():
        watch(event)


def no_render(recipe: Recipe, out: Path, watch: Callable[[Event], None]) -> None:
    raise AssertionError(f"rendered into {out}")


def pretend(recipe: Recipe, out: Path, watch: Callable[[Event], None]) -> None:
    """Renders nothing, for tests of what steps do to the recipe."""
    out.mkdir(parents=True, exist_ok=True)
    watch(Finished(out, recipe.images, 0, Funnel(0, {}, 0, 0, 0), None))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The COCO file of 40 pictures, each of a bright block that covers 15 to 35 % of it before a cloudy wall."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "images").mkdir()
    (width, height), images, annotations = SIZE, [], []
    for k in range(40):
        rng = np.random.default_rng(k)
        clouds = cv2.resize(rng.uniform(40, 110, (5, 6, 3)), SIZE, interpolation=cv2.INTER_CUBIC)
        w = float(np.sqrt(rng.uniform(0.15, 0.35) * width * height * 1.1))
        h = w / 1.1
        x, y = rng.uniform(0, width - w), rng.uniform(0.3, 1.0) * (height - h)
        corners = [(int(x), int(y)), (int(x + w), int(y + h))]
        cv2.rectangle(clouds, *corners, tuple(rng.uniform(140, 220, 3).tolist()), -1)
        noisy = np.clip(clouds + rng.normal(0, 3, clouds.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"{k:06d}.png"), noisy)
        images.append({"id": k, "file_name": f"{k:06d}.png", "width": width, "height": height})
        annotations.append({"id": k, "image_id": k, "category_id": 1, "bbox": [x, y, w, h], "area": w * h})
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "chair"}]}
    (folder / "real.json").write_text(json.dumps(data))
    return folder / "real.json"


@pytest.fixture(scope="module")
def place(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe."""
    folder = tmp_path_factory.mktemp("place")
    text = recipe_text(**COMMON, real=str(photos), cameras=[FAR], images=8, seed=1)
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    return folder


def run(folder: Path, out: Path, renderer: Render = render, said: list[str] | None = None, **options: Any) -> Alignment:
    say = [].append if said is None else said.append
    surroundings = Surroundings(renderer, say=say)
    return align(folder / "recipe.toml", None, out, attrs.evolve(OPTIONS, **options), surroundings)


@pytest.fixture(scope="module", autouse=True)
def quick_page() -> Iterator[None]:
    """The usual report is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        page = SimpleNamespace(html=b"<html></html>")
        patch.setattr("twinset.dataset.aligning.steps.report.make_report", lambda *args, **options: page)
        yield


@pytest.fixture(scope="module")
def finished(place: Path) -> tuple[Alignment, Path]:
    """A whole run, and the folder that it was moved to: another run may have the place, whose name recipes hold."""
    done = run(place, place / "out")
    (place / "out").rename(place / "finished")
    return done, place / "finished"


@pytest.fixture
def copy(finished: tuple[Alignment, Path], place: Path) -> Iterator[Path]:
    """The whole run at its place, for a test to change."""
    shutil.copytree(finished[1], place / "out")
    yield place / "out"
    shutil.rmtree(place / "out")


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def states(done: Alignment) -> dict[str, str]:
    return {outcome.step.name: outcome.state for outcome in done.steps}


def test_a_whole_run_leaves_a_recipe_that_renders_boxes_like_the_real_ones(
    finished: tuple[Alignment, Path], photos: Path
) -> None:
    done, out = finished
    assert set(states(done).values()) == {DONE}
    recipe = load_recipe(out / "recipe.toml")
    assert [use.id for use in recipe.plugins["target"]] == ["bbox_area_gmm"]
    *camera, last = recipe.plugins["effect"]
    assert {Path(use.plugin.fit) for use in camera} == {out / "camera.json"} and len(camera) == 6
    assert last.id == "replace_background" and Path(last.plugin.image_folder) == out / "backgrounds"
    exposed = json.loads((out / "photos" / "exposed.json").read_text())["images"]
    assert 2 <= len(list((out / "backgrounds").iterdir())) <= len(exposed)
    assert recipe.real is not None and recipe.path(recipe.real.annotations) == out / "photos" / "exposed.json"
    parts = [json.loads((out / "photos" / f"{part}.json").read_text()) for part in ("exposed", "test")]
    names = [{image["file_name"] for image in part["images"]} for part in parts]
    assert not names[0] & names[1] and len(names[0] | names[1]) == 40 and len(names[1]) >= 10
    assert len(json.loads((out / "dataset" / "annotations" / "instances.json").read_text())["images"]) == 8
    # Chairs from afar are a fraction as large as the real ones, of which the target knows.
    areas = {
        name: median_area(out / path) for name, path in (("baseline", "trials/baseline"), ("areas", "trials/areas"))
    }
    real = median(json.loads(photos.read_text()))
    assert areas["baseline"] < 0.3 * real < areas["areas"] and abs(areas["areas"] / real - 1) < 0.5
    gains = done.result("report")["gains"]
    assert gains["real"]["images"] == len(names[1])
    measured = gains["boxes"]["datasets"]
    assert gains["order"] == list(done.datasets) and set(measured) == set(gains["order"])
    sizes = {name: one["components"]["sqrt_area"]["ratio"] for name, one in measured.items()}
    assert sizes["baseline"] > 3 and max(sizes["areas"], sizes["camera"], sizes["dataset"]) < 2
    assert measured["areas"]["value"] < measured["baseline"]["value"]
    page = (out / "align.html").read_text(encoding="utf-8")
    assert all(step.title in page for step in STEPS) and page.count("<img") == len(done.datasets)
    assert (out / "report.html").is_file()


def median_area(folder: Path) -> float:
    return median(json.loads((folder / "annotations" / "instances.json").read_text()))


def median(coco: dict[str, Any]) -> float:
    """The median area of the boxes, as a share of the picture."""
    return float(np.median([a["bbox"][2] * a["bbox"][3] for a in coco["annotations"]])) / (SIZE[0] * SIZE[1])


def test_a_second_call_keeps_everything(copy: Path, place: Path) -> None:
    before = files(copy)
    done = run(place, copy, no_render)
    assert set(states(done).values()) == {KEPT}
    assert files(copy) == before


def test_interrupted_in_every_render_it_makes_the_same_bytes(finished: tuple[Alignment, Path], place: Path) -> None:
    rendered: list[Path] = []

    def stopping(recipe: Recipe, out: Path, watch: Callable[[Event], None]) -> None:
        fresh = out not in rendered
        rendered.append(out)
        for event in Job(recipe, out, open_numpy).run():
            watch(event)
            if fresh and isinstance(event, FrameDone) and event.done == 3:
                raise KeyboardInterrupt

    out = place / "out"
    try:
        for _ in range(10):
            try:
                run(place, out, stopping, skip=("report",))
                break
            except KeyboardInterrupt:
                continue
        assert len(set(rendered)) >= 4 and len(rendered) == 2 * len(set(rendered))
        again, first = files(out), files(finished[1])
        for name in ("align.html", "align.json", "report.html"):  # of the step that was skipped
            first.pop(name), again.pop(name, None)
        assert again.keys() == first.keys()
        assert [name for name in first if again[name] != first[name]] == []
    finally:
        shutil.rmtree(out)


def test_damaged_and_missing_files_are_made_again(copy: Path, place: Path) -> None:
    before = files(copy)
    (copy / "camera.json").write_text("{}")
    (copy / "trials" / "areas" / "images" / "000002.jpg").unlink()
    said: list[str] = []
    done = run(place, copy, said=said)
    assert {name for name, state in states(done).items() if state == DONE} == {"areas", "camera"}
    assert any("'camera'" in text and "camera.json has changed" in text for text in said)
    assert files(copy) == before


def test_changed_inputs_are_named_and_only_done_again_when_asked(copy: Path, place: Path) -> None:
    before = files(copy)
    with pytest.raises(OutputError, match=r"'baseline' was begun with other inputs: --trial-images is 5 instead of 6"):
        run(place, copy, no_render, trial_images=5)
    with pytest.raises(
        OutputError, match=r"'split' was begun with other inputs: --test is 0\.5 instead of 0\.3.*--redo"
    ):
        run(place, copy, no_render, test_share=0.5)
    text = (place / "recipe.toml").read_text(encoding="utf-8")
    try:
        assert "count = [1, 1]" in text
        (place / "recipe.toml").write_text(text.replace("count = [1, 1]", "count = [1, 2]"), encoding="utf-8")
        with pytest.raises(OutputError, match=r"'baseline' .*\[placement\] of the recipe has changed"):
            run(place, copy, no_render)
    finally:
        (place / "recipe.toml").write_text(text, encoding="utf-8")
    assert files(copy) == before
    # Other photos are held out, and the recipe names the others in each step.
    done = run(place, copy, pretend, redo=True, seed=1, until="areas", skip=("report",))
    assert states(done)["split"] == states(done)["baseline"] == states(done)["areas"] == DONE
    assert not (copy / "trials" / "areas" / "images").exists()  # of the other photos


def test_a_changed_photo_is_named(copy: Path, place: Path, photos: Path) -> None:
    photo = photos.parent / "images" / "000007.png"
    kept = photo.read_bytes()
    try:
        cv2.imwrite(str(photo), np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
        with pytest.raises(OutputError, match=r"'split' was begun with other inputs: '000007\.png' has changed"):
            run(place, copy, no_render)
    finally:
        photo.write_bytes(kept)


def test_more_images_are_added_to_those_that_exist(copy: Path, place: Path) -> None:
    first = (copy / "dataset" / "images" / "000003.jpg").read_bytes()
    done = run(place, copy, images=10, skip=("report",))
    assert {name for name, state in states(done).items() if state == DONE} == {"dataset", "filter"}
    assert len(list((copy / "dataset" / "images").glob("*.jpg"))) == 10
    assert (copy / "dataset" / "images" / "000003.jpg").read_bytes() == first


READING = ("infer", "features", "shapes", "filter", "report")
"""Steps that read rendered images."""


@pytest.mark.parametrize("name", [step.name for step in STEPS])
def test_each_step_can_be_skipped(name: str, place: Path, tmp_path: Path) -> None:
    done = run(place, tmp_path / "out", pretend, skip=tuple({*READING, name}))
    assert states(done)[name] == (DONE if name == "split" else SKIPPED)
    assert next(outcome.reason for outcome in done.steps if outcome.step.name == "report") == "asked for"
    recipe = load_recipe(tmp_path / "out" / "recipe.toml")
    assert bool(recipe.plugins.get("target")) == (name != "areas")
    effects = {use.id for use in recipe.plugins.get("effect", ())}
    assert ("noise" in effects) == (name != "camera") and ("replace_background" in effects) == (name != "backgrounds")
    assert (tmp_path / "out" / "trials" / "baseline").is_dir() == (name != "baseline")
    assert (tmp_path / "out" / "dataset").is_dir() == (name != "dataset")
    assert (tmp_path / "out" / "photos" / "test.json").is_file() == (name != "split")


def test_steps_that_need_a_skipped_one_are_skipped_too(place: Path, tmp_path: Path) -> None:
    done = run(place, tmp_path / "out", pretend, skip=("features", "infer", "report"))
    reasons = {outcome.step.name: outcome.reason for outcome in done.steps if outcome.state == SKIPPED}
    assert reasons["shapes"] == reasons["filter"] == "needs 'features'"


def test_without_photos_the_steps_that_open_them_are_skipped(photos: Path, place: Path, tmp_path: Path) -> None:
    shutil.copy(photos, tmp_path / "boxes.json")
    done = align(place / "recipe.toml", tmp_path / "boxes.json", tmp_path / "out", OPTIONS, Surroundings(pretend))
    of = states(done)
    assert [name for name in of if of[name] == SKIPPED] == [
        *("camera", "backgrounds", "infer", "features", "shapes", "filter")
    ]
    assert not load_recipe(tmp_path / "out" / "recipe.toml").plugins.get("effect")


def test_with_few_photos_none_is_held_out(photos: Path, place: Path, tmp_path: Path) -> None:
    coco = json.loads(photos.read_text())
    coco["images"] = coco["images"][:12]
    known = {image["id"] for image in coco["images"]}
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] in known]
    (tmp_path / "few.json").write_text(json.dumps(coco))
    surroundings = Surroundings(no_render)
    options = attrs.evolve(OPTIONS, skip=tuple(step.name for step in STEPS[1:]))
    images = photos.parent / "images"
    done = align(
        place / "recipe.toml", tmp_path / "few.json", tmp_path / "out", options, surroundings, real_images=images
    )
    result = done.result("split")
    assert not result["held_out"] and result["images"] == {"exposed": 12, "test": 0}
    assert "too few boxes" in done.steps[0].step.sentences(result)[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip": ("areass",)}, "--skip must be a step: split, .*Got 'areass'"),
        ({"until": "x"}, "--until must be a step"),
        ({"until": "camera", "skip": ("camera",)}, "both the last one and skipped"),
        ({"test_share": 1.5}, "between 0 and 1. Got 1.5"),
        ({"classes": ("table",)}, "The recipe has no class 'table'. Its classes: chair"),
        ({"model": Path("none.onnx")}, "'none.onnx' does not exist"),
    ],
)
def test_bad_options_are_refused_before_anything_is_made(
    options: dict[str, Any], message: str, place: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        run(place, tmp_path / "out", no_render, **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_files_is_left_alone(place: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other files"):
        run(place, tmp_path, no_render)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_camera_that_reaches_no_goal_is_replaced(photos: Path, tmp_path: Path) -> None:
    text = recipe_text(**COMMON, real=str(photos), cameras=[orbit(3.0, 5.0)], images=2)
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    done = run(tmp_path, tmp_path / "out", pretend, skip=("camera", *READING))
    recipe = load_recipe(tmp_path / "out" / "recipe.toml")
    assert [use.id for use in recipe.plugins["camera"]] == ["framed"]
    assert done.result("areas")["replaced_cameras"] == ["orbit"]

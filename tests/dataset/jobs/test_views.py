# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs with several views of each layout: each meets goals of its own, and none depends on what was rendered before."""

from __future__ import annotations

import itertools
import json
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from real_boxes import write_square_boxes
from recipes import on_floor, orbit, plugin_table, recipe_of
from twinset.dataset.analysis.real_boxes import real_boxes
from twinset.dataset.jobs.job import Job
from twinset.dataset.jobs.preview import Preview
from twinset.engine.errors import RecipeError
from twinset.engine.plugin import Rejected
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.recipe.writing import dump_recipe
from twinset.engine.sampling.layouts import view_attempts
from twinset.engine.sampling.sampler import Sampler
from twinset.engine.sampling.schedule import plan_of
from twinset.plugins.cameras.orbit import Orbit
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.render_process import file_bytes

W, H = 64, 48
VIEWS = 3
FOCUS = {"plugin": "depth_of_field", "probability": 0.5}
CHAIRS = [{"name": "chair", "builtin": "chair"}]


def stage_of(recipe: Recipe, kind: type[BruteStage] = BruteStage, **options: Any) -> BruteStage:
    assets = [asset("stool", "chair", box((0.4, 0.4, 0.45))), asset("high stool", "chair", box((0.35, 0.35, 0.7)))]
    return kind({"Floor": plane((8.0, 8.0))}, assets, resolution=(recipe.output.width, recipe.output.height))


def recipe(folder: Path, *, images: int = 12, block: int = 6, views: int = VIEWS, **values: Any) -> Recipe:
    default = {
        "seed": 5,
        "classes": CHAIRS,
        "placements": [on_floor(3, 4)],
        "cameras": [orbit(1.5, 3.0)],
        "appearances": ["world", FOCUS],
        "output": {"format": "png"},
    }
    return recipe_of(
        folder, images=images, views=views, size=(W, H), render={"block_size": block}, **{**default, **values}
    )


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((out / "frames").glob("*.json"))]


def places(record: dict[str, Any]) -> list[Any]:
    return [(i["shape"], i["matrix"]) for i in record["instances"]]


def calls(record: dict[str, Any], name: str) -> list[Any]:
    return [call for call in record["draws"]["appearance"] if call["call"] == name]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("views")
    list(Job(recipe(folder), folder / "out", stage_of).run())
    return folder / "out"


def test_views_share_the_layout_and_have_cameras_and_focus_of_their_own(rendered: Path) -> None:
    found = records(rendered)
    assert [r["verdict"] for r in found] == ["accepted"] * 12
    focused = 0
    for start in range(0, 12, VIEWS):
        group = found[start : start + VIEWS]
        assert [r["draws"]["layout"] for r in group] == [{"frame": start, "view": k} for k in range(VIEWS)]
        assert all(places(r) == places(group[0]) for r in group)
        assert len({tuple(r["camera"]["matrix"]) for r in group}) == VIEWS
        assert all(calls(r, "set_world") == calls(group[0], "set_world") for r in group)
        # Drawn for each view; one without it has not that of the view before.
        focused += sum(bool(calls(r, "set_focus")) for r in group)
        assert all(len(calls(r, "set_focus")) <= 1 for r in group)
    assert 0 < focused < 12
    assert places(found[0]) != places(found[VIEWS])
    coco = json.loads((rendered / "annotations/instances.json").read_text())
    shown = [(i["twinset"]["layout"], i["twinset"]["view"]) for i in coco["images"]]
    assert shown == [(frame - frame % VIEWS, frame % VIEWS) for frame in range(12)]
    assert "track_id" not in coco["annotations"][0]


def test_views_are_the_same_in_any_order_and_after_interruption(rendered: Path, tmp_path: Path) -> None:
    own = recipe(rendered.parent)
    again = tmp_path / "again"
    list(Job(own, again, stage_of).run(range(2)))  # as if it had been killed between two views
    list(Job(own, again, stage_of).run(range(6, 11)))
    list(Job(own, again, stage_of).run())
    for kind in ("images", "frames"):
        assert file_bytes(again / kind) == file_bytes(rendered / kind), kind
    for frame in (1, 7):
        (again / f"images/{frame:06d}.png").unlink()
    list(Job(own, again, stage_of).run())
    assert file_bytes(again / "images") == file_bytes(rendered / "images")
    assert [Job(own, again, stage_of).verify(frame) for frame in (0, 4, 11)] == ["", "", ""]


def test_previews_show_the_frames_of_the_job(rendered: Path) -> None:
    own = recipe(rendered.parent)
    preview = Preview(stage_of)
    for _ in preview.change(own):
        pass
    for frame in (4, 5, 1):
        shown, made = preview.record(frame), records(rendered)[frame]
        assert shown["draws"]["layout"] == made["draws"]["layout"]
        np.testing.assert_allclose(shown["camera"]["matrix"], made["camera"]["matrix"], atol=1e-7)
        assert [i["shape"] for i in shown["instances"]] == [i["shape"] for i in made["instances"]]
        for one, other in zip(shown["instances"], made["instances"], strict=True):
            np.testing.assert_allclose(one["matrix"], other["matrix"], atol=1e-7)


def targeted(folder: Path, **values: Any) -> Recipe:
    write_square_boxes(folder / "real.json", np.linspace(0.02, 0.09, 24))
    given = {"cameras": [plugin_table("framed")], "appearances": [], "placements": [on_floor(2, 2)]}
    return recipe(folder, real="real.json", target="bbox_area_gmm", **{**given, **values})


def test_each_view_meets_goals_of_its_own(tmp_path: Path) -> None:
    own = targeted(tmp_path, images=24, block=12)
    list(Job(own, tmp_path / "out", stage_of).run())
    found = records(tmp_path / "out")
    assert [r["verdict"] for r in found] == ["accepted"] * 24
    for record in found:
        main = next(i for i in record["instances"] if i["main"])
        assert main["bbox"][2] * main["bbox"][3] / (W * H) == pytest.approx(record["goals"]["area"], rel=0.15)
    # Other goals for each, as spread out as those of images with a layout each.
    areas = np.sqrt([r["goals"]["area"] for r in found])
    assert len(set(areas)) == 24
    alone = targeted(tmp_path, images=24, block=12, views=1)
    list(Job(alone, tmp_path / "alone", stage_of).run())
    others = np.sqrt([r["goals"]["area"] for r in records(tmp_path / "alone")])
    np.testing.assert_allclose(np.quantile(areas, [0.1, 0.5, 0.9]), np.quantile(others, [0.1, 0.5, 0.9]), atol=0.02)
    shared = [r["draws"]["layout"]["view"] for r in found]
    assert sum(view > 0 for view in shared) >= 12
    assert Job(own, tmp_path / "out", stage_of).verify(23) == ""


def test_a_view_that_no_camera_can_have_gets_a_layout_which_the_next_ones_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pose = Orbit.pose
    first: list[Any] = []

    def refusing(self: Any, stage: Any, goals: Any, rng: np.random.Generator) -> Any:
        shown = [i.matrix.tolist() for i in stage.instances]
        if goals.frame == 0:
            first[:] = shown
        elif goals.frame == 1 and shown == first:
            raise Rejected("camera: not of this one")
        return pose(self, stage, goals, rng)

    monkeypatch.setattr(Orbit, "pose", refusing)
    own = recipe(tmp_path, images=6)
    list(Job(own, tmp_path / "out", stage_of).run())
    found = records(tmp_path / "out")
    assert [r["draws"]["layout"]["frame"] for r in found] == [0, 1, 1, 3, 3, 3]
    assert found[1]["rejected"][: view_attempts(20, 1)] == ["camera: not of this one"] * 4
    assert places(found[2]) == places(found[1]) != places(found[0])
    assert Job(own, tmp_path / "out", stage_of).verify(2) == ""
    (tmp_path / "out/frames/000002.json").unlink()
    before = (tmp_path / "out/images/000002.png").read_bytes()
    list(Job(own, tmp_path / "out", stage_of).run())
    assert (tmp_path / "out/images/000002.png").read_bytes() == before


def test_what_one_view_leaves_out_is_in_the_next_one(tmp_path: Path) -> None:
    """Small objects are hidden, see the filter min_pixels; they may be large for another camera."""
    filters = [plugin_table("min_pixels", pixels=60)]
    own = recipe(tmp_path, images=24, block=12, cameras=[orbit(1.0, 5.0)], filters=filters)
    list(Job(own, tmp_path / "out", stage_of).run())
    found = records(tmp_path / "out")
    came_back = 0
    for earlier, later in itertools.pairwise(found):
        if later["draws"]["layout"]["view"]:
            gone = {i["id"] for i in earlier["instances"] if i["reason"].startswith("removed")}
            came_back += bool(gone & {i["id"] for i in later["instances"] if i["area"] > 0})
    assert came_back
    assert [Job(own, tmp_path / "out", stage_of).verify(frame) for frame in (1, 2, 14)] == ["", "", ""]


def test_views_are_in_one_part_and_variant_and_empty_frames_have_layouts_of_their_own(tmp_path: Path) -> None:
    own = recipe(tmp_path, images=24, block=12, seed=3, split={"val": 0.5}, empty_share=0.5)
    plan = plan_of(own)
    assert all(len({plan(f).part for f in range(start, start + VIEWS)}) == 1 for start in range(0, 24, VIEWS))
    list(Job(own, tmp_path / "out", stage_of).run())
    empty = 0
    for start in range(0, 24, VIEWS):
        group = records(tmp_path / "out")[start : start + VIEWS]
        assert len({r["draws"]["part"] for r in group}) == len({bool(r["instances"]) for r in group}) == 1
        if not group[0]["instances"]:
            empty += 1
            assert [r["draws"]["layout"]["frame"] for r in group] == [start, start + 1, start + 2]
    assert 2 <= empty <= 6


def test_views_and_variants_draw_each_goal_once(tmp_path: Path) -> None:
    write_square_boxes(tmp_path / "real.json", np.linspace(0.02, 0.09, 24))
    more = '\n[[variant]]\nname = "near"\n\n[[variant]]\nname = "far"\nplacement.on_surface.count = [2, 2]\n'
    given: dict[str, Any] = {"cameras": [plugin_table("framed")], "appearances": [], "placements": [on_floor(2, 3)]}
    own = recipe(tmp_path, images=24, block=12, real="real.json", target="bbox_area_gmm", more=more, **given)
    sampler = Sampler(own, stage_of(own), real_boxes(own))
    made = [sampler._assignment_of(frame) for frame in range(48)]
    assert all(len({a.variant for a in made[k : k + VIEWS]}) == 1 for k in range(0, 48, VIEWS))
    for variant in (0, 1):
        draws = [a.draw for a in made if a.variant == variant]
        assert draws == list(range(len(draws))) and len(draws) >= 2 * VIEWS


def test_what_cannot_have_views_is_refused(tmp_path: Path) -> None:
    write_square_boxes(tmp_path / "real.json", [0.02, 0.03])
    with pytest.raises(RecipeError, match=r"views .*share a layout by views or by \[sequence\], not by both"):
        recipe(tmp_path, more="\n[sequence]\nlength = 2\n")
    with pytest.raises(RecipeError, match=r"share a layout by views or by \[rig\]"):
        recipe(tmp_path, more="\n[[rig]]\n")
    with pytest.raises(RecipeError, match=r"block_size .*whole layouts of 3 views\. Set it to 9\. Got 10"):
        recipe(tmp_path, block=10)
    with pytest.raises(RecipeError, match=r"\[\[camera\]\].*'layout' makes a layout for each image"):
        recipe(tmp_path, real="real.json", target="layout_gmm", cameras=[plugin_table("layout")])
    own = recipe(tmp_path, images=7)  # the last layout has one view
    assert loads_recipe(dump_recipe(own), tmp_path, "again") == own


def test_few_attempts_leave_some_for_a_new_layout() -> None:
    assert [view_attempts(n, 1) for n in (1, 2, 4, 20)] == [1, 1, 2, 4]
    assert view_attempts(20, 6) == 6


def test_a_layout_that_is_still_there_is_not_made_again(tmp_path: Path) -> None:
    class Counting(BruteStage):
        made = 0

        def clear(self) -> None:
            Counting.made += 1
            super().clear()

    own = attrs.evolve(recipe(tmp_path, images=6))
    list(Job(own, tmp_path / "out", partial(stage_of, kind=Counting)).run())
    attempts = sum(r["attempts"] for r in records(tmp_path / "out") if not r["draws"]["layout"]["view"])
    assert Counting.made <= attempts + 2  # each attempt with a layout of its own, and the stage before and after

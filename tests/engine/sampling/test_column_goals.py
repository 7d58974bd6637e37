# SPDX-License-Identifier: GPL-3.0-or-later
"""Goals for any column: attempts chosen so that depth or brightness follows the wanted values, and told how."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text
from twinset.dataset.analysis.goal_progress import GoalTally, goal_sentences, wanted_values
from twinset.engine.block import Block
from twinset.engine.errors import DataError, RecipeError
from twinset.engine.recipe.reading import dump_recipe, load_recipe, loads_recipe
from twinset.engine.recipe.settings import GoalSettings
from twinset.engine.sampling.column_goals import ALONE, DRAFTS, PROBES, ColumnGoalScorer, GoalValues

RECIPE = recipe_text(
    seed=3,
    images=24,
    scene="open.blend",
    placements=[on_floor(1, 3, cluster_radius=2.0)],
    cameras=[orbit(1.0, 8.0)],
    render={**ONE_SAMPLE, "block_size": 8},
    size=(96, 72),
    output={"report": False},
)
DEPTH = """
[[goal]]
column = "depth"
class_name = "chair"
quantiles = [1.5, 1.75, 2.0, 2.5, 3.0]
candidates = 6
"""

ONE = 'column = "depth"\nquantiles = [1.0, 2.0, 3.0, 4.0, 5.0]'


@pytest.fixture(scope="module")
def folder(rooms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("goals")
    for room in rooms.glob("*.blend"):
        shutil.copy2(room, folder)
    return folder


def run(folder, text, name):
    from twinset.blender.stage import open_stage
    from twinset.dataset.jobs.job import Job

    (folder / f"{name}.toml").write_text(text)
    job = Job(load_recipe(folder / f"{name}.toml"), folder / name, open_stage)
    *_, finished = job.run()
    records = [json.loads(p.read_text()) for p in sorted((folder / name / "frames").glob("*.json"))]
    return job, finished, records


def shown(records, column):
    return np.array([r["columns"][column] for record in records for r in record["instances"] if r["annotated"]])


def gap(values, quantiles):
    """Largest gap between the distribution of values and the one between quantiles."""
    grid = np.linspace(0, 1, 2001)
    wanted = np.interp(grid, np.linspace(0, 1, len(quantiles)), quantiles)
    return np.abs(np.searchsorted(np.sort(values), wanted, side="right") / len(values) - grid).max()


def test_depth_follows_what_is_wanted(folder):
    _, plain, before = run(folder, RECIPE, "plain")
    job, finished, after = run(folder, RECIPE + DEPTH, "depth")
    wanted = [1.5, 2.0, 3.0]
    assert gap(shown(after, "depth"), wanted) < 0.6 * gap(shown(before, "depth"), wanted)
    (facts,) = finished.funnel.goals
    assert facts["way"] == PROBES and 3 < facts["compared"] <= 6 and facts["values"] == len(shown(after, "depth"))
    assert "Goal 'depth' of 'chair' by candidates on probes" in goal_sentences([facts])[0]
    assert json.loads((folder / "depth" / "stage.json").read_text())["goals"][0]["column"] == "depth"
    assert not plain.funnel.goals
    # One frame alone, by its accepted attempt: the same bytes.
    late = next(r["frame"] for r in after if r["attempts"] > 1)
    assert job.verify(late) == ""


def test_blocks_are_made_in_any_order(folder):
    from twinset.blender.stage import open_stage
    from twinset.dataset.jobs.job import Job

    _, _, whole = run(folder, RECIPE + DEPTH, "depth")
    recipe = load_recipe(folder / "depth.toml")
    list(Job(recipe, folder / "shares", open_stage).run(range(16, 24)))
    for record in whole[16:24]:
        assert json.loads((folder / "shares" / "frames" / f"{record['frame']:06d}.json").read_text()) == record


def test_what_needs_the_picture_goes_by_drafts_and_shares_by_things_seen_alone(folder):
    goals = """
[[goal]]
column = "image_brightness"
quantiles = [0.1, 0.3, 0.5, 0.7, 0.9]
candidates = 2
[[goal]]
column = "visible_share"
quantiles = [0.5, 0.7, 0.9, 1.0, 1.0]
candidates = 2
"""
    _, finished, records = run(folder, RECIPE.replace("images = 24", "images = 3") + goals, "ways")
    assert [g["way"] for g in finished.funnel.goals] == [DRAFTS, ALONE]
    # What a thing shows of itself is the same in probe and picture.
    for record in records:
        values = [r["visible_share"] for r in record["instances"] if r["annotated"]]
        assert record["aims"]["shown"][1]["values"] == pytest.approx(values)


def test_a_column_that_nothing_measures_is_a_sentence(folder):
    with pytest.raises(DataError, match="No metric of the recipe gives the column 'deepness'"):
        run(folder, RECIPE + DEPTH.replace("depth", "deepness"), "unknown")


def test_values_come_from_files_or_quantiles(folder):
    (folder / "real.csv").write_text("image_id,class,depth\n1,chair,2.5\n1,table,9\n2,chair,\n3,chair,1.5\n")
    recipe = loads_recipe(RECIPE + DEPTH, folder, "r")
    real = GoalSettings("depth", "chair", "real.csv")
    assert sorted(wanted_values(recipe, real)) == [1.5, 2.5]
    assert sorted(wanted_values(recipe, GoalSettings("depth", "", "real.csv"))) == [1.5, 2.5, 9]
    drawn = wanted_values(recipe, recipe.goals[0])
    assert np.median(drawn) == pytest.approx(2.0, abs=0.01) and drawn.min() >= 1.5 and drawn.max() <= 3.0
    with pytest.raises(DataError, match=r"no column 'a_d2'.*class, depth, image_id"):
        wanted_values(recipe, GoalSettings("a_d2", "chair", "real.csv"))
    with pytest.raises(DataError, match="no value of 'depth' for the class 'sofa'"):
        wanted_values(recipe, GoalSettings("depth", "sofa", "real.csv"))


def test_boxes_of_layouts_that_are_missing_or_off_are_told(folder):
    goals = {"boxes": [{"class_name": "chair", "area": 0.01}, {"class_name": "bag", "area": 0.02}] * 2}
    rows = [
        {"class": "chair", "annotated": True, "goal": 0, "bbox": [0, 0, 10, 10]},  # 0.01 of 100 x 100
        {"class": "bag", "annotated": True, "goal": 1, "bbox": [0, 0, 10, 10]},  # half of what it is to be
        {"class": "bag", "annotated": False, "goal": 3, "bbox": [0, 0, 10, 20]},
        {"class": "bag", "annotated": True, "goal": None, "bbox": [0, 0, 10, 20]},
    ]
    tally = GoalTally()
    tally.add({"verdict": "accepted", "goals": goals, "image": {"width": 100, "height": 100}, "instances": rows})
    (folder / "real.json").write_text('{"images": [], "annotations": [], "categories": []}')
    recipe = loads_recipe(
        RECIPE.replace('"orbit"\ndistance = [1.0, 8.0]', '"layout"')
        + '[real]\nannotations = "real.json"\n[target]\nplugin = "layout_gmm"\n',
        folder,
        "r",
    )
    (facts,) = tally.summary(recipe)
    assert (
        facts["asked"] == {"chair": 2, "bag": 2} and facts["shown"] == {"chair": 1, "bag": 1} and facts["near"] == 0.5
    )
    (sentence,) = goal_sentences([facts])
    assert "1 of 2 chair boxes, 1 of 2 bag boxes are visible, 50% of them within 5% of their goal's area" in sentence


def test_goals_survive_being_written(folder):
    recipe = loads_recipe(RECIPE + DEPTH, folder, "r")
    assert loads_recipe(dump_recipe(recipe), folder, "again").goals == recipe.goals


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('column = "depth"', "has no values"),
        ('column = "depth"\nquantiles = [2.0, 1.0, 3.0, 4.0, 5.0]', "five numbers in ascending order"),
        ('column = "depth"\nquantiles = [1.0, 2.0, 3.0, 4.0, 5.0]\nclass_name = "sofa"', "no class 'sofa'"),
        ('column = "depth"\nreal = "missing.csv"', "There is nothing at"),
        ('column = "depth"\nreal = "open.blend"\nquantiles = [1.0, 2.0, 3.0, 4.0, 5.0]', "either real or quantiles"),
        (f"{ONE}\n[[goal]]\n{ONE}", "already a"),
    ],
)
def test_contradictions_are_sentences(folder, text, said):
    with pytest.raises(RecipeError, match=said):
        loads_recipe(f"{RECIPE}\n[[goal]]\n{text}\n", folder, "r")


def test_boxes_are_the_targets_own_matter(folder):
    (folder / "real.json").write_text('{"images": [], "annotations": [], "categories": []}')
    text = '[real]\nannotations = "real.json"\n[target]\nplugin = "layout_gmm"\n[[goal]]\ncolumn = "bbox_area"\n'
    with pytest.raises(RecipeError, match="already controls boxes"):
        loads_recipe(RECIPE + text, folder, "r")


def test_each_frame_has_a_value_of_its_own_and_misses_are_made_up_for():
    scorer = ColumnGoalScorer([GoalSettings("depth")], [np.linspace(0, 1, 64)], seed=0)
    candidates = np.linspace(0.0, 1.0, 201)

    def best(block, frames):
        return float(
            candidates[np.argmin([scorer.cost([GoalValues(PROBES, (c,))], block, frames) for c in candidates])]
        )

    def follow(error):
        out = []
        for first in range(0, 64, 8):
            block = Block()
            for frame in range(first, first + 8):
                value = float(np.clip(best(block, range(first, frame + 1)) + error, 0, 1))
                block.add([], (1, 1), goal_values=[[value]])
                out.append(value)
        return out

    exact = follow(0.0)
    assert gap(exact, [0.0, 1.0]) < 0.06  # 64 values evenly spread are 1/64 off
    assert len({round(v, 2) for v in exact[::8]}) == 8
    assert abs(np.mean(follow(0.2)) - 0.5) < 0.06  # an error that always points one way does not add up

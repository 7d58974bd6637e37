# SPDX-License-Identifier: GPL-3.0-or-later
"""Assets that a recipe excludes: gone from class and scene, the others under the names that they had."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("bpy")

from recipes import builtin_class, recipe_of
from twinset.blender.stage import BlenderStage, open_stage
from twinset.engine.errors import StageError
from twinset.engine.recipe.reading import dump_recipe, loads_recipe


def opened(folder: Path, classes: str) -> BlenderStage:
    return open_stage(recipe_of(folder, classes, scene="open.blend", classes=[], size=(64, 48)))


def names(stage: BlenderStage) -> dict[str, list[str]]:
    return {name: [asset.name for asset in assets] for name, assets in stage.assets.items()}


def test_excluded_objects_are_neither_assets_nor_in_the_picture(rooms: Path) -> None:
    stage = opened(rooms, '[[class]]\nname = "chair"\ncollection = "Chairs"\nexclude = ["h?gh"]')
    assert names(stage) == {"chair": ["chair", "stool"]}
    # All three stand at the origin: 0.9 m with the chair, so a ray at 0.6 m tells who is left.
    assert stage.cast([[0, 0, 0.6]], [[0, 0, -1]]).distance[0] == pytest.approx(0.6)
    whole = opened(rooms, '[[class]]\nname = "chair"\nobjects = ["chair", "stool"]')
    assert whole.cast([[0, 0, 0.6]], [[0, 0, 1]]).distance[0] == pytest.approx(0.05)


def test_the_others_keep_their_names(rooms: Path) -> None:
    both = '[[class]]\nname = "a"\nbuiltin = "handbag"\n{}[[distractor]]\nbuiltin = "handbag"\n{}'
    all_of_them = names(opened(rooms, both.format("", "")))
    first, second = all_of_them["a"], all_of_them[""]
    assert len(first) > 1 and set(first).isdisjoint(second)
    some = names(opened(rooms, both.format(f'exclude = ["{first[0]}"]\n', f'exclude = ["{second[-1]}"]\n')))
    assert some == {"a": first[1:], "": second[:-1]}


@pytest.mark.parametrize(
    "exclude, said",
    [
        ('["hihg"]', "Class 'chair', exclude: there is no asset 'hihg'. Did you mean 'high'?"),
        ('["*"]', r"has no assets left: 'exclude' names all of them \(chair, high, stool\)"),
    ],
)
def test_mistakes_are_named(rooms: Path, exclude: str, said: str) -> None:
    with pytest.raises(StageError, match=said):
        opened(rooms, f'[[class]]\nname = "chair"\ncollection = "Chairs"\nexclude = {exclude}')


def test_recipes_keep_it(rooms: Path) -> None:
    recipe = recipe_of(rooms, classes=[{**builtin_class("chair"), "exclude": ["chair_s*"]}])
    assert recipe.classes[0].exclude == ["chair_s*"]
    assert loads_recipe(dump_recipe(recipe), rooms, "again.toml") == recipe


def test_weights_are_those_of_the_last_pattern_that_fits(rooms: Path) -> None:
    text = '[[class]]\nname = "chair"\ncollection = "Chairs"\nweights = {{ "*" = 2, "[hs]*" = 3, {} = 0.5 }}'
    (chairs,) = opened(rooms, text.format("stool")).assets.values()
    assert {asset.name: asset.weight for asset in chairs} == {"chair": 2.0, "high": 3.0, "stool": 0.5}
    with pytest.raises(StageError, match=r"Class 'chair', weights: there is no asset 'stol'. Did you mean 'stool'"):
        opened(rooms, text.format("stol"))

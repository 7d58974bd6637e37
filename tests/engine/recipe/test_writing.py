# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes that are written read back the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property_examples import examples
from recipes import plugin_table, recipe_of
from twinset.engine.plugin.params import Param, Range, describe
from twinset.engine.plugin.registry import catalogue
from twinset.engine.recipe.reading import dump_recipe, loads_recipe
from twinset.engine.recipe.settings import OutputSettings, Recipe, RenderSettings
from twinset.engine.recipe.tables.classes import ClassSettings


def value_of(p: Param) -> st.SearchStrategy[Any]:
    """Values that a parameter of settings may have."""
    if p.path:
        return st.just("" if p.type is str else [])
    if p.choices:
        return st.sampled_from(p.choices)
    low, high = (p.min if p.min is not None else -1e6), (p.max if p.max is not None else 1e6)
    number = st.floats(low, high, exclude_min=p.min_exclusive)
    if p.type is int:
        return st.integers(int(low), int(high))
    if p.type in (Range, Range | None):
        pair = st.tuples(number, number).map(lambda v: tuple(sorted(v)))
        return pair if p.type == Range else pair | st.none()
    if p.type == int | None:
        return st.integers(int(low), int(high)) | st.none()
    return {bool: st.booleans(), str: st.text(max_size=10), float: number}.get(p.type, st.just(p.default))


def settings_of(cls: type, **fixed: Any) -> st.SearchStrategy[Any]:
    values = {p.name: value_of(p) for p in describe(cls)} | {k: st.just(v) for k, v in fixed.items()}
    return st.builds(cls, **values)


@given(
    settings_of(RenderSettings),
    settings_of(OutputSettings),
    settings_of(ClassSettings, builtin="chair", blenderproc="bop", dataset=".", longest_side=None),
    st.integers(0, 2**63 - 1),
    st.floats(1e-6, 1e6),
)
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_reads_back_the_same(
    tmp_path: Path, render: RenderSettings, output: OutputSettings, entry: ClassSettings, seed: int, weight: float
) -> None:
    base = recipe_of(tmp_path, cameras=[plugin_table("close_up", weight=weight)])
    if not entry.name.strip():
        return
    recipe = Recipe(
        classes=(entry,),
        scene=base.scene,
        folder=base.folder,
        seed=seed,
        render=render,
        output=output,
        plugins=base.plugins,
    )
    text = dump_recipe(recipe)
    assert loads_recipe(text, tmp_path, "r.toml") == recipe
    assert dump_recipe(loads_recipe(text, tmp_path, "r.toml")) == text


@pytest.mark.parametrize("cls", catalogue(), ids=lambda c: f"{c.plugin_kind}-{c.plugin_id}")
def test_every_plugin_survives_toml(cls: type, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}")
    extra = {
        "on_surface": 'surfaces = ["Floor"]',
        **dict.fromkeys(("hanging", "on_wall", "physics", "scatter"), 'surfaces = ["Floor"]'),
        "beside": 'anchors = ["table"]\nsurfaces = ["Floor"]',
        "image_model": 'model = "real.json"',
        "background": 'image_folder = "."',
        "feature_score": 'features = "."',
        "jitter": 'frames = "."',
        "bop": '\n[output]\ndepth = "png"',
        "placement.jitter": 'frames = "."\nsurfaces = ["Floor"]',
    }
    title = "[target]" if cls.plugin_kind == "target" else f"[[{cls.plugin_kind}]]"
    text = f'{title}\nplugin = "{cls.plugin_id}"\n'
    text += extra.get(f"{cls.plugin_kind}.{cls.plugin_id}") or extra.get(cls.plugin_id, "")
    recipe = recipe_of(tmp_path, text, real="real.json")
    assert [use.id for use in recipe.plugins[cls.plugin_kind]] == [cls.plugin_id]
    assert loads_recipe(dump_recipe(recipe), tmp_path, "r.toml") == recipe


def test_a_header_cannot_add_lines_to_a_recipe() -> None:
    recipe = recipe_of()
    text = dump_recipe(recipe, header=["room\nimages = 3\r\x7f", ""])
    assert text.startswith("# room images = 3\n#\n")
    assert loads_recipe(text, recipe.folder, "recipe.toml") == recipe

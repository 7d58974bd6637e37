# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys of what boxes a scene can show, kept for other processes and later runs on the same scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from ..geometry.reachability import survey_reach
from ..geometry.support import Site
from ..goals import Goals, Reach
from ..recipe.settings import OutputSettings, Recipe, RenderSettings
from ..recipe.writing import dump_recipe
from ..stage import Stage
from .kept_results import kept_result


def kept_survey(
    recipe: Recipe,
    stage: Stage,
    placements: Sequence[tuple[str, Any]],
    camera: Any,
    class_names: Sequence[str],
    sites: Callable[[Goals], Sequence[Site]],
) -> dict[str, Reach]:
    """:func:`..geometry.reachability.survey_reach`, kept where all its plugins come with this program.

    What others depend on, such as modules that they import, is not known.
    """

    def compute() -> dict[str, Reach]:
        return survey_reach(stage, placements, camera, class_names, recipe.seed, sites=sites)

    if not all(_is_builtin(each) for each in (camera, *(plugin for _, plugin in placements))):
        return compute()
    inputs = [_scene_text(recipe, camera), [name for name, _ in placements], sorted(class_names)]
    return kept_result("survey", inputs, compute, _reach_to_json, _reach_from_json, of_scene=True)


def _is_builtin(plugin: Any) -> bool:
    return type(plugin).__module__.startswith(f"{__package__.rsplit('.', 2)[0]}.plugins.")


def _scene_text(recipe: Recipe, camera: Any) -> str:
    """What a recipe says of its scene, assets, placements and of one camera."""
    output = OutputSettings(width=recipe.output.width, height=recipe.output.height)
    cameras = tuple(use for use in recipe.plugins["camera"] if use.plugin is camera)
    return dump_recipe(
        attrs.evolve(
            recipe,
            images=1,
            empty_share=0.0,
            views=1,
            real=None,
            render=RenderSettings(),
            output=output,
            goals=(),
            variants=(),
            plugins={"placement": recipe.plugins.get("placement", ()), "camera": cameras},
        ),
        anchor=True,
    )


def _reach_to_json(reach: dict[str, Reach]) -> Any:
    return {name: attrs.asdict(each) for name, each in reach.items()}


def _reach_from_json(value: Any) -> dict[str, Reach]:
    def one(entries: dict[str, Any]) -> Reach:
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in entries.items()}
        return Reach(**values)

    return {name: one(entries) for name, entries in value.items()}

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the loop makes of the answers of effects: clipped, rounded, or refused with a sentence."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from twinset.engine.errors import PluginError
from twinset.engine.plugin import plugin
from twinset.engine.plugin.hooks import hook_problem
from twinset.engine.sampling.effects import AttemptEffects
from twinset.testing import make_shot


def run_effect(one: Any, image: np.ndarray | None = None) -> np.ndarray:
    image = np.full((4, 6, 3), 100, np.uint8) if image is None else image
    shot = make_shot(np.zeros(image.shape[:2], np.int32), n=0, image=image)
    effects = AttemptEffects([("effect.test.0", one)], 1, 2, 3)
    effects.of_probe(attrs.evolve(shot, image=np.empty((0, 0, 3), np.uint8)))
    return effects.of_shot(shot).image


def effect_of(**members: Any) -> Any:
    return plugin("effect", id="mine")(type("Mine", (), {"__doc__": "Mine.", "__module__": __name__, **members}))()


def test_values_beyond_black_and_white_are_clipped_after_each_effect() -> None:
    out = run_effect(effect_of(apply=lambda self, image, shot, rng: image * np.float32(9) - np.float32(2)))
    assert (out == 255).all()
    assert (run_effect(effect_of(apply=lambda self, image, shot, rng: image - np.float32(2))) == 0).all()


def test_eight_bits_survive_an_effect_that_does_nothing() -> None:
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert (run_effect(effect_of(apply=lambda self, image, shot, rng: image), image) == image).all()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda image: image[:2], "must return a float32 image of shape"),
        (lambda image: image.astype(float), "not float64"),
        (lambda image: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_wrong_answer_names_the_effect(answer: Any, sentence: str) -> None:
    with pytest.raises(PluginError, match=f"effect plugin 'mine' failed.*{sentence}"):
        run_effect(effect_of(apply=lambda self, image, shot, rng: answer(image)))


def test_a_map_of_the_wrong_shape_or_not_finite_names_the_effect() -> None:
    for source in (np.zeros((2, 2, 2)), np.full((4, 6, 2), np.nan)):
        one = effect_of(
            moves_pixels=True,
            apply=lambda self, image, shot, rng: image,
            source_pixels=lambda self, shot, rng, source=source: source,
        )
        with pytest.raises(PluginError, match=r"source_pixels\(\) must return finite numbers of shape \(4, 6, 2\)"):
            run_effect(one)


def test_hooks_take_what_was_drawn_where_something_is() -> None:
    def apply(self, image, shot, rng, drawn):
        return image

    def draw(self, shot, rng, common):
        return {}

    with_draw = plugin("effect", id="a")(
        type("A", (), {"apply": apply, "draw": draw, "source_pixels": lambda self, shot, rng, drawn: 0})
    )
    assert hook_problem(with_draw, "effect", set()) == ""
    without = plugin("effect", id="b")(
        type("B", (), {"apply": apply, "draw": draw, "source_pixels": lambda self, shot, rng: 0})
    )
    assert "must take (shot, rng, drawn)" in hook_problem(without, "effect", set())

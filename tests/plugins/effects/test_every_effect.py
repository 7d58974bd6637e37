# SPDX-License-Identifier: GPL-3.0-or-later
"""What all effects have in common: repeatable pictures, probabilities, sentences about contradictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from effect_pictures import applied
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.engine.plugin.params import build
from twinset.plugins.effects.blur import Blur
from twinset.plugins.effects.chromatic_aberration import ChromaticAberration
from twinset.plugins.effects.defocus import Defocus
from twinset.plugins.effects.exposure import Exposure
from twinset.plugins.effects.jpeg import Jpeg
from twinset.plugins.effects.motion_blur import MotionBlur
from twinset.plugins.effects.noise import Noise
from twinset.plugins.effects.resize import Resize
from twinset.plugins.effects.rolling_shutter import RollingShutter
from twinset.plugins.effects.sharpen import Sharpen
from twinset.plugins.effects.vignette import Vignette

ALL = (
    Blur(),
    ChromaticAberration(),
    Defocus(),
    Exposure(),
    Jpeg(),
    MotionBlur(),
    Noise(),
    Resize(),
    RollingShutter(),
    Sharpen(),
    Vignette(),
)


@settings(max_examples=examples(25), deadline=None)
@given(
    plugin=st.sampled_from(ALL),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    frame=st.integers(0, 2**31),
    level=st.sampled_from([0, 255, None]),
)
def test_any_picture_stays_a_picture_and_frames_repeat(plugin: Any, size: Any, frame: int, level: int | None) -> None:
    image = np.random.default_rng(frame).integers(0, 256, (*size, 3), dtype=np.uint8)
    if level is not None:
        image[:] = level
    kept = image.copy()
    once, again = applied(plugin, image, frame=frame), applied(plugin, image, frame=frame)
    assert once.shape == image.shape and once.dtype == np.uint8
    assert (once == again).all() and (image == kept).all()


def test_probability_is_the_share_of_frames(scenery: np.ndarray) -> None:
    sharpen = Sharpen(probability=0.3, amount=(1.0, 1.0))
    changed = sum((applied(sharpen, scenery, frame=frame) != scenery).any() for frame in range(200))
    # Binomial: 60 ± 6.5; five standard deviations.
    assert 28 <= changed <= 92
    assert (applied(Blur(probability=0.0), scenery) == scenery).all()


@pytest.mark.parametrize(
    ("cls", "values", "sentence"),
    [
        (Exposure, {"fit": "c.json", "stops": [0, 1]}, "'fit' says the tones"),
        (Noise, {"fit": "c.json", "iso": [100, 200]}, "'fit' says how much noise"),
        (Noise, {"iso": [100, 200], "read": [0, 0.1]}, "'iso' and 'read' both say"),
        (Blur, {"fit": "c.json", "sigma": [1, 2]}, "'fit' says how much is blurred"),
        (Sharpen, {"fit": "c.json", "radius": [1, 2]}, "'fit' says amount and radius"),
        (Vignette, {"fit": "c.json", "falloff": [0, 1]}, "'fit' says the fall-off"),
        (Jpeg, {"fit": "c.json", "quality": [50, 60]}, "'fit' says the quality"),
        (Jpeg, {"quality": [90, 60]}, "must be \\[lowest, highest\\]"),
        (Jpeg, {"subsampling": []}, "'subsampling' must name"),
        (Resize, {"up": []}, "'up' must name"),
    ],
)
def test_contradictions_are_refused(cls: type, values: dict[str, Any], sentence: str) -> None:
    instance, problems = build(cls, values, "effect 'x'")
    assert instance is None
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(problems[0])

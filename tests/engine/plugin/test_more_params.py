# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings with parameters that are declared elsewhere behave as if these were their own."""

from __future__ import annotations

import copy
import pickle

import attrs
import pytest
from twinset.engine.plugin.params import describe, plain
from twinset.engine.recipe.settings import OutputSettings


def test_keys_of_others_are_keywords_and_attributes():
    output = OutputSettings(64, 48, masks=True, depth="none")
    assert (output.width, output.masks, output.depth, output.yolo) == (64, True, "none", False)
    assert output == OutputSettings(64, 48, masks=True) == OutputSettings(64, 48, more={"masks": True})
    assert output != OutputSettings(64, 48)
    changed = attrs.evolve(output, depth="exr", width=32)
    assert (changed.width, changed.masks, changed.depth) == (32, True, "exr")
    assert attrs.evolve(changed, masks=False, depth="none") == OutputSettings(32, 48)
    for twin in (copy.deepcopy(changed), pickle.loads(pickle.dumps(changed))):
        assert twin == changed and twin.depth == "exr"


def test_they_are_described_and_written_at_their_place():
    names = [p.name for p in describe(OutputSettings)]
    assert names[:4] == ["width", "height", "format", "quality"] and len(set(names)) == len(names)
    assert {"depth", "masks", "polygons", "yolo"} <= set(names[4:])
    assert list(plain(OutputSettings(depth="png"))) == names
    assert plain(OutputSettings(depth="png"))["depth"] == "png"


def test_unknown_names_are_refused():
    with pytest.raises(TypeError, match=r"OutputSettings has no parameter 'dept'\. Did you mean 'depth'"):
        OutputSettings(dept="png")
    with pytest.raises(AttributeError, match="has no attribute 'dept'"):
        _ = OutputSettings().dept

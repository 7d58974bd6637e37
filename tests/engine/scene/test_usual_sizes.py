# SPDX-License-Identifier: GPL-3.0-or-later
"""Usual sizes of classes, by their names."""

from __future__ import annotations

import pytest
from twinset.engine.scene.usual_sizes import usual_size


@pytest.mark.parametrize(
    ("name", "key", "plausible"),
    [
        ("chair", "height", 0.9),
        ("Office Chair", "height", 0.95),
        ("chairs", "height", 0.9),
        ("dining table", "height", 0.75),
        ("wardrobe", "height", 2.0),
        ("laptop", "longest_side", 0.35),
        ("sofa", "height", 0.85),
    ],
)
def test_classes_of_known_kinds_have_a_size(name: str, key: str, plausible: float) -> None:
    found = usual_size(name)
    assert found is not None and found[0] == key
    assert found[1][0] <= plausible <= found[1][1]


@pytest.mark.parametrize("name", ["", "dragon", "chair cushion", "椅子"])
def test_other_classes_have_none(name: str) -> None:
    assert usual_size(name) is None

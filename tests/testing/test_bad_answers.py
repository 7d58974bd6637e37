# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins that give what their kind must not give are caught, and told what it must be."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_texts import APPEARANCE, EFFECT, FILTER, GOOD, PLACEMENT, assert_caught, camera

MAP = """
    moves_pixels = True

    def source_pixels(self, shot, rng):
        {body}

    def apply"""

BAD = {
    "gives too few values": (
        GOOD.replace('image={"glare": float((shot.image > self.limit).mean())}', 'bbox={"glare": [1.0]}'),
        "answers",
        "one value for each of 2 instances. Got 1 values",
    ),
    "gives a picture as an image column": (
        GOOD.replace("float((shot.image > self.limit).mean())", "shot.image"),
        "answers",
        "'glare' must be one value",
    ),
    "gives a dict": (GOOD.replace("return Columns(image=", "return dict(x="), "answers", "must return Columns"),
    "gives no pose": (camera("return matrix"), "answers", "must return a CameraPose"),
    "gives a mirrored pose": (camera("matrix[0, 0] = -1.0"), "answers", "without scale or mirror"),
    "offers no site": (
        PLACEMENT.replace("{body}", "return 'the floor'"),
        "answers",
        "must return a Site or None. Got 'the floor'",
    ),
    "says of too few areas whether they can be reached": (
        camera("").replace(
            "    def pose",
            "    def reachable_boxes(self, stage, instance, areas, sites, rng):\n"
            "        from ...engine.geometry.reachability import Reached\n"
            "        return Reached(np.ones(1, bool))\n\n    def pose",
        ),
        "answers",
        "must return Reached with a bool for each area",
    ),
    "rejects without a reason": (FILTER.format(body="return Verdict(False)"), "answers", "without a reason"),
    "names instances that are not there": (
        FILTER.format(body="return Verdict(True, 'small', frozenset({77}))"),
        "answers",
        "names instances \\{77\\}",
    ),
    "lights with a negative colour": (
        APPEARANCE.format(body="stage.scale_lights(1.0, (1.0, -1.0, 1.0))"),
        "answers",
        "which is negative",
    ),
    "gives an image of 8 bits": (
        EFFECT.format(body="return (image * 255).astype(np.uint8)"),
        "answers",
        r"must return a float32 image of shape \(72, 96, 3\). Got uint8",
    ),
    "gives half an image": (EFFECT.format(body="return image[::2]"), "answers", "Got float32 \\(36, 96, 3\\)"),
    "gives values that are no numbers": (
        EFFECT.format(body="return image * np.float32('nan')"),
        "answers",
        "must return finite numbers",
    ),
    "moves pixels by half a map": (
        EFFECT.format(body="return image").replace(
            "    def apply", MAP.format(body="return np.zeros((3, 3, 2))").removeprefix("\n")
        ),
        "answers",
        r"source_pixels\(\) must return finite numbers of shape \(72, 96, 2\)",
    ),
    "draws what is no JSON": (
        EFFECT.format(body="return image")
        .replace("rng)", "rng, drawn)")
        .replace("    def apply", "    def draw(self, shot, rng, common):\n        return {'a': rng}\n\n    def apply"),
        "answers",
        "its drawn values must be JSON values",
    ),
}


@pytest.mark.parametrize("sort", BAD)
def test_each_sort_of_bad_plugin_is_caught_by_its_check(tmp_path: Path, sort: str) -> None:
    assert_caught(tmp_path, sort, *BAD[sort])

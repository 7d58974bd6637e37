# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins with faults in hooks, documentation or parameters are caught by the check that is meant for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_texts import GOOD, assert_caught, camera

MORE = "    more: int = 3\n\n    def measure"

STRICT = """
    def __attrs_post_init__(self):
        if self.limit == 255:
            raise {}

    def measure"""

BAD = {
    "misspells a hook": (
        GOOD.replace("    def measure", "    measures_probe = True\n\n    def measure"),
        "hooks",
        "it has no hook 'measures_probe'. Did you mean 'measures_probes'",
    ),
    "has a hook of another kind": (
        GOOD.replace("    def measure", "    judges_probes = False\n\n    def measure"),
        "hooks",
        "'judges_probes' is a hook of filter plugins; a metric plugin has no such hook",
    ),
    "has a hook of the wrong type": (
        GOOD.replace("    def measure", "    recipe_example = 3\n\n    def measure"),
        "hooks",
        "'recipe_example' must be of type str. Got 3",
    ),
    "has a hook with other arguments": (
        camera("").replace("    def pose", "    def reachable_boxes(self, stage):\n        ...\n\n    def pose"),
        "hooks",
        r"must take \(stage, instance, areas, sites, rng\). It takes \(stage\) instead",
    ),
    "has a flag where a method belongs": (
        camera("").replace("    def pose", "    reachable_boxes = True\n\n    def pose"),
        "hooks",
        r"must be a method reachable_boxes\(stage, instance, areas, sites, rng\)",
    ),
    "moves a column that is misspelt": (
        GOOD.replace('counts")', 'counts", moves={"brightnes": "-"})'),
        "hooks",
        "'limit' moves a column 'brightnes'. Did you mean 'brightness'",
    ),
    "moves a column nowhere": (
        GOOD.replace('counts")', 'counts", moves={"brightness": "up"})'),
        "declared",
        "'limit' moves a column by 'up', which must be",
    ),
    "calls a parameter like a hook": (
        GOOD.replace("limit: int", "columns: int").replace("self.limit", "self.columns"),
        "declared",
        "a parameter cannot be called 'columns'",
    ),
    "has no docstring": (GOOD.replace('"""Share of pixels brighter than a limit."""', ""), "declared", "no docstring"),
    "has no method": (GOOD.replace("def measure", "def mesure"), "declared", "needs the method 'measure'"),
    "has an undeclared field": (
        GOOD.replace("    def measure", MORE),
        "declared",
        "more",
    ),
    "has no docs": (GOOD.replace("Share of pixels brighter than a limit.", "Glare."), "documented", "more than two"),
    "has an empty parameter doc": (
        GOOD.replace("Brightness from which a pixel counts", "Limit"),
        "documented",
        "'limit' must say what it does. It says 'Limit'",
    ),
    "hides a unit in the doc": (
        GOOD.replace("Brightness from which a pixel counts", "Distance in metres"),
        "documented",
        "declare unit='m'",
    ),
    "is for a newer contract": (
        GOOD.replace('plugin("metric")', 'plugin("metric", contract=2)'),
        "contract",
        "made for contract 2 and this Twinset has contract 1; update Twinset",
    ),
    "has more digits than Blender": (
        GOOD.replace("limit: int = param(200, min=0, max=255", "limit: float = param(0.123456789, min=0.0, max=1.0"),
        "blender",
        "Blender holds 32 bits of it: 0.12345679",
    ),
    "has an int beyond Blender": (
        GOOD.replace("max=255", "max=2**40"),
        "blender",
        "must be whole and within 2",
    ),
    "has bounds in disorder": (
        GOOD.replace("max=255", "soft_max=300, max=255"),
        "blender",
        "must rise from min",
    ),
    "refuses with TypeError": (
        GOOD.replace(
            "    def measure",
            STRICT.format("TypeError(self.limit)"),
        ),
        "refusals",
        "limit = 255 is within its bounds and raises TypeError",
    ),
    "refuses without a sentence": (
        GOOD.replace(
            "    def measure",
            STRICT.format("ValueError(255)"),
        ),
        "refusals",
        "without a whole sentence",
    ),
}


@pytest.mark.parametrize("sort", BAD)
def test_each_sort_of_bad_plugin_is_caught_by_its_check(tmp_path: Path, sort: str) -> None:
    assert_caught(tmp_path, sort, *BAD[sort])

# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that several placements have mean the same in all of them."""

from __future__ import annotations

from twinset.engine.plugin.params import Param, describe
from twinset.engine.plugin.registry import default

SHARED = ("surfaces", "mask", "classes", "distractors", "max_slope", "max_overhang", "max_support_gap", "gap", "tries")


def test_parameters_of_one_name_are_declared_alike() -> None:
    registry = default()
    by_name: dict[str, list[Param]] = {}
    for id in registry.ids("placement"):
        for p in describe(registry.find("placement", id)):
            by_name.setdefault(p.name, []).append(p)
    for name in SHARED:
        declared = by_name[name]
        assert len(declared) > 1
        facts = {(p.type, p.means, p.unit, p.min, p.soft_max, p.path) for p in declared}
        assert len(facts) == 1, f"{name}: {facts}"

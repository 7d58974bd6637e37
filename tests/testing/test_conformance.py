# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance kit: good plugins pass, others are refused, digests and situations are what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plugin_texts import (
    GOOD,
    metric,
    write_plugin,
)
from twinset.engine.errors import PluginError
from twinset.testing import check_plugin, plugin_checks
from twinset.testing.conformance import global_random
from twinset.testing.conformance.checks import CHECKS
from twinset.testing.conformance.digest import digest
from twinset.testing.conformance.situations import situation, tiny_stage


def test_good_plugins_pass_and_checks_are_tests(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "good_glare", GOOD)
    assert all(f.passed for f in check_plugin(path))
    checks = plugin_checks(path)
    assert [str(c) for c in checks] == [f"metric-good_glare-{name}" for name in CHECKS]
    for check in checks:
        check()


def test_global_generators_are_left_as_they_were(tmp_path: Path) -> None:
    before = global_random.states()
    found = check_plugin(write_plugin(tmp_path, "bad_seed", metric("np.random.seed(3)")), raises=False)
    assert [f.check for f in found if f.problem] == ["global_random"]
    assert global_random.touched(before) == ()


def test_what_is_no_plugin_is_said_to_be_none(tmp_path: Path) -> None:
    (found,) = [f for f in check_plugin(int, raises=False) if f.problem]
    assert found.check == "declared" and "'int': it is not a class declared with @plugin" in found.problem
    with pytest.raises(PluginError, match="does not exist"):
        check_plugin(tmp_path / "nowhere.py")
    with pytest.raises(PluginError, match="holds no plugin file"):
        check_plugin(tmp_path)
    with pytest.raises(PluginError, match="failed with ZeroDivisionError"):
        check_plugin(write_plugin(tmp_path, "bad_import", "1 / 0"))
    with pytest.raises(PluginError, match=r"failed with ValueError: It ends\.$"):
        check_plugin(write_plugin(tmp_path, "bad_sentence", "raise ValueError('It ends.')"))
    with pytest.raises(PluginError, match="declares no class"):
        check_plugin(write_plugin(tmp_path, "bad_empty", ""))
    with pytest.raises(PluginError, match=r"There is no plugin 'orbitt'\. Did you mean 'orbit'"):
        check_plugin("orbitt")


def test_digests_tell_values_apart() -> None:
    ones = [None, 0, 0.0, "", b"", (), [], {}, {1}, np.zeros(3), np.zeros(3, int), np.zeros((3, 1)), np.array(["a"])]
    assert len({digest(v) for v in ones}) == len(ones)
    assert digest({"a": 1, "b": np.nan}) == digest({"b": np.nan, "a": 1})
    stage = tiny_stage()
    before = digest(stage)
    assert before == digest(tiny_stage())
    stage.surfaces(["Wall"])[0].corners[0, 0, 0] += 1e-9
    assert digest(stage) != before


def test_situations_show_what_they_promise() -> None:
    """An instance out of view, one that another hides, one that the border cuts."""
    from twinset.plugins.metrics.shape import Shape

    shots = [situation(Shape(), frame, tiny_stage(), {}).shot for frame in range(3)]
    seen = [{i.id: int(s.mask(i.id).sum()) for i in s.instances} for s in shots]
    assert all(n > 0 for n in seen[0].values()) and len(seen[0]) == 2
    assert seen[1][3] == 0
    assert seen[1][1] > 0 and seen[1][2] < shots[1].amodal[2].pixels
    assert any(shots[2].amodal[i].pixels > shots[2].amodal[i].mask.sum() for i in seen[2])

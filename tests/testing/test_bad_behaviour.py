# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins that draw, remember, change or wait as they must not are caught by the check that is meant for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_texts import APPEARANCE, EFFECT, FILTER, GOOD, TARGET, assert_caught, camera, metric

BAD = {
    "draws from numpy's global generator": (metric("np.random.rand()"), "global_random", "generator of numpy.random"),
    "seeds numpy's global generator": (metric("np.random.seed(3)"), "global_random", "generator of numpy.random"),
    "draws from the module random": (metric("import random; random.random()"), "global_random", "generator of random"),
    "has a generator of its own": (
        GOOD.replace("(shot.image > self.limit).mean()", "np.random.default_rng().random()"),
        "repeatable",
        "something else for frame 0 the second time",
    ),
    "remembers in its module": (
        "seen = []\n" + metric("seen.append(1)").replace("self.limit", "20 * len(seen)"),
        "repeatable",
        "remember nothing",
    ),
    "draws noise that nobody gave it": (
        EFFECT.format(body="return image * np.float32(np.random.default_rng().random())"),
        "repeatable",
        "something else for frame 0 the second time",
    ),
    "remembers in its class": (
        metric("self.__class__.seen = getattr(self, 'seen', 0) + 1").replace("self.limit", "20 * self.seen"),
        "order",
        "differs when other frames came before",
    ),
    "remembers by instance": (
        "by_id = {}\n"
        + metric("by_id[id(self)] = by_id.get(id(self), 0) + 1").replace("self.limit", "20 * by_id[id(self)]"),
        "order",
        "must not keep anything",
    ),
    "moves the mesh of an asset": (
        APPEARANCE.format(body="stage.assets['chair'][1].mesh.vertices[:] += rng.random()"),
        "restored",
        r"stage.clear\(\) does not bring the stage back",
    ),
    "moves a surface": (
        APPEARANCE.format(body="stage.surfaces(['Floor'])[0].corners[:] += 0.01"),
        "restored",
        "through the stage's methods alone",
    ),
    "hides something on the stage": (APPEARANCE.format(body="stage.mood = 3"), "restored", "does not bring the stage"),
    "takes out assets": (APPEARANCE.format(body="stage.assets['chair'].pop()"), "restored", "does not bring the stage"),
    "knows Blender": (
        "try:\n    import gpu\nexcept ImportError:\n    pass\n" + APPEARANCE.format(body="pass"),
        "restored",
        r"its module imports gpu \(line \d+\)",
    ),
    "changes the picture": (metric("shot.image[:] = 0"), "inputs", "changes what it was given: shot"),
    "changes rows": (
        FILTER.format(body="rows[0]['main'] = True; rows[0]['mine'] = 1; return Verdict(True)"),
        "inputs",
        "given: rows",
    ),
    "changes goals": (
        camera("object.__setattr__(goals, 'frame', 99)"),
        "inputs",
        "given: goals",
    ),
    "moves instances as a camera": (
        camera("stage.move(stage.instances[0], np.eye(4))"),
        "inputs",
        "the place of instances",
    ),
    "changes real boxes": (
        TARGET.format(body="real['chair'].area[:] = 0.1").replace(
            "        return self",
            "        return self\n"
            "    def draw(self, frame, block):\n"
            "        from ...engine.goals import Goals\n        return Goals(frame=frame)\n"
            "    def notes(self):\n        return []\n"
            "    def report(self):\n        return {}\n",
        ),
        "inputs",
        "given: real",
    ),
    "changes the image that it was given": (
        EFFECT.format(body="image *= np.float32(0.5); return image"),
        "inputs",
        "given: image",
    ),
    "changes depth": (EFFECT.format(body="shot.labels.depth[:] = 1; return image"), "inputs", "given: shot"),
    "is slow": (metric("import time; [time.sleep(0.02) for _ in range(500)]"), "time", "takes more than 0.3 s"),
    "never ends": (FILTER.format(body="while True: pass"), "time", "takes more than 0.3 s for frame 0"),
    "raises": (metric("raise KeyError('depth')"), "runs", r"'bad_raises' failed with KeyError: 'depth' \(.*line 1\d\)"),
    "rejects as a metric": (
        metric("from ...engine.plugin import Rejected; raise Rejected('dull')"),
        "runs",
        "only placement and camera plugins may",
    ),
    "rejects everything": (
        camera("from ...engine.plugin import Rejected; raise Rejected('camera: no')"),
        "runs",
        r"rejects every frame of the tiny stage \(camera: no\)",
    ),
    "needs a value": (GOOD.replace("param(200, ", "param("), "runs", "'limit' has no default: give an int in"),
}


@pytest.mark.parametrize("sort", BAD)
def test_each_sort_of_bad_plugin_is_caught_by_its_check(tmp_path: Path, sort: str) -> None:
    assert_caught(tmp_path, sort, *BAD[sort])

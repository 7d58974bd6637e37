# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance kit catches each sort of bad plugin by the check that is meant for it, and says what is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from twinset.engine.errors import PluginError
from twinset.testing import check_plugin, plugin_checks
from twinset.testing.conformance import global_random
from twinset.testing.conformance.checks import CHECKS, PluginCheckError
from twinset.testing.conformance.digest import digest
from twinset.testing.conformance.situations import situation, tiny_stage

HEAD = """
import numpy as np
from ...engine.plugin import Columns, Verdict, param, plugin
from ...engine.stage import CameraPose
"""

METRIC = '''
@plugin("metric")
class Glare:
    """Share of pixels brighter than a limit."""

    limit: int = param(200, min=0, max=255, doc="Brightness from which a pixel counts")

    def measure(self, shot):
        {body}return Columns(image={{"glare": float((shot.image > self.limit).mean())}})
'''

APPEARANCE = '''
@plugin("appearance")
class Dusk:
    """Dim all lights of the scene."""

    def vary(self, stage, rng):
        {body}
'''

CAMERA = '''
@plugin("camera")
class Above:
    """Look straight down from a fixed place."""

    def pose(self, stage, goals, rng):
        matrix = np.eye(4)
        matrix[2, 3] = 3.0
        {body}return CameraPose(matrix, 35.0, *stage.resolution)
'''

PLACEMENT = '''
@plugin("placement")
class Nowhere:
    """Place nothing at all."""

    def place(self, stage, goals, rng):
        pass

    def offer_site(self, stage):
        {body}
'''

FILTER = '''
@plugin("filter")
class Picky:
    """Accept what is bright enough."""

    def judge(self, shot, rows):
        {body}
'''

TARGET = '''
@plugin("target")
class Steady:
    """Aim at one and the same box."""

    def fit(self, real, reach, seed, image_aspect):
        {body}
        return self
'''

EFFECT = '''
@plugin("effect")
class Veil:
    """Lighten the picture."""

    def apply(self, image, shot, rng):
        {body}
'''

MAP = """
    moves_pixels = True

    def source_pixels(self, shot, rng):
        {body}

    def apply"""

MORE = "    more: int = 3\n\n    def measure"

STRICT = """
    def __attrs_post_init__(self):
        if self.limit == 255:
            raise {}

    def measure"""

GOOD = METRIC.format(body="")


def metric(body: str) -> str:
    return METRIC.format(body=body + "\n        ")


def camera(body: str) -> str:
    return CAMERA.format(body=body + "\n        ")


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
    "changes the image that it was given": (
        EFFECT.format(body="image *= np.float32(0.5); return image"),
        "inputs",
        "given: image",
    ),
    "changes depth": (EFFECT.format(body="shot.labels.depth[:] = 1; return image"), "inputs", "given: shot"),
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
    "draws noise that nobody gave it": (
        EFFECT.format(body="return image * np.float32(np.random.default_rng().random())"),
        "repeatable",
        "something else for frame 0 the second time",
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
    "has no docstring": (GOOD.replace('"""Share of pixels brighter than a limit."""', ""), "declared", "no docstring"),
    "has no method": (GOOD.replace("def measure", "def mesure"), "declared", "needs the method 'measure'"),
    "has an undeclared field": (
        GOOD.replace("    def measure", MORE),
        "declared",
        "more",
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
    "needs a value": (GOOD.replace("param(200, ", "param("), "runs", "'limit' has no default: give an int in"),
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(HEAD + text)
    return path


@pytest.mark.parametrize("sort", BAD)
def test_each_sort_of_bad_plugin_is_caught_by_its_check(tmp_path: Path, sort: str) -> None:
    text, check, sentence = BAD[sort]
    path = write(tmp_path, "bad_" + re.sub(r"\W", "_", sort), text)
    found = {f.check: f for f in check_plugin(path, seconds=0.3 if check == "time" else 20.0, raises=False)}
    assert list(found) == list(CHECKS)
    assert re.search(sentence, found[check].problem), {f.check: f.problem for f in found.values() if f.problem}
    others = {f.check for f in found.values() if f.problem} - {check}
    assert others <= {"order", "repeatable"}, {f.check: f.problem for f in found.values() if f.problem}
    with pytest.raises(PluginCheckError, match=re.escape(f"[{check}]")):
        check_plugin(path, seconds=0.3 if check == "time" else 20.0)


def test_good_plugins_pass_and_checks_are_tests(tmp_path: Path) -> None:
    path = write(tmp_path, "good_glare", GOOD)
    assert all(f.passed for f in check_plugin(path))
    checks = plugin_checks(path)
    assert [str(c) for c in checks] == [f"metric-good_glare-{name}" for name in CHECKS]
    for check in checks:
        check()


def test_global_generators_are_left_as_they_were(tmp_path: Path) -> None:
    before = global_random.states()
    found = check_plugin(write(tmp_path, "bad_seed", metric("np.random.seed(3)")), raises=False)
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
        check_plugin(write(tmp_path, "bad_import", "1 / 0"))
    with pytest.raises(PluginError, match=r"failed with ValueError: It ends\.$"):
        check_plugin(write(tmp_path, "bad_sentence", "raise ValueError('It ends.')"))
    with pytest.raises(PluginError, match="declares no class"):
        check_plugin(write(tmp_path, "bad_empty", ""))
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

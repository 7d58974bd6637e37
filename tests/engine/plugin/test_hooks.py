# SPDX-License-Identifier: GPL-3.0-or-later
"""Optional hooks of plugins: their defaults, which of them a plugin defines, and their names of the release before."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path

import pytest
from twinset.engine.plugin import KINDS, Filter, plugin
from twinset.engine.plugin import renames as renames_module
from twinset.engine.plugin.hooks import FORMER_HOOKS, attempts_per_draw, defines, flags_of, hooks_of
from twinset.engine.plugin.kinds import BASES, METHODS, SurfaceRules
from twinset.engine.plugin.registry import Registry

HEAD = """
from ...engine.framing import look
from ...engine.params import param
from ...engine.plugin import Columns, Verdict, plugin
from ...engine.reach import Reached
from ...engine.standing import Site
"""

FORMER = {
    "placement": (
        "    first = True\n    def site(self, stage): return 'a site'\n    def place(self, stage, goals, rng): ..."
    ),
    "appearance": "    by_frame = True\n    def vary(self, stage, rng, goals): ...",
    "camera": (
        "    def reach(self, stage, instance, areas, sites, rng): return 'boxes'\n"
        "    def arrange(self, stage, goals, sites, rng): return 'a pose'\n"
        "    def pose(self, stage, goals, rng): ..."
    ),
    "metric": (
        "    from_labels = True\n    def complete(self, rows): return {'c': [1]}\n"
        "    def summarise(self, rows): return {'s': 2}\n    def measure(self, shot): return Columns()"
    ),
    "filter": (
        "    early = True\n    def open(self): return 'a gate'\n    def judge(self, shot, rows): return Verdict(True)"
    ),
}


@pytest.fixture
def noted(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    renames_module.warn.cache_clear()
    caplog.set_level(logging.WARNING)
    return caplog


def declared(kind: str, body: str, folder: Path, head: str = HEAD) -> type:
    (folder / f"old_{kind}.py").write_text(
        f'{head}\n\n@plugin("{kind}")\nclass Old:\n    """Do it as before."""\n{body}\n'
    )
    registry = Registry([folder], entry_points=False)
    return registry.find(kind, f"old_{kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_class_has_the_defaults_of_its_kind(kind: str) -> None:
    cls = plugin(kind)(type("Plain", (), {METHODS[kind]: lambda self, *arguments: None, "__doc__": "Do nothing."}))
    heir = plugin(kind)(type("Heir", (BASES[kind],), {METHODS[kind]: lambda self, *arguments: None}))
    for made in (cls(), heir()):
        for name, default in hooks_of(kind).items():
            assert not defines(made, name)
            if not callable(default) and not isinstance(default, property):
                assert getattr(made, name) == default
        assert flags_of(made) == set()
        assert made.handled_classes(["chair", "bag"]) == ["chair", "bag"]


def test_each_hook_is_documented_where_it_is_declared() -> None:
    for kind, base in BASES.items():
        source = inspect.getsource(base)
        for name, value in vars(base).items():
            if name.startswith("_"):
                continue
            documented = (
                inspect.getdoc(value) if callable(value) else source.partition(f"    {name}")[2].partition("\n")[2]
            )
            assert documented and (callable(value) or documented.lstrip().startswith('"""')), f"{kind}.{name}"
            assert METHODS[kind] in source


@pytest.mark.parametrize("kind", FORMER)
def test_former_names_of_hooks_and_modules_are_understood_with_a_note(
    kind: str, tmp_path: Path, noted: pytest.LogCaptureFixture
) -> None:
    old = declared(kind, FORMER[kind], tmp_path)()
    for former, name in FORMER_HOOKS[kind].items():
        assert defines(old, name)
        assert f"{kind} 'old_{kind}': '{former}' is now called '{name}'" in noted.text
    for name in ("params.param", "reach.Reached", "standing.Site", "framing.look"):
        assert f"engine.{name}' is now called" in noted.text
    if kind == "metric":
        assert old.measures_probes and old.dataset_columns([]) == {"c": [1]} and old.dataset_summary([]) == {"s": 2}
    if kind == "camera":
        assert old.place_and_pose(0, 0, 0, 0) == "a pose" and old.reachable_boxes(0, 0, 0, 0, 0) == "boxes"
    if kind == "filter":
        assert old.judges_probes and old.open_gate() == "a gate"
    if kind == "placement":
        assert old.runs_first and old.offer_site(0) == "a site"


def test_today_s_names_need_no_note(tmp_path: Path, noted: pytest.LogCaptureFixture) -> None:
    head = "from ...engine.plugin import Columns, param, plugin"
    body = "    measures_probes = True\n    def measure(self, shot): return Columns()"
    assert declared("metric", body, tmp_path, head)().measures_probes
    assert noted.text == ""


def test_attempts_of_a_fitted_target_are_those_of_the_release_before(noted: pytest.LogCaptureFixture) -> None:
    def fit(self, real, reach, seed, image_aspect):
        return None

    target = plugin("target")(type("Plain", (), {"fit": fit}))()
    patient = plugin("target")(type("Patient", (), {"fit": fit, "attempts_per_draw": 3}))()
    fitted = type("Fitted", (), {"tries": 2})()
    assert attempts_per_draw(target, object()) == 0
    assert attempts_per_draw(patient, object()) == attempts_per_draw(patient, fitted) == 3
    assert noted.text == ""
    assert attempts_per_draw(target, fitted) == 2
    assert "'tries' is now called 'attempts_per_draw'" in noted.text


def test_surface_rules_go_by_the_parameters_of_these_names() -> None:
    find = Registry(entry_points=False).find
    standing = find("placement", "on_surface")(surfaces=["Floor", "Table*"], gap=0.3)
    assert standing.surface_rules() == SurfaceRules(("Floor", "Table*"), "", 0.3, 15.0, 0.1, 0.02)
    assert find("placement", "keep")().surface_rules() is None
    assert find("placement", "keep")(classes=["bag"]).handled_classes(["chair"]) == ["bag"]


def test_a_subclass_keeps_the_hooks_of_the_plugin_that_it_derives_from() -> None:
    @plugin("filter")
    class Early(Filter):
        """Accept all."""

        judges_probes = True

        def judge(self, shot, rows):
            return None

    @plugin("filter")
    class Later(Early):
        """Accept all, too."""

    assert Later().judges_probes and defines(Later, "judges_probes") and not defines(Later, "open_gate")


def test_the_documentation_lists_every_hook_and_every_former_name(root: Path) -> None:
    page = (root / "docs" / "plugins" / "README.md").read_text("utf-8")
    hooks, former = page.partition("## Optional hooks")[2].partition("Hooks had other names")[::2]
    for kind in KINDS:
        for name in hooks_of(kind):
            assert f"`{name}`" in hooks or f"`{name}(" in hooks, f"{kind}.{name}"
        for old, new in FORMER_HOOKS[kind].items():
            assert f"`{old}`" in former and f"`{new}`" in former

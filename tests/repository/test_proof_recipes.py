# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipes of the proof: all can be read, and arms of a domain differ only in what they are about."""

from __future__ import annotations

from pathlib import Path

import pytest
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.settings import Recipe

DOMAINS = ("apartment", "coco")


@pytest.fixture
def recipes(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Recipe]]:
    folder = root / "examples" / "proof"
    monkeypatch.setenv("TWINSET_DATA", "/data")
    monkeypatch.setenv("PROOF_CAMERA", "/camera.json")
    monkeypatch.setenv("PROOF_BACKGROUNDS", "/backgrounds")
    out = {}
    for domain in DOMAINS:
        monkeypatch.setenv("PROOF_GRID", str(folder / domain / "surfaces.toml"))
        monkeypatch.setenv("PROOF_CURATED", str(folder / domain / "targeting.toml"))
        monkeypatch.setenv("PROOF_SUGGESTED", str(folder / domain / "shapes.toml"))
        paths = sorted((folder / domain).glob("*.toml"))
        out[domain] = {path.stem: load_recipe(path, check_files=False) for path in paths}
    return out


@pytest.mark.parametrize("domain", DOMAINS)
def test_arms_have_the_same_scene_classes_and_size(recipes: dict[str, dict[str, Recipe]], domain: str) -> None:
    base = recipes[domain]["base"]
    assert len(recipes[domain]) >= 13
    for name, recipe in recipes[domain].items():
        for key in ("models", "classes", "real", "images", "seed", "render", "output"):
            if key != "classes" or name not in ("shapes", "places", "suggested"):
                assert getattr(recipe, key) == getattr(base, key), f"{name} differs in {key}"


@pytest.mark.parametrize("domain", DOMAINS)
def test_arms_are_what_they_are_called(recipes: dict[str, dict[str, Recipe]], domain: str) -> None:
    arms = recipes[domain]

    def ids(name: str, kind: str) -> list[str]:
        return [use.id for use in arms[name].plugins[kind]]

    for name in ("naive", "naive_without_specks", "surfaces"):
        assert (ids(name, "camera"), ids(name, "target")) == (["orbit"], [])
    assert ids("naive", "placement") == ids("naive_without_specks", "placement") == ["in_air"]
    actions = [arms[name].plugins["filter"][0].plugin.action for name in ("naive", "naive_without_specks", "targeting")]
    assert actions == ["drop annotation", "remove instance", "remove instance"]
    assert (ids("targeting", "camera"), ids("targeting", "target")) == (["framed"], ["bbox_area_gmm"])
    assert [use.weight for use in arms["close_ups"].plugins["camera"]] == [0.9, 0.1]
    assert ids("white", "effect") == ["replace_background"]
    assert "materials" in ids("rooms", "appearance") and ids("rooms", "effect") == ids("effects", "effect")
    assert ids("everything", "appearance") == ids("rooms", "appearance")
    assert {each.builtin for each in arms["shapes"].classes} == {"any chair", "any table"}
    for more, fewer in zip(arms["shapes"].classes, arms["everything"].classes, strict=True):
        assert set(fewer.models) <= set(more.models) and more.name == fewer.name
    for kind in ("placement", "appearance", "camera", "effect"):
        assert ids("shapes", kind) == ids("everything", kind)
    assert ids("places", "effect") == ids("shapes", "effect")
    with_places, without = (arms[name].plugins["effect"][-1].plugin for name in ("places", "shapes"))
    assert with_places.places.endswith("annotations.json") and not without.places
    assert arms["places"].classes == arms["shapes"].classes
    assert ids("everything", "effect") == [*ids("effects", "effect"), "replace_background"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Results on disk: computed once for all, equal to the computed ones, and never in the way where they fail."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipes import on_floor, recipe_text
from twinset.alignment.mixtures.area_mixture import AreaMixture, fit_areas
from twinset.alignment.mixtures.box_density import BoxArrays, LayoutMixture, fit_layout
from twinset.dataset.jobs.job import Job
from twinset.dataset.store import result_store
from twinset.dataset.store.cache_folder import VARIABLE, cache_folder
from twinset.dataset.store.result_store import DiskResults
from twinset.engine.errors import PluginError, TryAgainError
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.sampling import kept_surveys
from twinset.engine.sampling.kept_results import hash_of, keeping_results, kept_result

VALUE = {"low": 0.1 + 0.2, "list": [1e-310, -0.0, None]}


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("it must not be computed")


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def test_a_result_is_computed_once_and_kept_with_all_digits(tmp_path: Path) -> None:
    store = DiskResults(tmp_path / "cache")
    assert store.get("survey", "key", lambda: VALUE, of_scene=False) == VALUE
    again = DiskResults(tmp_path / "cache").get("survey", "key", never, of_scene=False)
    assert repr(again) == repr(VALUE)
    assert store.get("survey", "other", lambda: 2, of_scene=False) == 2
    assert len(entries(tmp_path / "cache")) == 2
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def test_results_of_a_scene_are_those_of_its_files(tmp_path: Path) -> None:
    for files in ("one", "two"):
        store = DiskResults(tmp_path, lambda files=files: files)
        assert store.get("survey", "key", lambda files=files: files, of_scene=True) == files
    assert DiskResults(tmp_path, lambda: "one").get("survey", "key", never, of_scene=True) == "one"
    # Of a scene whose files are unknown, nothing is kept.
    assert [DiskResults(tmp_path).get("survey", "key", lambda k=k: k, of_scene=True) for k in range(2)] == [0, 1]
    assert len(entries(tmp_path)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"0.3000", b"0.3001"),
        lambda data: b"",
        lambda data: b"\xff" * 70,
    ],
)
def test_a_damaged_entry_is_computed_and_written_again(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    store = DiskResults(tmp_path)
    store.get("survey", "key", lambda: VALUE, of_scene=False)
    (path,) = entries(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    assert store.get("survey", "key", lambda: VALUE, of_scene=False) == VALUE
    assert path.read_bytes() == whole


def test_an_entry_of_another_shape_is_computed(tmp_path: Path) -> None:
    with keeping_results(DiskResults(tmp_path)):
        assert kept_result("areas", [1], lambda: 5, lambda n: n, lambda value: value) == 5
        found = kept_result("areas", [1], lambda: 7, lambda n: [n], lambda value: int(value["number"]))
    assert found == 7


def test_nothing_fails_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert DiskResults(tmp_path / "file" / "cache").get("survey", "key", lambda: 1, of_scene=False) == 1

    def full(path: Path, data: bytes) -> None:
        raise TryAgainError("The disk is full.")

    monkeypatch.setattr(result_store, "write_atomic", full)
    store = DiskResults(tmp_path / "cache")
    assert [store.get("survey", "key", lambda k=k: k, of_scene=False) for k in range(2)] == [0, 1]
    assert not entries(tmp_path / "cache")


def test_the_entries_used_least_recently_go_first(tmp_path: Path) -> None:
    store = DiskResults(tmp_path, max_bytes=3000)
    paths: list[Path] = []
    for number in range(3):
        store.get("survey", str(number), lambda: "x" * 800, of_scene=False)
        (new,) = set(entries(tmp_path)) - set(paths)
        paths.append(new)
        os.utime(new, (1000 + number, 1000 + number))
    store.get("survey", "0", never, of_scene=False)  # used again
    store.get("survey", "3", lambda: "y" * 800, of_scene=False)
    assert set(entries(tmp_path)) >= {paths[0], paths[2]}
    assert not paths[1].exists()
    assert sum(path.stat().st_size for path in entries(tmp_path)) <= 3000


def test_others_wait_for_who_computes(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    computed: list[str] = []
    found: list[Any] = []

    def slow() -> Any:
        computed.append("first")
        begun.set()
        assert go_on.wait(60)
        return VALUE

    def ask(compute: Callable[[], Any]) -> None:
        found.append(DiskResults(tmp_path).get("survey", "key", compute, of_scene=False))

    first = threading.Thread(target=ask, args=(slow,))
    first.start()
    assert begun.wait(60)
    others = [threading.Thread(target=ask, args=(lambda: computed.append("other"),)) for _ in range(3)]
    for thread in others:
        thread.start()
    go_on.set()
    for thread in (first, *others):
        thread.join(60)
    assert computed == ["first"]
    assert found == [VALUE] * 4


def test_hashes_tell_inputs_apart() -> None:
    inputs: list[Any] = [
        1, 1.0, True, "1", None, [1], [[1]], ["ab", "c"], ["a", "bc"], 0.0, -0.0,
        np.zeros(2), np.zeros((2, 1)), np.zeros(2, np.float32), np.arange(2.0), [0.0, 0.0],
    ]  # fmt: skip
    assert len({hash_of(each) for each in inputs}) == len(inputs)
    assert hash_of(np.arange(6.0).reshape(2, 3).T) == hash_of(np.arange(6.0).reshape(2, 3).T.copy())
    with pytest.raises(TypeError):
        hash_of([object()])


def test_fits_come_back_as_they_were() -> None:
    rng = np.random.default_rng(3)
    areas = rng.beta(2, 20, 60)
    fitted = fit_areas(areas, low=0.001, high=0.9)
    back = AreaMixture.from_json(json.loads(json.dumps(fitted.to_json())))
    assert back.ppf(np.linspace(0, 1, 50)).tobytes() == fitted.ppf(np.linspace(0, 1, 50)).tobytes()
    assert json.dumps(back.report()) == json.dumps(fitted.report())
    boxes = BoxArrays(areas, rng.uniform(0.3, 0.7, (60, 2)), rng.uniform(0.5, 2, 60), np.zeros((60, 4), bool))
    layout = fit_layout(boxes, rng.integers(1, 5, 60), 4 / 3)
    again = LayoutMixture.from_json(json.loads(json.dumps(layout.to_json())))
    counts = rng.integers(1, 5, 20)
    draws = [one.sample(counts, np.random.default_rng(1), 0.2) for one in (layout, again)]
    assert [a.tobytes() for a in draws[0]] == [a.tobytes() for a in draws[1]]
    assert json.dumps(again.report()) == json.dumps(layout.report())


def test_the_folder_is_named_or_that_of_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    assert cache_folder() is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "shared"))
    assert cache_folder() == tmp_path / "shared"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "twinset"


def test_a_second_job_makes_the_same_frames_without_a_survey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from twinset.blender.stage import open_stage

    boxes = [[40, 30, 12, 16], [20, 20, 20, 30], [5, 8, 30, 50], [30, 10, 25, 40], [60, 30, 16, 20], [10, 40, 14, 18]]
    real = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 96, "height": 72}],
        "annotations": [{"id": k, "image_id": 1, "category_id": 1, "bbox": b} for k, b in enumerate(boxes, 1)],
        "categories": [{"id": 1, "name": "chair"}],
    }
    (tmp_path / "real.json").write_text(json.dumps(real))
    text = recipe_text(
        seed=2,
        images=2,
        real="real.json",
        target="bbox_area_gmm",
        placements=[on_floor(1, 2)],
        cameras=[{"plugin": "framed"}],
        render={"samples": 1, "denoise": False},
        size=(96, 72),
        output={"report": False},
    )
    (tmp_path / "recipe.toml").write_text(text)

    def made(name: str) -> dict[str, bytes]:
        list(Job(load_recipe(tmp_path / "recipe.toml"), tmp_path / name, open_stage).run())
        names = [
            f"{kind}/{k:06d}.{suffix}" for k in range(2) for kind, suffix in (("images", "jpg"), ("frames", "json"))
        ]
        return {each: (tmp_path / name / each).read_bytes() for each in [*names, "stage.json"]}

    expected = made("none kept")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    assert made("first") == expected
    kept = entries(tmp_path / "cache")
    assert [path.name.partition("-")[0] for path in kept] == ["areas", "survey"]
    monkeypatch.setattr(kept_surveys, "survey_reach", never)
    monkeypatch.setattr("twinset.plugins.targets.bbox_area_gmm.fit_areas", never)
    assert made("second") == expected
    changed = {**real, "annotations": real["annotations"][1:]}
    (tmp_path / "real.json").write_text(json.dumps(changed))
    with pytest.raises(PluginError, match="must not be computed"):
        made("other boxes")

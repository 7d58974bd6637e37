# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries by folder: a file is an entry, names are unique, and what a test adds goes with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import twinset
from twinset.engine.errors import PluginError
from twinset.engine.output.annotation_source import ANNOTATION_SOURCES, AnnotationSource
from twinset.engine.output.keys import declared_keys
from twinset.engine.output.label_pass import LABEL_PASSES, LabelPass
from twinset.engine.plugin.folder_registry import FolderRegistry
from twinset.headless.farm.farm import FARMS

ROOT = Path(twinset.__file__).parent


@pytest.mark.parametrize(
    ("registry", "folder"),
    [(LABEL_PASSES, "dataset/labels"), (ANNOTATION_SOURCES, "dataset/annotations")],
)
def test_each_file_is_one_entry_of_its_name(registry, folder):
    files = sorted(p.stem for p in (ROOT / folder).glob("*.py") if not p.stem.startswith("_"))
    assert registry.names() == files and files


def test_farms_are_the_files_that_declare_one():
    files = {p.stem for p in (ROOT / "headless/farm").glob("*.py")}
    assert set(FARMS.names()) == files - {"__init__", "farm", "plan"}


def test_a_file_more_is_an_entry_more(tmp_path, monkeypatch):
    text = (
        "from ...engine.output.annotation_source import AnnotationSource\n"
        "class Extra(AnnotationSource):\n    key = 'extra'\n    doc = 'One more'\n"
    )
    (tmp_path / "extra_entries.py").write_text(text)
    (tmp_path / "_helper.py").write_text("1 / 0")
    package = __import__("twinset.dataset.annotations", fromlist=["x"])
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    registry = FolderRegistry(AnnotationSource, "dataset.annotations", "annotation source")
    assert registry.names() == sorted([*ANNOTATION_SOURCES.names(), "extra_entries"])
    assert registry.find("extra_entries").key == "extra"
    assert "extra_entries" not in ANNOTATION_SOURCES.names()


def test_names_are_unique_and_known():
    class Other(LabelPass):
        name = "depth"

    with pytest.raises(PluginError, match="Two label pass classes are named 'depth'"):
        LABEL_PASSES.register(Other)
    with pytest.raises(PluginError, match="is no label pass: derive it from LabelPass"):
        LABEL_PASSES.register(int)
    with pytest.raises(PluginError, match=r"There is no label pass 'deph'\. Did you mean 'depth'"):
        LABEL_PASSES.find("deph")
    assert LABEL_PASSES.find("depth") is not Other


def test_two_keys_of_the_same_name_are_refused():
    class Other(AnnotationSource):
        name, key = "other", "masks"

    with ANNOTATION_SOURCES.registered(Other), pytest.raises(PluginError, match="declares the key 'masks'"):
        declared_keys()
    passes = ["albedo", "aovs", "value_aovs", "backward_flow", "depth", "disparity", "edges", "edge_gap", "flow"]
    passes += ["masks", "nocs", "normals", "point_clouds", "semantic", "unlit", "uv", "world_normals"]
    assert [p.name for p in declared_keys()] == [*passes, "oriented_boxes", "poses"]
    assert "other" not in ANNOTATION_SOURCES.names()

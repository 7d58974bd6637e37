# SPDX-License-Identifier: GPL-3.0-or-later
"""The public names: all there, documented, typed, and loaded only when they are used."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
import twinset as ts
from twinset.api import PUBLIC

HEAVY = ("bpy", "cv2", "matplotlib", "numpy", "onnxruntime", "scipy", "sklearn")


def test_all_names_are_those_that_are_promised() -> None:
    promised = {"load_recipe", "Recipe", "render", "iter_frames", "load_dataset", "measure", "compare", "report"}
    assert promised | {"fit", "infer", "evaluate", "__version__"} <= set(ts.__all__)
    assert set(ts.__all__) <= set(dir(ts)) and len(set(ts.__all__)) == len(ts.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_is_documented_and_typed(name: str) -> None:
    found = getattr(ts, name)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        signature = inspect.signature(found)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())
        documented = inspect.getdoc(found) or ""
        own = set(signature.parameters) if "Parameters are those of" not in documented else set()
        assert [n for n in own if n not in documented] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rendr'"):
        _ = ts.rendr  # type: ignore[attr-defined]


def test_importing_twinset_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"import json, sys, twinset; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert json.loads(done.stdout) == []


def test_star_import_brings_all_names(tmp_path: Path) -> None:
    code = "from twinset import *; import json; print(json.dumps(sorted(n for n in dir() if not n.startswith('__'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert set(PUBLIC) <= set(json.loads(done.stdout))

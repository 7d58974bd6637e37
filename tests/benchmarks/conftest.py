# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports the modules of benchmarks, which are no part of the package."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def detector_module(root: Path) -> Callable[[str], ModuleType]:
    """Imports a module of ``benchmarks/detector`` by its name there; skipped if it needs torch and there is none."""
    name = "detector_benchmark"
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(root / "benchmarks" / "detector")]
    sys.modules.setdefault(name, importlib.util.module_from_spec(spec))

    def load(module: str) -> ModuleType:
        try:
            return importlib.import_module(f"{name}.{module}")
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            pytest.skip("torch is not installed: pip install -e '.[proof]'")

    return load

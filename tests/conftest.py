# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real material, from TWINSET_DATA; the test is skipped where it is missing."""
    folder = Path(os.environ.get("TWINSET_DATA") or ROOT / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(f"real material is missing: set TWINSET_DATA to its folder (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT

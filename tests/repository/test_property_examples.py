# SPDX-License-Identifier: GPL-3.0-or-later
"""Every property test tries as many examples as TWINSET_EXAMPLES asks for."""

from __future__ import annotations

import ast

import pytest
from hypothesis import settings
from property_examples import examples
from source_tree import ROOT


@pytest.mark.parametrize(("value", "count"), [("", 40), ("1", 40), ("10", 400), ("0.1", 4), ("0.001", 1)])
def test_the_variable_multiplies_examples(monkeypatch: pytest.MonkeyPatch, value: str, count: int) -> None:
    monkeypatch.setenv("TWINSET_EXAMPLES", value)
    assert examples(40) == count


def test_no_example_has_a_deadline() -> None:
    assert settings().deadline is None


def test_numbers_of_examples_are_scaled() -> None:
    given = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "max_examples":
                given[f"{path.relative_to(ROOT)}:{node.value.lineno}"] = ast.unparse(node.value)
    assert len(given) > 30
    plain = {place for place, value in given.items() if not value.startswith("examples(")}
    # The number of inputs that a fuzzed parser gets is scaled by the caller.
    assert {place.partition(":")[0] for place in plain} <= {"tests/shared/mutations.py"}

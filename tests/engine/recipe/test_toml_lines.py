# SPDX-License-Identifier: GPL-3.0-or-later
"""On which line of a recipe a table or a key is."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.engine.recipe.toml_lines import LineNumbers
from twinset.engine.recipe.writing import toml_value

NAMES = st.text("ab_-1", min_size=1, max_size=4) | st.text(
    st.characters(codec="utf-8", exclude_categories=["C"]), max_size=4
)
SCALARS = st.one_of(st.integers(), st.booleans(), st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False))
VALUES = SCALARS | st.lists(SCALARS, max_size=3)


@given(st.dictionaries(NAMES, st.lists(st.dictionaries(NAMES, VALUES, max_size=3), min_size=1, max_size=3), max_size=3))
@settings(max_examples=examples(60))
def test_places_of_generated_texts(tables: dict[str, list[dict[str, Any]]]) -> None:
    lines, expected = ["# comment [x]"], {}
    for table, rows in tables.items():
        for index, row in enumerate(rows):
            lines.append(f"  [[ {toml_value(table)} ]] # [[y]]")
            expected[(table, index)] = len(lines)
            for key, value in row.items():
                expected[(table, index, key)] = len(lines) + 1
                shown = toml_value(value)
                lines += (
                    f"{toml_value(key)} = {shown}"
                    if not isinstance(value, list)
                    else f"{toml_value(key)} = [ # [\n" + "".join(f"{toml_value(v)},\n" for v in value) + "]"
                ).split("\n")
    text = "\n".join(lines)
    assert tomllib.loads(text) == tables
    lines = LineNumbers(text)
    escaped = any("\\" in toml_value(part) for place in expected for part in place if isinstance(part, str))
    for place, line in expected.items():
        if not escaped:  # keys with escapes are found by their table
            assert lines.line(place) == line


def test_places_fall_back_to_what_is_around() -> None:
    lines = LineNumbers("a.b = 1\n[c]\nd = '''\n[x]\n'''\n[[e.f]]\ng = {h = 1}\n")
    assert lines.line(("a", "b")) == 1 and lines.line(("c", "d", "z")) == 3
    assert lines.line(("e", "f", 0, "g", "h")) == 7 and lines.line(("e",)) == 6
    assert lines.line(("x",)) is None

# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed, bounded, documented parameters."""

from __future__ import annotations

import math
from typing import Literal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.engine.plugin import Range, param
from twinset.engine.plugin.params import build, coerce, describe, parse, plain, unknown


@attrs.frozen
class Sample:
    """All kinds of parameters."""

    needed: int = param(min=0, max=10, doc="An int")
    share: float = param(0.5, min=0.0, max=1.0, doc="A share")
    factor: float = param(1.0, min=0.0, min_exclusive=True, doc="A factor")
    span: Range = param((1.0, 2.0), min=0.0, doc="An interval")
    limit: Range | None = param(None, min=0.0, doc="Perhaps an interval")
    names: list[str] = param([], doc="Names")
    on: bool = param(False, doc="A switch")
    mode: str = param("a", choices=("a", "b"), doc="A choice")
    level: Literal[1, 2] = param(1, doc="A literal")
    table: dict[str, float] = param({}, min=0.0, doc="A table")


GOOD = {"needed": 3}


def test_defaults_are_filled_in_and_lists_are_not_shared() -> None:
    first, problems = build(Sample, GOOD, "sample")
    second, _ = build(Sample, GOOD, "sample")
    assert problems == []
    assert first.span == (1.0, 2.0) and first.limit is None
    first.names.append("x")
    assert second.names == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"needed": -1}, "The 'needed' parameter of sample 's' must be an int in [0, 10]. Got -1 instead."),
        ({"needed": 1.5}, "The 'needed' parameter of sample 's' must be an int in [0, 10]. Got 1.5 instead."),
        ({"needed": True}, "The 'needed' parameter of sample 's' must be an int in [0, 10]. Got True instead."),
        ({**GOOD, "factor": 0}, "The 'factor' parameter of sample 's' must be a float in (0, inf). Got 0 instead."),
        (
            {**GOOD, "share": math.nan},
            "The 'share' parameter of sample 's' must be a float in [0, 1]. Got nan",
        ),
        ({**GOOD, "mode": "c"}, "The 'mode' parameter of sample 's' must be one of 'a', 'b'. Got 'c' instead."),
        ({**GOOD, "level": 3}, "The 'level' parameter of sample 's' must be one of 1, 2. Got 3 instead."),
        ({**GOOD, "names": ["x", 1]}, "The 'names' parameter of sample 's' must be a list of strings."),
        ({**GOOD, "span": [2, 1]}, "must be a pair [low, high] of floats in [0, inf). Got [2, 1] instead."),
        ({**GOOD, "span": [1, 2, 3]}, "must be a pair [low, high] of floats"),
        ({**GOOD, "table": {"k": -1.0}}, "The 'table' parameter of sample 's' must be a table"),
        ({**GOOD, "share": 10**400}, "The 'share' parameter of sample 's' must be a float in [0, 1]."),
        ({}, "Sample 's' needs the parameter 'needed': an int in [0, 10]."),
        ({**GOOD, "shair": 1.0}, "Sample 's' has no parameter 'shair'. Did you mean 'share'? Known ones: needed, "),
    ],
)
def test_bad_values_give_one_sentence(values: dict[str, object], sentence: str) -> None:
    instance, problems = build(Sample, values, "sample 's'")
    assert instance is None
    assert len(problems) == 1
    assert sentence in problems[0]


def test_all_problems_are_reported_with_their_keys() -> None:
    _, problems = parse(Sample, {"shair": 1, "factor": 0, "mode": 5}, "sample")
    assert sorted(p.key for p in problems) == ["factor", "mode", "needed", "shair"]


def test_long_values_are_cut_in_messages() -> None:
    _, problems = build(Sample, {**GOOD, "share": "x" * 5000}, "sample")
    assert len(problems[0]) < 250


def test_validators_of_the_class_become_problems() -> None:
    @attrs.frozen
    class Picky:
        low: int = param(0, doc="Low")
        high: int = param(1, doc="High")

        def __attrs_post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high.")

    assert build(Picky, {"low": 2}, "picky")[1] == ["Picky: low is above high."]


values = st.fixed_dictionaries(
    {
        "needed": st.integers(0, 10),
        "share": st.floats(0, 1),
        "factor": st.floats(1e-300, 1e300),
        "span": st.tuples(st.floats(0, 10), st.floats(10, 1e9)),
        "names": st.lists(st.text(), max_size=3),
        "on": st.booleans(),
        "mode": st.sampled_from(["a", "b"]),
        "table": st.dictionaries(st.text(), st.floats(0, 1e9), max_size=3),
    },
    optional={"limit": st.tuples(st.floats(0, 1), st.floats(1, 2))},
)


@given(values)
@settings(max_examples=examples(50))
def test_plain_values_build_the_same_instance_again(chosen: dict[str, object]) -> None:
    first, problems = build(Sample, chosen, "sample")
    assert problems == []
    assert build(Sample, plain(first), "sample") == (first, [])


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
@settings(max_examples=examples(100))
def test_coerce_gives_a_value_in_bounds_or_refuses(value: object) -> None:
    share = next(p for p in describe(Sample) if p.name == "share")
    try:
        got = coerce(share, value)
    except (ValueError, OverflowError):
        in_bounds = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
        assert not in_bounds
    else:
        assert isinstance(got, float) and 0 <= got <= 1 and got == value


def test_a_message_on_an_unknown_name_stays_readable_among_thousands() -> None:
    text = unknown("The scene has no object", "Chiar", [f"Part {k}" for k in range(5000)] + ["Chair"])
    assert "Did you mean 'Chair'?" in text and "Part 0, Part 1," in text and text.endswith(" and 4,941 more.")
    assert len(text) < 1000
    assert unknown("There is no kind", "x", ["a", "b"]) == "There is no kind 'x'. Known ones: a, b."
    assert unknown("There is no kind", "x", []) == "There is no kind 'x'. Known ones: none."

# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are nearly valid: values of JSON and TOML with parts replaced, removed or doubled, and bytes likewise."""

from __future__ import annotations

import copy
import json
import math
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from twinset.engine.errors import TwinsetError
from twinset.engine.recipe.writing import toml_value

SLOWEST = 10.0
"""Seconds that one input may take on a busy machine; most take a thousandth."""


@attrs.frozen
class Subject:
    """Something that reads files: ``use`` is given the bytes of one; ``valid`` is one that it takes, of a ``kind``."""

    kind: str
    valid: bytes
    use: Callable[[bytes], Any]


DEEP, DIGITS = "\x01deep", "\x01digits"
"""What text cannot hold as a value of JSON: brackets without end, and a number of too many digits."""

junk = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 2**31, 2**63, -(2**70), 10**400, 0.5, -0.0, 1e308, 5e-324, math.nan, math.inf, -math.inf]
    ),
    st.sampled_from(
        ["", "\0", "a\0b", "../../x", "/etc/passwd", "..\\x", "C:\\x", ".", "~", "$HOME", "\ud800", "x" * 300]
    ),
    st.sampled_from([DEEP, DIGITS, "é" * 3, "[", "**", "{{x}}", "accepted", "given up", "nan", "1e999", "%s"]),
    st.builds(list),
    st.builds(dict),
    st.lists(st.integers(-5, 300), max_size=5),
    st.just([[[]]]),
    st.just({"size": [48, 64], "counts": "PPPPPPPPPPPPPPPPPPPPPPPP"}),
    st.just({"size": [0, 0], "counts": "11"}),
    st.just({"size": [2**31, 2**31], "counts": [2**62]}),
    st.just([[1e300, -1e300] * 4]),
)
steps = st.lists(
    st.tuples(
        st.integers(0, 2**16), st.sampled_from(["replace"] * 4 + ["remove", "add", "wrap", "double", "rename"]), junk
    ),
    min_size=1,
    max_size=4,
)
byte_steps = st.lists(
    st.tuples(
        st.integers(0, 2**20),
        st.sampled_from(["flip", "cut", "insert", "delete", "repeat", "line", "swap"]),
        st.one_of(
            st.binary(max_size=8), st.sampled_from([b"\0", b"\xff\xfe", b"[" * 3000, b"9" * 5000, b"\xef\xbb\xbf"])
        ),
    ),
    min_size=1,
    max_size=4,
)


def places(whole: Any) -> Iterator[tuple[Any, Any]]:
    """All containers below a value, each with one of its keys."""
    for key in list(whole if isinstance(whole, dict) else range(len(whole))):
        yield whole, key
        if isinstance(whole[key], dict | list):
            yield from places(whole[key])


def changed(whole: Any, changes: list[tuple[int, str, Any]]) -> Any:
    """A copy of a JSON value with some of its parts replaced, removed, doubled, ..."""
    root = [json.loads(json.dumps(whole))]
    for number, how, new in changes:
        found, new = list(places(root)), copy.deepcopy(new)
        inside, key = found[number % len(found)]
        if how == "replace":
            inside[key] = new
        elif how == "wrap":
            inside[key] = [inside[key]]
        elif how == "remove" and inside is not root:
            del inside[key]
        elif how == "double" and isinstance(inside, list):
            inside.insert(key, inside[key])
        elif how == "add" and isinstance(inside, dict):
            inside[f"more{number}"] = new
        elif how == "rename" and isinstance(inside, dict):
            inside[str(new)[:20]] = inside.pop(key)
    return root[0]


def json_text(whole: Any, again: int) -> bytes:
    """A value as JSON; where ``again`` is not 0, one of its keys stands there twice."""
    text = json.dumps(whole)
    if again and isinstance(whole, dict) and whole:
        key = list(whole)[again % len(whole)]
        text = "{" + json.dumps(key) + ":3," + text[1:]
    text = text.replace(json.dumps(DEEP), "[" * 50_000 + "]" * 50_000).replace(json.dumps(DIGITS), "9" * 5000)
    return text.encode()


def toml_text(whole: Any) -> bytes:
    if not isinstance(whole, dict):
        return str(whole).encode("utf-8", "surrogatepass")
    text = "".join(f"{toml_value(str(key))} = {toml_value(as_toml(v))}\n" for key, v in whole.items())
    text = text.replace(toml_value(DEEP), "[" * 5000 + "]" * 5000).replace(toml_value(DIGITS), "9" * 5000)
    return text.encode("utf-8", "surrogatepass")


def as_toml(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): as_toml(v) for k, v in value.items()}
    return [as_toml(v) for v in value] if isinstance(value, list) else "none" if value is None else value


def bytes_changed(data: bytes, changes: list[tuple[int, str, bytes]]) -> bytes:
    out = bytearray(data)
    for number, how, more in changes:
        at = number % (len(out) + 1)
        if how == "flip" and at < len(out):
            out[at] ^= 1 << (number % 8)
        elif how == "cut":
            del out[at:]
        elif how == "insert":
            out[at:at] = more
        elif how == "delete":
            del out[at : at + len(more) + 1]
        elif how == "repeat":
            out[at:at] = out[at : at + 40] * 5
        elif how in ("line", "swap"):
            lines = bytes(out).split(b"\n")
            i, j = number % len(lines), (number // 7) % len(lines)
            lines[i] = lines[j] if how == "line" else more + lines[i]
            out = bytearray(b"\n".join(lines))
    return bytes(out)


def inputs(subject: Subject) -> st.SearchStrategy[bytes]:
    """Files that are nearly valid, by structure or by bytes, and some that are nothing at all."""
    raw = st.builds(lambda changes: bytes_changed(subject.valid, changes), byte_steps)
    kinds = [raw, raw, st.binary(max_size=60)]
    if subject.kind == "json":
        whole = json.loads(subject.valid)
        kinds += [st.builds(lambda changes, n: json_text(changed(whole, changes), n), steps, st.integers(0, 4))] * 4
    if subject.kind == "toml":
        table = tomllib.loads(subject.valid.decode())
        kinds += [st.builds(lambda changes: toml_text(changed(table, changes)), steps)] * 4
    return st.integers(0, len(kinds) - 1).flatmap(lambda i: kinds[i])


@attrs.frozen
class Outcome:
    """What became of some inputs: how many a parser took and refused, the most seconds that one took, and by place and
    kind the shortest of those that ended otherwise."""

    taken: int
    refused: int
    slowest: float
    problems: dict[str, bytes]


def fuzz(subject: Subject, examples: int) -> Outcome:
    """Give a parser so many inputs; few of them are the same each time."""
    counts: Counter[bool] = Counter()
    times = [0.0]
    problems: dict[str, bytes] = {}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        derandomize=examples < 100,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(subject))
    def give(data: bytes) -> None:
        started = time.process_time()
        try:
            subject.use(data)
            counts[True] += 1
        except TwinsetError as error:
            counts[False] += 1
            if not str(error).strip():
                _note(problems, "a refusal without words", data)
        except Exception as error:
            places = [f for f in traceback.extract_tb(error.__traceback__) if "twinset" in f.filename]
            place = places[-1] if places else None
            where = f"{place.filename.rpartition('twinset/')[2]}:{place.lineno}" if place else "?"
            _note(problems, f"{type(error).__name__} at {where}: {str(error)[:80]!r}", data)
        times.append(time.process_time() - started)
        if times[-1] > SLOWEST:
            _note(problems, "takes too long", data)

    give()
    return Outcome(counts[True], counts[False], max(times), problems)


def _note(problems: dict[str, bytes], what: str, data: bytes) -> None:
    problems[what] = min(problems.get(what, data), data, key=len)

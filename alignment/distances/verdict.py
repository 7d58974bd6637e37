# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of a comparison in words: which columns differ significantly, and how, the most important first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from ..columns.registry import find_column
from .bootstrap import CONFIDENCE_LEVEL
from .comparison import QUANTILES
from .registry import PRIMARY, all_distances

_WIDER = 1.25
"""From this ratio of the ranges between the 5 % and the 95 % quantile on, one sample counts as the wider."""

_SHIFTED = 0.06
"""A direction is named where the share of pairs in which one side is larger is at least so far from one half."""

_MEDIAN = QUANTILES.index(0.5)


@attrs.frozen
class Statement:
    """The finding about one column of one class.

    Attributes
    ----------
    class_name, column : str
    main : bool
        Whether it is of the main instances' boxes only.
    significant : bool
        Whether the difference is significant: more than half of the distances that count in the verdict are above
        their critical values.
    direction : str
        ``larger`` or ``smaller``, of the synthetic values; "" for neither.
    spread : str
        ``wider`` or ``narrower``, of the synthetic values; "" for neither.
    rank : int
        The column's priority: 0 for columns whose alignment was found to matter, 1 for others, 2 for those where it
        did not help.
    distance, upper_floor : float
        The primary distance and its critical value.
    gap : float
        Largest difference of the cumulative distributions, in [0, 1], by which columns of one rank are ordered; of
        categories, half the sum of the differences of their shares.
    larger_share : float
        Share of pairs in which the synthetic value is larger.
    real_median, synth_median : float
    sentence : str
        All of it in words.
    """

    class_name: str
    column: str
    main: bool
    significant: bool
    direction: str
    spread: str
    rank: int
    distance: float
    upper_floor: float
    gap: float
    larger_share: float
    real_median: float
    synth_median: float
    sentence: str


@attrs.frozen
class Verdict:
    """The statements of a comparison and their summary.

    Attributes
    ----------
    significant : tuple of Statement
        Columns that differ significantly, the most important first.
    consistent : tuple of Statement
        Columns that do not.
    undecided : tuple of Statement
        Columns without enough data, such as a single real value.
    sentences : tuple of str
        A summary, then one sentence for each column that differs significantly.
    """

    significant: tuple[Statement, ...]
    consistent: tuple[Statement, ...]
    undecided: tuple[Statement, ...]
    sentences: tuple[str, ...]


def verdict(report: Mapping[str, Any]) -> Verdict:
    """Which columns of a comparison differ significantly, and how.

    Parameters
    ----------
    report : mapping
        From :func:`.comparison.compare` or :func:`.comparison.compare_measured`.

    Notes
    -----
    Ranks come from the method's findings, see ``priority`` of :class:`....engine.plugin.columns.Column`. Of two columns
    that say the same (``area`` beside ``sqrt_area``) only one is mentioned. Samples of one source differ significantly
    in about one column of twenty; the summary says so.
    """
    statements = list(_statements(report))
    significant = tuple(sorted((s for s in statements if s.significant), key=lambda s: (s.main, s.rank, -s.gap)))
    undecided = tuple(s for s in statements if math.isnan(s.upper_floor))
    consistent = tuple(s for s in statements if not s.significant and not math.isnan(s.upper_floor))
    summary = _summary(len(significant), len(consistent), undecided)
    sentences = (*summary, *(s.sentence for s in significant), *_unmatched_classes(report))
    return Verdict(significant, consistent, undecided, sentences)


def _summary(significant: int, consistent: int, undecided: tuple[Statement, ...]) -> Iterator[str]:
    tested = significant + consistent
    if not tested:
        yield "Nothing can be said: there are too few values to tell a difference from chance."
    elif not significant:
        yield f"None of {tested} columns differs significantly."
    else:
        expected = tested * (1 - CONFIDENCE_LEVEL)
        by_chance = f"about {expected:.0f}" if expected >= 0.5 else "less than one"
        verb = "differs" if significant == 1 else "differ"
        yield f"{significant} of {tested} columns {verb} significantly ({by_chance} would by chance):"
    if tested and undecided:
        names = ", ".join(sorted({s.column for s in undecided}))
        yield f"Nothing can be said about {len(undecided)} more: {names}."


def _unmatched_classes(report: Mapping[str, Any]) -> Iterator[str]:
    """Classes that only one of the datasets has."""
    for key, where in (("only_real", "real"), ("only_synth", "synthetic")):
        if report.get(key):
            yield f"Only in the {where} dataset: {', '.join(report[key])}."


def _statements(report: Mapping[str, Any]) -> Iterator[Statement]:
    for class_name, entry in report["classes"].items():
        for main, part in ((False, entry), (True, entry["main"])):
            columns = part["columns"] if part else {}
            for name, column in columns.items():
                if find_column(name).synonym_of not in columns:
                    yield _statement(class_name, name, main, column)


def _statement(class_name: str, name: str, main: bool, column: Mapping[str, Any]) -> Statement:
    categories = "categories" in column
    counted = [d.name for d in all_distances(categories=categories) if d.in_verdict]
    above = sum(column[key] > column[f"{key}_upper_floor"] for key in counted)
    significant = above > len(counted) / 2
    direction, spread = ("", "") if categories else _direction_and_spread(column)
    medians = (math.nan, math.nan) if categories else _medians(column)
    gap = column["ks"]
    if categories:  # a difference of cumulative shares needs an order
        gap = sum(abs(a - b) for a, b in zip(column["real"], column["synth"], strict=True)) / 2
    return Statement(
        class_name=class_name,
        column=name,
        main=main,
        significant=significant,
        direction=direction,
        spread=spread,
        rank=find_column(name).priority,
        distance=column[PRIMARY],
        upper_floor=column[f"{PRIMARY}_upper_floor"],
        gap=gap,
        larger_share=column["larger_share"],
        real_median=medians[0],
        synth_median=medians[1],
        sentence=_sentence(class_name, name, main, column, (direction, spread), significant),
    )


def _medians(column: Mapping[str, Any]) -> tuple[float, float]:
    return column["real_quantiles"][_MEDIAN], column["synth_quantiles"][_MEDIAN]


def _direction_and_spread(column: Mapping[str, Any]) -> tuple[str, str]:
    """Whether the synthetic values are larger or smaller, and wider or narrower spread, than the real ones."""
    share = column["larger_share"]
    direction = "larger" if share > 0.5 + _SHIFTED else "smaller" if share < 0.5 - _SHIFTED else ""
    real, synth = (column[f"{key}_quantiles"][-1] - column[f"{key}_quantiles"][0] for key in ("real", "synth"))
    if synth > _WIDER * real:
        return direction, "wider"
    return direction, "narrower" if real > _WIDER * synth else ""


def _sentence(
    class_name: str, name: str, main: bool, column: Mapping[str, Any], how: tuple[str, str], significant: bool
) -> str:
    subject = f"main {class_name}" if main else class_name
    head = f"{subject}, {find_column(name).in_words}: "
    if significant:
        return f"{head}{_difference(name, column, how)} ({_evidence(name, column)})."
    text = column["remark"] if math.isnan(column[f"{PRIMARY}_upper_floor"]) else "no significant difference"
    return head + text.rstrip(".") + "."


def _difference(name: str, column: Mapping[str, Any], how: tuple[str, str]) -> str:
    if "categories" in column:
        gaps = [b - a for a, b in zip(column["real"], column["synth"], strict=True)]
        most, least = (column["categories"][gaps.index(pick(gaps))] for pick in (max, min))
        return f"shares differ, most of all too many {most} and too few {least}"
    declared, (direction, spread) = find_column(name), how
    words = declared.larger if direction == "larger" else declared.smaller
    if declared.kind == "flag" and direction:
        return f"synthetic ones are {words}"
    parts = []
    if direction:
        share = column["larger_share"] if direction == "larger" else 1.0 - float(column["larger_share"])
        parts.append(f"synthetic ones are {words} in {share:.0%} of pairs")
    if spread:
        varies = "vary more" if spread == "wider" else "vary less"
        parts.append(varies if parts else f"synthetic ones {varies}")
    return " and ".join(parts) or "median and spread agree, the shape of the distribution does not"


def _evidence(name: str, column: Mapping[str, Any]) -> str:
    """Medians, or shares of flags that are set; the distance and its critical value."""
    # The primary distance, or the first that is significant where that one is not.
    counted = (d for d in all_distances(categories="categories" in column) if d.in_verdict)
    distance = next(d for d in counted if column[d.name] > column[f"{d.name}_upper_floor"])
    value, critical = column[distance.name], column[f"{distance.name}_upper_floor"]
    evidence = f"{distance.short} {value:.2g}" if math.isfinite(value) else "no common bin"
    evidence = f"{evidence}, significant above {critical:.2g}"
    if "categories" in column:
        return evidence
    if find_column(name).kind == "flag":
        real, synth = (column[key][-1] / sum(column[key]) for key in ("real", "synth"))
        return f"{synth:.0%} instead of {real:.0%}; {evidence}"
    real, synth = _medians(column)
    return f"median {synth:.3g} instead of {real:.3g}; {evidence}"

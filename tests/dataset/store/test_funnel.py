# SPDX-License-Identifier: GPL-3.0-or-later
"""Funnels counted record by record say what a look at all attempts together says."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from twinset.dataset.store.funnel import AttemptTally

EYE = np.eye(4).ravel().tolist()


def record(frame: int, rng: np.random.Generator) -> dict[str, Any]:
    """An accepted frame after some refused attempts, as JSON has it; some scores are missing."""

    def light() -> list[dict[str, Any]]:
        hdri = f"sky/{rng.integers(3)}.hdr"
        return [{"call": "set_world", "hdri": hdri, "strength": float(rng.integers(1, 9))}]

    def score() -> float | None:
        return None if rng.random() < 0.2 else float(rng.uniform(-1, 1))

    refused = []
    for attempt in range(int(rng.integers(3))):
        boxes = [["cup", f"cup {rng.integers(3)}", score(), float(rng.uniform(0, 1))] for _ in range(2)]
        stage = str(rng.choice(["draft", "render"]))
        facts = {"attempt": attempt, "stage": stage, "reason": "low", "score": score(), "boxes": boxes}
        refused.append(facts | {"elevation": float(rng.uniform(-20, 80)), "appearance": light()})
    instance = {"class": "cup", "shape": "cup 1", "columns": {"feature_score": score()}, "bbox": [0, 0, 20, 10]}
    return {
        "frame": frame,
        "verdict": "accepted",
        "attempts": len(refused) + 1,
        "rejected": ["render: low" for _ in refused],
        "refused": refused,
        "draws": {"camera": str(rng.choice(["orbit", "framed"])), "appearance": light()},
        "gate": {"score": float(rng.uniform(0, 1)), "traits": []},
        "image": {"width": 40, "height": 30},
        "instances": [instance],
        "camera": {"matrix": EYE},
    }


def attempts(records: list[dict[str, Any]]) -> list[tuple[bool, float | None, dict[str, Any], str]]:
    """All judged attempts: whether they passed, their score, their light and their camera."""
    out = []
    for r in records:
        camera = r["draws"]["camera"]
        out += [(False, a["score"], a["appearance"][0], camera) for a in r["refused"]]
        out.append((True, r["gate"]["score"], r["draws"]["appearance"][0], camera))
    return out


def brute(chosen: list[tuple[bool, float | None]]) -> tuple[int, int, Any]:
    scores = [s for _, s in chosen if s is not None]
    return len(chosen), sum(a for a, _ in chosen), pytest.approx(np.mean(scores)) if scores else None


def test_groups_are_those_of_all_attempts_together() -> None:
    rng = np.random.default_rng(0)
    records = [record(frame, rng) for frame in range(60)]
    tally = AttemptTally()
    for each in records:
        tally.add(each)
    gate = tally.funnel().gate
    known = attempts(records)
    assert (gate["judged"], gate["accepted"]) == (len(known), 60)
    rows = {kind: {r["value"]: (r["judged"], r["accepted"], r["score"]) for r in by} for kind, by in gate["by"].items()}
    for camera in ("orbit", "framed"):
        assert rows["camera"][camera] == brute([(a, s) for a, s, _, c in known if c == camera])
    for hdri in ("0.hdr", "1.hdr", "2.hdr"):
        assert rows["hdri"][hdri] == brute([(a, s) for a, s, light, _ in known if light["hdri"] == f"sky/{hdri}"])
    low, high = np.quantile([light["strength"] for _, _, light, _ in known], [1 / 3, 2 / 3])
    middle = brute([(a, s) for a, s, light, _ in known if low <= light["strength"] < high])
    assert rows["strength"][f"{low:.3g} to {high:.3g}"] == middle and len(rows["strength"]) == 3
    missed = [(a["stage"] == "render", a["score"], r["frame"]) for r in records for a in r["refused"]]
    *_, frame = max(m for m in missed if m[1] is not None)
    assert gate["nearest_miss"]["frame"] == frame


def test_a_hundred_thousand_frames_take_no_more_memory_than_their_numbers() -> None:
    rng = np.random.default_rng(0)
    some = [record(frame, rng) for frame in range(50)]
    tally = AttemptTally()
    tracemalloc.start()
    for _ in range(40):
        for each in some:
            tally.add(each)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 4,000 judged attempts; three numbers each, of at most eight bytes.
    assert held < 300_000

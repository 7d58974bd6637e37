# SPDX-License-Identifier: GPL-3.0-or-later
"""Accepts frames whose boxes resemble real ones in the features of a vision model; cheap drafts may be judged first."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.registry import builtin_columns
from ...alignment.features.curation import POOLS, elbow
from ...alignment.features.density import Density, load_density
from ...alignment.features.draft_calibration import DraftRule, fit_draft_rule, rate
from ...alignment.features.extractor import Extractor
from ...engine.errors import DataError
from ...engine.plugin import Draft, Verdict, param, plugin
from ...engine.stage import Shot

COLUMN = "feature_score"
TOO_LOW = "feature score too low"
TOO_NEAR = "near-duplicate of an accepted frame"

Rows = Sequence[Mapping[str, Any]]


@plugin("filter")
class FeatureScore:
    """Score how typical boxes are of real ones by the features of a vision model [Zhang2023, §5]."""

    columns = builtin_columns(COLUMN)

    features: str = param(path=True, doc="File of real features, written by `twinset fit-features`")
    model: str = param("", path=True, doc="ONNX model that computed them; default is the packaged one")
    threshold: float = param(0.1, min=0.0, max=1.0, doc="Minimum score; nine of ten new real boxes have more than 0.1")
    threshold_by: str = param(
        "real", choices=("real", "elbow"), doc="Use 'threshold', or the elbow of the scores of a warm-up"
    )
    level: str = param(
        "image", choices=("image", "box"), doc="Judge images by the mean score of their boxes, or each box separately"
    )
    action: str = param(
        "reject",
        choices=("reject", "drop annotation", "black box"),
        doc="What happens below the threshold: the frame is rejected, the box loses its annotation, or it is also "
        "painted black. A frame without remaining boxes is rejected",
    )
    classes: list[str] = param([], means="class", doc="Classes to judge; default is the class of the features")
    min_box_side: int = param(
        16, min=1, unit="px", doc="Boxes with a shorter side are accepted without judging", formerly="min_size"
    )
    draft: bool = param(
        False, doc="Judge a cheap draft first, calibrated by a warm-up; saves time if many frames are rejected"
    )
    draft_scale: float = param(1.0, min=0.05, max=1.0, doc="Size of a draft, relative to the image")
    draft_samples: int = param(1, min=1, max=65536, doc="Samples per pixel of a draft, which is denoised")
    max_false_reject_rate: float = param(
        0.05,
        min=0.001,
        max=0.5,
        doc="Maximum share of acceptable frames that drafts may reject",
        formerly="draft_error",
    )
    warm_up: int = param(
        48,
        min=10,
        max=10_000,
        doc="Frames rendered first to calibrate drafts or find the elbow; they are not part of the dataset",
    )
    near_duplicate_distance: float = param(
        0.0,
        formerly="near_duplicates",
        min=0.0,
        max=1.0,
        doc="Reject a frame if all of its boxes are nearer to those of an accepted frame of its block than this share "
        "of the typical distance between nearest real boxes; 0 accepts near-duplicates",
    )
    min_pass_rate: float = param(
        0.01,
        min=0.0,
        max=1.0,
        doc="Minimum share of accepted attempts; the job ends if, after 200 judged attempts, fewer were accepted",
        formerly="floor",
    )
    threads: int = param(1, min=1, max=256, doc="Number of threads that run the model")

    recipe_example = 'features = "chair.features"'

    def __attrs_post_init__(self) -> None:
        if self.level == "image" and self.action != "reject":
            raise ValueError(f"the action '{self.action}' needs level = \"box\".")

    def open_gate(self) -> FeatureGate:
        """Read features and model and try them. DataError where they do not fit."""
        density = load_density(self.features)
        extractor = Extractor(self.model or None, threads=self.threads)
        density.check_model(extractor.sha256, extractor.path)
        width, height = extractor.size
        length = extractor.extract(np.zeros((1, height, width, 3), np.uint8)).shape[1]
        if length != len(density.mean):
            raise DataError(
                f"The model '{extractor.path}' gives {length} features, and '{self.features}' holds "
                f"{len(density.mean)}. Fit them again."
            )
        digest = hashlib.sha256(Path(self.features).read_bytes() + extractor.sha256.encode()).hexdigest()
        return FeatureGate(self, density, extractor, digest)

    def judge(self, shot: Shot, rows: Rows) -> Verdict:
        """The verdict on one shot; opens all files for it."""
        return self.open_gate().judge(shot, rows)


@attrs.frozen(eq=False)
class BoxFeatures:
    """``ids`` (m,) of the boxes that are judged and their ``features`` (m, d)."""

    ids: tuple[int, ...]
    features: np.ndarray


@attrs.frozen(eq=False)
class FeatureGate:
    """The filter at work, see :class:`...engine.plugin.Gate`."""

    settings: FeatureScore
    density: Density
    extractor: Extractor
    fingerprint: str
    threshold: float = attrs.field()
    rule: DraftRule | None = None
    warm_up_frames: int = 0

    @threshold.default
    def _threshold(self) -> float:
        return self.settings.threshold

    @property
    def warm_up(self) -> int:
        return self.settings.warm_up if self.settings.draft or self.settings.threshold_by == "elbow" else 0

    @property
    def draft(self) -> Draft | None:
        """None, too, once a warm-up has shown that drafts tell nothing."""
        useless = self.rule is not None and (not self.rule.caught or self.rule.threshold == -math.inf)
        if not self.settings.draft or useless:
            return None
        return Draft(self.settings.draft_scale, self.settings.draft_samples)

    @property
    def floor(self) -> float:
        return self.settings.min_pass_rate

    @property
    def classes(self) -> list[str]:
        """The classes that are judged; none named means all."""
        return self.settings.classes or [c for c in [self.density.origin.get("class", "")] if c]

    def measure(self, picture: np.ndarray, rows: Rows, size: tuple[int, int]) -> BoxFeatures:
        chosen = [
            row
            for row in rows
            if row["bbox"] and min(row["bbox"][2:]) >= self.settings.min_box_side
            if not self.classes or row["class"] in self.classes
        ]
        x, y = picture.shape[1] / size[0], picture.shape[0] / size[1]
        boxes = [(b[0] * x, b[1] * y, b[2] * x, b[3] * y) for b in (row["bbox"] for row in chosen)]
        margin = float(self.density.origin.get("margin", 0.1))
        features = self.extractor.extract_boxes(picture, boxes, margin) if boxes else np.empty((0, 0))
        return BoxFeatures(tuple(row["id"] for row in chosen), features.astype(float))

    def learn(self, samples: Sequence[tuple[BoxFeatures | None, BoxFeatures]]) -> dict[str, Any]:
        samples = [(draft, full) for draft, full in samples if full.ids]
        scores = [self.density.extended_score(full.features) for _, full in samples]
        threshold = self.settings.threshold
        if self.settings.threshold_by == "elbow" and samples:
            by_image = self.settings.level == "image"
            threshold = elbow(np.array([s.mean() for s in scores]) if by_image else np.concatenate(scores))
        learned: dict[str, Any] = {"frames": len(samples), "threshold": threshold}
        if self.settings.draft:
            pairs = [(draft.features, full.features) for draft, full in samples if draft is not None]
            passes = [self._pooled(s) >= threshold for s in scores]
            rule = fit_draft_rule(
                pairs, passes, self.density.extended_score, self._pooled, self.settings.max_false_reject_rate
            )
            never = rule.threshold == -math.inf
            learned["draft"] = {
                **attrs.asdict(rule),
                "shift": rule.shift.tolist(),
                "threshold": None if never else rule.threshold,
            }
        return learned

    def taught(self, learned: Mapping[str, Any]) -> FeatureGate:
        rule = None
        if "draft" in learned:
            values = dict(learned["draft"])
            values["shift"] = np.array(values["shift"])
            values["threshold"] = -math.inf if values["threshold"] is None else values["threshold"]
            rule = DraftRule(**values)
        return attrs.evolve(
            self, threshold=float(learned["threshold"]), rule=rule, warm_up_frames=int(learned["frames"])
        )

    def judge_draft(self, picture: np.ndarray, rows: Rows, size: tuple[int, int]) -> Verdict:
        measured = self.measure(picture, rows, size)
        has_unjudged = self.settings.action != "reject" and len(measured.ids) < len(rows)
        if self.rule is None or not measured.ids or has_unjudged:
            return Verdict(True)
        scores = self.density.extended_score(measured.features + self.rule.shift)
        score = self._pooled(scores)
        return Verdict(score >= self.rule.threshold, TOO_LOW, columns=_columns(measured, scores), score=score)

    def judge(self, shot: Shot, rows: Rows, seen: Sequence[Any] = ()) -> Verdict:
        measured = self.measure(shot.image, rows, (shot.image.shape[1], shot.image.shape[0]))
        if not measured.ids:
            return Verdict(True, columns={COLUMN: {}})
        scores = self.density.extended_score(measured.features)
        score, columns = self._pooled(scores), _columns(measured, scores)
        if self.settings.action == "reject" and score < self.threshold:
            return Verdict(False, TOO_LOW, columns=columns, score=score)
        # Rounded as records are, so that a frame read back counts like one just made.
        traits = self.density.transform(measured.features).round(4)
        if self._is_near(traits, seen):
            return Verdict(False, TOO_NEAR, columns=columns, score=score)
        bad = frozenset(id for id, s in zip(measured.ids, scores, strict=True) if s < self.threshold)
        if self.settings.action == "reject" or not bad:
            return Verdict(True, columns=columns, score=score, traits=self._kept(traits))
        painted = bad if self.settings.action == "black box" else frozenset()
        return Verdict(True, TOO_LOW, bad, painted, columns, score, self._kept(traits))

    def report(self) -> dict[str, Any]:
        shown = {
            "class": self.classes,
            "model": self.extractor.path.name,
            "threshold": self.threshold,
            "threshold_by": self.settings.threshold_by,
            "level": self.settings.level,
            "action": self.settings.action,
            "real": len(self.density.calibration),
            "notes": self.density.notes(self.threshold) if 0 < self.threshold < 1 else [],
        }
        if self.rule is not None:
            false_reject_rate, low, high = self.rule.false_refusals()
            shown["draft"] = {
                "used": self.draft is not None,
                "warm_up": self.warm_up_frames,
                "would_pass": self.rule.passed,
                "false_rejects": self.rule.wrongly,
                "false_reject_rate": None if math.isnan(false_reject_rate) else false_reject_rate,
                "interval": [low, high],
                "allowed": self.settings.max_false_reject_rate,
                "would_fail": self.rule.failed,
                "caught": self.rule.caught,
                "caught_interval": list(rate(self.rule.caught, self.rule.failed)[1:]),
            }
        return shown

    def _pooled(self, scores: np.ndarray) -> float:
        """One number per frame: a frame is rejected where it lies under the threshold."""
        how = "mean" if self.settings.level == "image" else "min" if self.settings.action == "reject" else "max"
        return float(POOLS[how](scores))

    def _kept(self, traits: np.ndarray) -> list[list[float]] | None:
        return traits.tolist() if self.settings.near_duplicate_distance else None

    def _is_near(self, traits: np.ndarray, seen: Sequence[Any]) -> bool:
        if not self.settings.near_duplicate_distance:
            return False
        reach = self.settings.near_duplicate_distance * self.density.spacing()
        for earlier in seen:
            if earlier and (np.linalg.norm(traits[:, None] - np.array(earlier)[None], axis=2).min(1) < reach).all():
                return True
        return False


def _columns(measured: BoxFeatures, scores: np.ndarray) -> dict[str, dict[int, float]]:
    return {COLUMN: dict(zip(measured.ids, map(float, scores), strict=True))}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a recipe: parts of the dataset."""

from __future__ import annotations

import attrs

from ...plugin.params import param


@attrs.frozen
class SplitSettings:
    """Parts of the dataset without shared assets: frames and the assets of each class are divided in the same ratio."""

    train: float | None = param(None, min=0.0, max=1.0, doc="Share for training; default is the rest")
    val: float = param(0.0, min=0.0, max=1.0, doc="Share for validation")
    test: float = param(0.0, min=0.0, max=1.0, doc="Share for testing")
    distractors: bool = param(True, doc="Divide distractors, too; otherwise every part uses all of them")

    def __attrs_post_init__(self) -> None:
        held_out = self.val + self.test
        if self.train is None and held_out > 1 + 1e-6:
            raise ValueError(f"'val' and 'test' must not be more than 1 together. They add up to {held_out:g}.")
        if self.train is not None and abs(self.train + held_out - 1) > 1e-6:
            raise ValueError(f"'train', 'val' and 'test' must add up to 1. They add up to {self.train + held_out:g}.")

    @property
    def shares(self) -> dict[str, float]:
        """Share of each part by its name; empty if there is only one part."""
        whole = {"train": max(1 - self.val - self.test, 0.0), "val": self.val, "test": self.test}
        parts = {name: share for name, share in whole.items() if share > 1e-6}
        return parts if len(parts) > 1 else {}

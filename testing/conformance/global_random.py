# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects whether a plugin uses the global random generators, which nothing in Twinset does."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np

from .digest import digest

States = tuple[Any, Any]

_stirred = itertools.count(1)


def states() -> States:
    """The states of the modules ``random`` and ``numpy.random``."""
    return random.getstate(), np.random.get_state()  # noqa: NPY002 - read, not drawn from


def stir() -> None:
    """Seed both differently at each call, so that results which depend on them differ from run to run."""
    number = next(_stirred)
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002


def restore(before: States) -> None:
    """Restore both."""
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002


def touched(before: States) -> tuple[str, ...]:
    """Which of the two have been drawn from or seeded since."""
    pairs = zip(("random", "numpy.random"), before, states(), strict=True)
    return tuple(name for name, old, new in pairs if digest(old) != digest(new))

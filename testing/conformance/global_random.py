# SPDX-License-Identifier: GPL-3.0-or-later
"""The global random generators: nothing of Twinset draws from them, and this sees whether a plugin does."""

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
    """Bring both into states that no earlier call has left: what depends on them then differs from run to run."""
    number = next(_stirred)
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002


def restore(before: States) -> None:
    """Put both back."""
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002


def touched(before: States) -> tuple[str, ...]:
    """Which of the two have been drawn from or seeded since."""
    pairs = zip(("random", "numpy.random"), before, states(), strict=True)
    return tuple(name for name, old, new in pairs if digest(old) != digest(new))

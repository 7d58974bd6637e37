# SPDX-License-Identifier: GPL-3.0-or-later
"""Old spellings of parameters and plugin ids: read for one release, each with a note in the log."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .params import Param

REFUSED_BY = "0.3"
"""The release that reads old spellings no more."""

log = logging.getLogger(__name__)


def current_names(
    params: Iterable[Param], values: Mapping[str, Any], note: Callable[[str, str], None] = lambda old, new: None
) -> dict[str, Any]:
    """Values by the names that parameters have today, in the same order.

    Parameters
    ----------
    params : iterable of Param
        Their ``formerly`` names the old spelling.
    values : mapping
        Values by name. An old name stays where the new one is given, too: the two contradict each other.
    note : callable
        Takes the old and the new name of each that was renamed.
    """
    renamed = {p.formerly: p.name for p in params if p.formerly and p.name not in values}
    for old in values:
        if old in renamed:
            note(old, renamed[old])
    return {renamed.get(name, name): value for name, value in values.items()}


@functools.cache
def warn(where: str, old: str, new: str) -> None:
    """Log, once each, that an old spelling was read; ``where`` is a file and line, or an option of a command."""
    log.warning("%s: '%s' is now called '%s'. Twinset %s will refuse the old spelling.", where, old, new, REFUSED_BY)

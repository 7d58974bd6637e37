# SPDX-License-Identifier: GPL-3.0-or-later
"""The former place of :mod:`.fixtures.pictures`, for tests that still import it; goes in Twinset 0.3."""

from ..engine.moved import moved_to

__getattr__ = moved_to(__name__, "fixtures.pictures", importer="a plugin's test")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The former place of :mod:`.geometry.framing`, for plugins that still import it; goes in Twinset 0.3."""

from .moved import moved_to

__getattr__ = moved_to(__name__, "geometry.framing", {"look": "look_rotation"})

# SPDX-License-Identifier: GPL-3.0-or-later
"""The former place of :mod:`.fixtures.scene`, kept so that importing it leaves ``twinset.testing.scene`` a function."""

from .fixtures.scene import scene

__all__ = ["scene"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of all errors that the API raises on purpose."""

from ..engine.errors import TwinsetError

__all__ = ["TwinsetError"]

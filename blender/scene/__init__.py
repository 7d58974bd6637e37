# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes as they are opened or built, with assets and lights."""

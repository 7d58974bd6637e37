# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of renders: starting, stopping and queueing them, and looking at what they have made."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigid bodies in a scene of their own, which lives for one simulation."""

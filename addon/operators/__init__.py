# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: what buttons do."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of a detector on real images [Zhang2023, §6]."""

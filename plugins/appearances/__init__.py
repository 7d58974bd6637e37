# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins that vary lights, world, background and distractors."""

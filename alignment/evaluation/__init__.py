# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a detector does on real images [Zhang2023, §6]."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configurations of a generator match a real column [Zhang2023, §3]."""

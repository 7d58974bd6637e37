# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of pictures by vision models, and what is learned from them [Zhang2023, §5]."""

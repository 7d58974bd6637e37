# SPDX-License-Identifier: GPL-3.0-or-later
"""Label passes, one per file: maps of each frame, such as ids and depth."""

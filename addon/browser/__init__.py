# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered images of the output folder: their records, filters and thumbnails."""

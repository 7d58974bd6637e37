# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata columns that Twinset knows, each declared once, in the order in which reports show them."""

from . import box_geometry, color_statistics, object_columns, pixel_columns

BUILTIN = (*box_geometry.COLUMNS, *object_columns.COLUMNS, *pixel_columns.COLUMNS, *color_statistics.COLUMNS)

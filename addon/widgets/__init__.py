# SPDX-License-Identifier: GPL-3.0-or-later
"""What panels and views are drawn with."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Sheets on which people rate predicted values of real boxes, and the scores of these ratings."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata columns: what is measured of boxes and images [Zhang2023, §2]."""

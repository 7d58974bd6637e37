# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances between datasets, with intervals and floors, and what they come to in words."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances between datasets, with intervals and floors, and the verdict on them."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves whole layouts: a camera, and a place for every box that a frame is to show."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves whole layouts: a camera, and an asset and its position for every box of a frame."""

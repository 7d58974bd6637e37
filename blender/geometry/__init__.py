# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluated meshes, and rays, distances and collisions on them."""

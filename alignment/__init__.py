# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of datasets: arrays in, numbers out. No bpy."""

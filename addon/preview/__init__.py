# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample shown in the open scene: its state, its objects, and the boxes drawn over the 3D Viewport."""

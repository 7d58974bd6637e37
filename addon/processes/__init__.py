# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender processes in the background: the preview session and the render job."""

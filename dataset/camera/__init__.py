# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos read as their camera wrote them, and what is estimated of the camera."""

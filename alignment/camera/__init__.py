# SPDX-License-Identifier: GPL-3.0-or-later
"""What photos say of the camera that took them: noise, sharpness, compression, vignetting, tone, colour."""

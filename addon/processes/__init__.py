# SPDX-License-Identifier: GPL-3.0-or-later
"""Background Blenders and the samples that they make."""

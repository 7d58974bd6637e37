# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders pictures, labels and amodal masks."""

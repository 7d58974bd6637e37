# SPDX-License-Identifier: GPL-3.0-or-later
"""Twinset: synthetic object-detection datasets whose statistics match a small real dataset."""

__version__ = "0.1.0"

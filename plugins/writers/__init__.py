# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins that put a dataset into files of one format."""

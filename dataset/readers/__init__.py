# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of datasets as other tools write them, one format per file."""

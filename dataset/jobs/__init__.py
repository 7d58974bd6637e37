# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: rendering a dataset, previewing it, finishing it, and making new ones of it."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The composite distance of datasets, by which `quality` ranks them."""

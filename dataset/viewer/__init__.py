# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows datasets: a local page, or FiftyOne where it is installed."""

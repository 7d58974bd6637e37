# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: render a dataset, preview it, write its annotations, and derive new ones from it."""

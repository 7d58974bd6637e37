# SPDX-License-Identifier: GPL-3.0-or-later
"""Export formats, one per file: what `finish` makes of the records."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands, by the groups of the help."""

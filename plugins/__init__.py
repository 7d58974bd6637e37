# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in plugins: one folder per kind, one file per plugin, file name = plugin id."""

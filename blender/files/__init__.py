# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that Blender reads: models, linked files, missing files."""

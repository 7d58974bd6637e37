# SPDX-License-Identifier: GPL-3.0-or-later
"""BlenderProc beside Twinset: its loaders as sources of assets and rooms, and Twinset's plugins in its scripts."""

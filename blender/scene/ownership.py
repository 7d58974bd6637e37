# SPDX-License-Identifier: GPL-3.0-or-later
"""The custom property that marks data-blocks as added by Twinset, so that they can be found and removed again."""

OWNED = "twinset_own"

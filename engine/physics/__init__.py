# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that fall and come to rest: their convex pieces, where they start, and when they count as being at rest."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene is made of as the engine sees it, and what materials may change of it."""

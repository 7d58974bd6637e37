# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that learn from real boxes what to keep and what to render."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes frames: whose turn it is, attempts, verdicts and gates."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes frames: their schedule, attempts, verdicts and gates."""

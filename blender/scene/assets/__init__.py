# SPDX-License-Identifier: GPL-3.0-or-later
"""The assets of the recipe's classes: where they come from, their variants, and what they consist of."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures made from others: backgrounds and repainted instances."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The composite distance of whole datasets: its components, from columns and features."""

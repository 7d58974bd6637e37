# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures, labels and lone instances, rendered."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes on one job."""

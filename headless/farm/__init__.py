# SPDX-License-Identifier: GPL-3.0-or-later
"""Job files for render farms, one module per engine that they are for."""

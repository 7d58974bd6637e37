# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about plugins, recipes and this machine."""

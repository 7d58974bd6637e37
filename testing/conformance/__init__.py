# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance kit: what every plugin owes its users."""

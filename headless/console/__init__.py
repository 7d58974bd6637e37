# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands share: output, progress, Ctrl-C, requests."""

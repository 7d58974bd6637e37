# SPDX-License-Identifier: GPL-3.0-or-later
"""Where assets can rest and what cameras see of them: contact, support, framing, lines of sight."""

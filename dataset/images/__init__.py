# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files: what their headers say, before anything is decoded."""

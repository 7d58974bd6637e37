# SPDX-License-Identifier: GPL-3.0-or-later
"""The guided path: what an artist does next, and whether objects have their real size."""

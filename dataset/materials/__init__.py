# SPDX-License-Identifier: GPL-3.0-or-later
"""What materials are made of: colours of real photos, and folders of textures."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""What writers share: outlines of masks, YOLO's files, dataset cards."""

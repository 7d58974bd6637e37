# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a dataset: COCO, YOLO, per-frame records, reports."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Annotations as other tools export them: turned into COCO's form, and repaired where only one meaning is possible."""

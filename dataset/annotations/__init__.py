# SPDX-License-Identifier: GPL-3.0-or-later
"""Annotation sources, one per file: entries of each annotated instance, such as its amodal box."""

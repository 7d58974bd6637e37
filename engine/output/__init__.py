# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dataset can consist of beside its pictures: label passes, annotation entries, and files in other formats."""

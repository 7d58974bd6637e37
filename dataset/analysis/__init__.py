# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured and inferred of datasets."""

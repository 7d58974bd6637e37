# SPDX-License-Identifier: GPL-3.0-or-later
"""The report page, contact sheets and plots of datasets."""

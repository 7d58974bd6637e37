# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of an alignment share: their folder, options, fingerprints of inputs, gains, and what a step is."""

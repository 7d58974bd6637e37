# SPDX-License-Identifier: GPL-3.0-or-later
"""The output folder of a job: frames, records, inputs, workers and status."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from a recipe and real photos to an aligned dataset, in steps that are kept, continued and measured."""

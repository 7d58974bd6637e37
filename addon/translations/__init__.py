# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of panels in German, French, Spanish, Japanese and Chinese."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance kit: what every plugin owes its users."""

from .checks import CHECKS, Check, Finding, PluginCheckError, Subject, check_plugin, plugin_checks

__all__ = ["CHECKS", "Check", "Finding", "PluginCheckError", "Subject", "check_plugin", "plugin_checks"]

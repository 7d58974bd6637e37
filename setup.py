# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the packages; pyproject.toml cannot say that the repository root is the package ``twinset`` itself."""

from setuptools import find_packages, setup

NOT_PACKAGED = ["tests*", "docs*", "benchmarks*", "build*"]

setup(
    packages=["twinset", *sorted(f"twinset.{name}" for name in find_packages(exclude=NOT_PACKAGED))],
    script_name="setup.py",  # whatever calls the backend, so that this file itself stays out of the package
)

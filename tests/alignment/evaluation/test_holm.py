# SPDX-License-Identifier: GPL-3.0-or-later
"""Holm's correction is the known one."""

from __future__ import annotations

import pytest
from twinset.alignment.evaluation.holm import holm


def test_holm_is_that_of_the_textbook():
    # By hand: 4 * 0.005; 3 * 0.01 = 0.03; 2 * 0.03 = 0.06; 1 * 0.04 is below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []

# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts and elements of the report page."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from twinset.dataset.report import charts
from twinset.dataset.report.markup import document, tag


def test_charts_show_the_numbers():
    found = {"edges": [0, 1, 2, 3, 4], "real": [0.5, 0.5, 0.0, 0.0], "synth": [0.0, 0.25, 0.5, 0.25]}
    drawn = charts.histogram("depth", found, (0.5, 2.5))
    hovers = [e.find("title").text for e in drawn.iter("rect")]
    assert hovers[1] == "1 to 2: real 50.0%, synthetic 25.0%"
    tops = {float(v) for v in re.findall(r"V([\d.]+)H", drawn.find("path[@class='bars real']").get("d"))}
    assert tops == {12.0, 124.0}  # half of the boxes is the highest bar; an empty bin has none
    at_end = charts.gauge(0.2, (0.1, 0.4), 0.2)
    line = float(re.match(r"M([\d.]+)", at_end.find("path[@class='floor']").get("d"))[1])
    assert float(at_end.find("circle").get("cx")) == pytest.approx(line, abs=0.01)
    assert charts.gauge(9.0, (1.0, math.inf), 0.2).find("circle") is None
    x, y = np.array([0.0, 0.99, 1.0, 0.5]), np.array([0.0, 0.0, 0.01, 1.0])
    shares = charts.centre_shares(x, y)
    assert shares.shape == (12, 16) and shares[0, 0] == 0.25 and shares[0, 15] == 0.5 and shares.sum() == 1


def test_elements_escape():
    made = document(
        "<t>", "p{}", tag("p", "a<b>&", None, ["c", tag("i", "\ud800", title='"q"')], hidden=True, data_n=0.5)
    )
    assert '<p hidden="" data-n="0.5">a&lt;b&gt;&amp;c<i title="&quot;q&quot;">\ufffd</i></p>'.encode() in made
    assert b"<title>&lt;t&gt;</title>" in made

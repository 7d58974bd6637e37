# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that come from files are text, whatever they look like to a console, a plot, a table or a random stream."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.formats.metadata_table import read_columns, write_columns
from twinset.dataset.report.plots import plot_comparison
from twinset.engine.errors import DataError
from twinset.engine.rng import stream
from twinset.headless.console.output import Output
from twinset.headless.console.progress import progress_bar

MARKUP = "cup [/b] [red]x"


def coco(name: str) -> str:
    images = [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}]
    annotations = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 20]}]
    return json.dumps(
        {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "NAME"}]}
    ).replace("NAME", name)


def test_tables_and_lines_show_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(MARKUP, title=MARKUP)
    table.add_row(MARKUP)
    Output().result({}, table, MARKUP)
    assert capsys.readouterr().out.count(MARKUP) == 4


def test_progress_shows_brackets_as_they_are() -> None:
    text = io.StringIO()
    output = Output(err=Console(file=text, force_terminal=True, width=200))
    with progress_bar(output, hidden=False) as bar:
        bar.add_task(MARKUP, total=2)
        bar.refresh()
    assert MARKUP in text.getvalue()


def test_json_goes_through_any_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", pipe)
    Output(json=True).json_line({"class": "椅子 \ud800"})
    assert json.loads(pipe.buffer.getvalue())["class"] == "椅子 \ud800"


@pytest.mark.parametrize("name", ["$", "$x", r"$\frac$", "a $^^$ b"])
def test_dollars_are_no_mathematics_in_plots(tmp_path: Path, name: str) -> None:
    nothing = {key: 0.1 for key in ("bhattacharyya", "floor")} | {"bhattacharyya_interval": [0.0, 0.2]}
    column = {"edges": [-0.5, 0.5], "real": [1.0], "synth": [1.0], "categories": [name], "n_real": 1, "n_synth": 1}
    path = plot_comparison({name: column | nothing}, tmp_path / "plot.png", title=name)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("names", [["0", "1", "0"], ["True", "False", "True"], ["nan", "1e5", "inf"]])
def test_classes_that_look_like_numbers_stay_names(tmp_path: Path, names: list[str]) -> None:
    write_columns(tmp_path / "t.csv", {"class": names, "x": [1.0, 2.0, 3.0]})
    found = read_columns(tmp_path / "t.csv")
    assert list(found["class"]) == names
    assert np.array_equal(found["x"], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("half", [r"\ud800", r"cup \uDE00 x", r"\ude00\ud83d"])
def test_half_characters_are_refused_where_they_come_in(tmp_path: Path, half: str) -> None:
    (tmp_path / "real.json").write_text(coco(half))
    with pytest.raises(DataError, match=r"real\.json' has an invalid character, the lone surrogate \\ud"):
        read_coco(tmp_path / "real.json")


def test_two_halves_are_one_character(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text(coco(r"\ud83d\ude00"))
    assert read_coco(tmp_path / "real.json").categories[0]["name"] == "\N{GRINNING FACE}"


def test_every_name_has_a_stream_of_its_own() -> None:
    drawn = [stream(0, name).random() for name in ("cup", "\ud800", "\ud801", "<b>", "a/b")]
    assert len(set(drawn)) == 5

# SPDX-License-Identifier: GPL-3.0-or-later
"""The notebook of the guide runs from top to bottom, in an empty folder, and shows what it says."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_the_notebook_runs(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(root / "docs" / "guide" / "python_api.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "Clear the outputs before committing."
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [output["data"] for output in outputs if "data" in output]
    printed = "".join(output["text"] for output in outputs if output["output_type"] == "stream")
    assert [line.split()[0] for line in printed.splitlines() if line.endswith(" boxes")] == ["0", "1", "2", "3"]
    assert any("image/jpeg" in data for data in shown)
    assert any("<table" in data.get("text/html", "") and "bhattacharyya" in data["text/html"] for data in shown)
    assert b"</html>" in (tmp_path / "report.html").read_bytes()
    assert len(list((tmp_path / "chairs" / "images").iterdir())) == 4

# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``preview``: predicts the boxes of a recipe without rendering, once or as a server."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ....engine.errors import OutputError, RecipeError, TwinsetError
from ....engine.plugin.params import shorten
from ....engine.recipe.reading import load_recipe, loads_recipe
from ....engine.recipe.settings import Recipe
from ....engine.regular_files import real_path
from ...console.commands import command
from ...console.frame_ranges import parse_range
from ...console.interrupt import interruptible, until
from ...console.options import RecipeArgument, RecipeSeedOption
from ...console.output import JsonOption, Output, output_of
from ...console.progress import progress_bar
from ...console.requests import Requests, exit_later
from .render import open_stage, overrides

if TYPE_CHECKING:
    from ....dataset.jobs.preview import Preview


@command(order=30)
def preview(
    context: typer.Context,
    recipe: RecipeArgument,
    frames: Annotated[
        str, typer.Option("--frames", metavar="A-B", help="Predict frames A to B, both included.")
    ] = "0-49",
    seed: RecipeSeedOption = None,
    serve: Annotated[
        Path | None,
        typer.Option(
            "--serve",
            metavar="FOLDER",
            help="Serve requests: read one JSON object per line from standard input until it closes. Assets and images "
            "go to FOLDER.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Predict the box statistics of a recipe without rendering.

    Probes the frames and compares their boxes with the real ones.
    """
    output = output_of(context)
    if serve is not None:
        output.json = True
        Server(recipe, serve, output).run()
        return
    indices = parse_range(frames)
    assert indices is not None
    loaded = load_recipe(recipe, overrides(seed=seed))
    from ....dataset.jobs.preview import Preview

    prediction = Preview(open_stage)
    with progress_bar(output, hidden=output.json or not output.err.is_terminal) as bar:
        task = bar.add_task("Opening the scene", total=None)
        with interruptible(output) as is_stopping:
            for step in until(is_stopping, prediction.change(loaded)):
                bar.update(task, description=step.message)
            bar.update(task, description="Probing", total=len(indices), completed=0)
            for index in until(is_stopping, indices):
                prediction.record(index)
                bar.advance(task)
    for note in prediction.notes():
        output.message(note)
    gap = prediction.gap(indices)
    output.result(gap, *tables(gap))


def tables(gap: Mapping[str, Any]) -> Iterator[Any]:
    """A gap as text: a table of distances, a histogram per class, and the rejected attempts."""
    table = Table("class", "column", "distance", "floor", "real boxes", "predicted boxes")
    for name, result in gap["classes"].items():
        for column, values in result["columns"].items():
            numbers = ["-" if values[key] is None else f"{values[key]:.3f}" for key in ("distance", "floor")]
            counts = [str(result[key]) for key in ("n_real", "n_synth")]
            table.add_row(name if column == "sqrt_area" else "", column, *numbers, *counts)
    yield table
    for name, result in gap["classes"].items():
        yield _bars(name, result["columns"]["sqrt_area"], result["bins"])
    if gap["rejected"]:
        yield "Rejected attempts: " + ", ".join(f"{reason} ({n})" for reason, n in gap["rejected"].items()) + "."
    if gap["given_up"]:
        yield f"{gap['given_up']} of {gap['frames']} frames would be given up."
    yield "Floor: the distance to expect between two random samples of the real boxes of these sizes."


def _bars(name: str, column: Mapping[str, Any], bins: int) -> Table:
    """The histogram of the square root of the relative area, up to the last bin with boxes."""
    sides = [list(column[key]) if column[key] is not None else [0.0] * bins for key in ("real", "synth")]
    table = Table("up to", "real", "predicted", title=f"{name}: box areas, shares of the image", title_justify="left")
    last = max((k for k in range(bins) if sides[0][k] or sides[1][k]), default=0)
    peak = max(*sides[0], *sides[1], 1e-9)
    for k in range(last + 1):
        bars = ["#" * round(24 * side[k] / peak) + (f" {side[k]:.0%}" if side[k] else "") for side in sides]
        table.add_row(f"{((k + 1) / bins) ** 2:.2%}", *bars)
    return table


LOOK = 0.7
"""Seconds without a request after which a sample is being looked at, so that the next one may be prepared."""


class Superseded(Exception):  # noqa: N818 - not an error
    """Ends the answer to a request because the next one has arrived."""


class Server:
    """Answers requests about one recipe, whose scene is opened once.

    A request is an object with any of: ``recipe``, the text of another recipe in the same folder; ``reopen``, true if
    the scene's file has changed; and one of ``frame`` (one sample in detail), ``picture`` (a frame rendered in full) or
    ``frames``, [first, last] (a gap after each). Every line of the answer has the ``id`` of the request. The event of
    the last one is ``answered``, ``superseded`` if another request was waiting, or ``failed``.

    Parameters
    ----------
    path : Path
        The recipe; requests may replace its text.
    folder : Path
        Where assets and images are written.
    output : Output
    """

    def __init__(self, path: Path, folder: Path, output: Output) -> None:
        self.path, self.folder, self.output = path, folder, output
        self._requests = Requests(on_end=lambda: exit_later(0))
        self._preview: Preview | None = None
        self._recipe: Recipe | None = None
        self._assets: dict[str, dict[str, Any]] = {}
        self._written = 0
        self._id: Any = None
        self._expected: tuple[int, dict[str, Any]] | None = None
        """Number and answer of the sample that is probably asked for next."""

    def run(self) -> None:
        """Answer until standard input ends."""
        while (request := self._requests.next()) is not None:
            self._id = request.get("id")
            try:
                for line in self._answer(request):
                    self._send(line)
                self._send({"event": "answered"})
                if "frame" in request and not self._requests.arrives_within(LOOK):
                    self._expect(request["frame"] + 1)
            except Superseded:
                self._send({"event": "superseded"})
            except TwinsetError as error:
                problems = error.problems if isinstance(error, RecipeError) else [str(error)]
                self._send({"event": "failed", "problems": problems})

    def _send(self, values: Mapping[str, Any]) -> None:
        self.output.json_line({**values, "id": self._id})

    def _check_superseded(self) -> None:
        if self._requests.waiting:
            raise Superseded

    def _answer(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if "unreadable" in request:
            raise RecipeError([f"A request must be one JSON object on one line, not {request['unreadable']!r}."])
        if not isinstance(request.get("recipe", ""), str):
            raise RecipeError(["'recipe' of a request must be the text of a recipe."])
        yield from self._prepare(request)
        assert self._preview is not None
        if "frame" in request:
            (index,) = _indices("frame", [request["frame"]], 1)
            yield self._expected[1] if self._expected and self._expected[0] == index else self._sample(index)
        elif "picture" in request:
            yield self._picture(*_indices("picture", [request["picture"]], 1))
        elif "frames" in request:
            first, last = _indices("frames", request["frames"], 2)
            yield from self._gaps(range(first, last + 1))

    def _prepare(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Read the recipe, open its scene and fit its target."""
        from ....dataset.jobs.preview import Preview

        if "recipe" in request:
            self._recipe = loads_recipe(request["recipe"], real_path(self.path).parent, "The recipe")
        elif self._recipe is None:
            self._recipe = load_recipe(self.path)
        if self._preview is None:
            self._preview = Preview(open_stage, self._check_superseded)
        reopen = bool(request.get("reopen"))
        if reopen:
            self._assets, self._expected = {}, None
        for step in self._preview.change(self._recipe, reopen=reopen):
            self._expected = None
            yield {"event": "stepped", "message": step.message}
        notes = self._preview.notes()
        if notes:
            yield {"event": "notes", "notes": notes}

    def _expect(self, index: int) -> None:
        """Prepare the sample after the one that somebody looks at now; another request ends that."""
        with contextlib.suppress(TwinsetError, Superseded):
            self._expected = index, self._sample(index)

    def _sample(self, index: int) -> dict[str, Any]:
        assert self._preview is not None
        self._preview.record(index)
        self._check_superseded()
        record = self._preview.detail(index)
        placed = [*record["instances"], *record.get("bystanders", ())]
        placed += [entry for tried in record["tried"] for entry in tried["instances"]]
        assets = self._assets_of(dict.fromkeys(entry["shape"] for entry in placed))
        stage: Any = self._preview.stage
        masks = ("segmentation", "amodal_segmentation")
        slim = [{k: v for k, v in entry.items() if k not in masks} for entry in record["instances"]]
        shown = {**record, "instances": slim}
        return {
            "event": "sample",
            "frame": index,
            "record": shown,
            "assets": assets,
            "hidden": stage.hidden(),
            "scale": self._recipe.scene.scale if self._recipe is not None else 1.0,
        }

    def _assets_of(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Extents of assets and the files with them, which are written when first requested."""
        assert self._preview is not None
        stage: Any = self._preview.stage
        known = {asset.name: asset for assets in stage.assets.values() for asset in assets}
        out = {}
        for name in names:
            if name not in self._assets:
                mesh = known[name].mesh
                # A new name each time: a program that has linked the old file must not see it change.
                self._written += 1
                path = self.folder / f"{self._written:04d}_{re.sub(r'[^A-Za-z0-9]+', '_', name)[:40]}.blend"
                try:
                    collection = stage.export_asset(name, path)
                except (OSError, RuntimeError) as error:
                    raise OutputError(f"Cannot write the asset '{name}' to {path}: {error}") from None
                used = mesh.vertices[mesh.triangles].reshape(-1, 3)
                box = {"low": used.min(0), "high": used.max(0)}
                self._assets[name] = {"file": path, "collection": collection, **box}
            out[name] = self._assets[name]
        return out

    def _picture(self, index: int) -> dict[str, Any]:
        from ....dataset.atomic_files import write_atomic
        from ....dataset.store.frames import encode_image
        from ....dataset.store.record import make_record

        assert self._preview is not None and self._recipe is not None
        frame = self._preview.picture(index)
        record = make_record(frame, self._recipe)
        if frame.shot is None:
            return {"event": "picture", "frame": index, "file": None, "record": record}
        path = self.folder / f"picture_{index:06d}.png"
        write_atomic(path, encode_image(frame.shot.image, "png", 100))
        return {"event": "picture", "frame": index, "file": path, "record": record}

    def _gaps(self, frames: range) -> Iterator[dict[str, Any]]:
        assert self._preview is not None
        for done, index in enumerate(frames, 1):
            self._preview.record(index)
            gap = self._preview.gap(frames[:done])
            yield {"event": "gap", "done": done, "total": len(frames), **gap}


def _indices(key: str, values: Any, count: int) -> list[int]:
    """The frames of a request; RecipeError if they are invalid."""
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in values)
    ):
        what = "a frame" if count == 1 else "the first and the last frame"
        raise RecipeError([f"'{key}' of a request must be {what}, counted from 0, not {shorten(values)}."])
    return values

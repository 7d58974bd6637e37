# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``tune``: finds the mix of plugin parameters that matches a real column, by probes alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.table import Table

from ....engine.errors import OutputError, RecipeError
from ....engine.recipe.reading import load_recipe
from ....engine.recipe.search_space import Axis, read_axes
from ....engine.rng import stream
from ...console.commands import command
from ...console.interrupt import interruptible, until
from ...console.options import ForceOption, RecipeArgument, RecipeFileOption, RecipeSeedOption
from ...console.output import JsonOption, Output, output_of
from ...console.progress import progress_bar
from .render import open_stage

if TYPE_CHECKING:
    from ....alignment.distances.binning import Binning, Sample
    from ....alignment.distances.bootstrap import Estimate
    from ....alignment.tuning.configuration_weights import Choice, Prediction
    from ....dataset.jobs.configuration_probes import Prober, ProbeResult, Step
    from ....engine.recipe.settings import Recipe


@command(order=40)
def tune(
    context: typer.Context,
    recipe: RecipeArgument,
    column: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Column to match: bbox_area, aspect, center_y, boxes_per_image, depth, ...",
            show_default=False,
        ),
    ],
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=VALUES",
            help="Parameter to vary, with its values. KEY is kind.plugin.parameter, such as camera.orbit.distance. "
            "Repeatable. VALUES is one of these:\n\n\b\n"
            "1:8      between 1 and 8\n"
            "1:8:log  the same on a logarithmic scale\n"
            "1:8/6    six levels from 1 to 8\n"
            "a,b,c    one of these values\n"
            "[a, b]   one of the values of a TOML array.",
            show_default=False,
        ),
    ],
    out: RecipeFileOption,
    class_name: Annotated[
        str, typer.Option("--class", metavar="NAME", help="Class; required if there are several.")
    ] = "",
    real: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Real dataset, or a table written by `measure` or `infer`. Default: that of the recipe.",
            show_default=False,
        ),
    ] = None,
    configurations: Annotated[
        int, typer.Option(metavar="N", min=2, max=4096, help="Number of configurations to probe.")
    ] = 32,
    probes: Annotated[int, typer.Option(metavar="N", min=2, help="Frames to probe per configuration.")] = 24,
    design: Annotated[
        str, typer.Option(metavar="NAME", help="How configurations are chosen: auto, grid or sobol.")
    ] = "auto",
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="How configurations are weighted: gaussian, shares, or auto for the better one."
        ),
    ] = "auto",
    verify: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Afterwards, probe new frames with the old and the tuned recipe until each has N values, and compare "
            "them with the real ones. 0 omits this.",
        ),
    ] = 0,
    scale: Annotated[
        float,
        typer.Option(
            metavar="X",
            min=0.05,
            max=1.0,
            help="Probe resolution relative to the images; 0.5 is about three times as fast.",
        ),
    ] = 1.0,
    seed: RecipeSeedOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Find parameters whose boxes match a real statistic.

    Probes configurations of the parameters, and writes a recipe with the mix of them whose boxes come closest to the
    real distribution. No image is rendered.
    """
    import numpy as np

    from ....alignment.columns.registry import find_column
    from ....alignment.columns.table import measured_table
    from ....alignment.distances.binning import Binning, column_binning
    from ....alignment.tuning import configuration_weights
    from ....alignment.tuning.design_points import points
    from ....dataset.analysis.real_boxes import real_boxes, real_columns
    from ....dataset.atomic_files import write_atomic
    from ....dataset.jobs.configuration_probes import Prober
    from ....dataset.jobs.tuned_recipe import (
        class_of,
        column_name,
        probed_sample,
        sample_of,
        tuned_text,
        variants,
    )

    output = output_of(context)
    if out.exists() and not force:
        raise OutputError(f"{out} already exists. Choose another file with -o, or overwrite it with --force.")
    if method not in ("auto", *configuration_weights.METHODS):
        raise typer.BadParameter(
            f"'{method}' must be auto, {' or '.join(configuration_weights.METHODS)}.", param_hint="'--method'"
        )
    name = column_name(column)
    loaded = load_recipe(recipe, {} if seed is None else {"seed": seed})
    if loaded.variants:
        raise RecipeError([f"{recipe} already has variants. Tune the recipe that they were made from."])
    if loaded.rooms:
        raise RecipeError([f"{recipe} has several rooms. Tune a recipe with one of them as its [scene]."])
    axes = read_axes(vary, loaded.plugins)
    where, widths, layout = points(
        [a.levels for a in axes], [a.size for a in axes], configurations, design=design, seed=loaded.seed
    )
    tried = _configurations(axes, where, widths)
    source = real or (loaded.path(loaded.real.annotations) if loaded.real else None)
    if source is None:
        raise RecipeError([f"{recipe} has no real dataset. Add annotations under [real], or use --real."])
    measured = real_columns(source)
    chosen_class = class_of(loaded, measured, class_name)
    truth = measured_table(measured, chosen_class, f"'{source}'")
    wanted = sample_of(truth, name)
    binning = column_binning(name, wanted.values) if len(wanted) else Binning(name, 0, 1)
    configuration_weights.check_real(wanted, binning)

    boxes = real_boxes(loaded)
    memory = out.with_name(f"{out.stem}.probes.json")
    prober = Prober(loaded, open_stage, boxes, amodal="amodal" in find_column(name).needs, scale=scale, memory=memory)
    if not output.json:
        output.message(f"{len(tried)} configurations ({layout}), the unchanged recipe included; {probes} probes each.")
    try:
        _follow(output, prober.run(tried, probes), "Probing")
    except KeyboardInterrupt:
        output.message(
            f"Stopped. {len(prober.results)} configurations are in {memory}. Run the same command again to continue."
        )
        if output.json:
            output.json_line({"event": "stopped", "configurations": len(prober.results), "memory": memory})
        raise typer.Exit(130) from None

    samples = [probed_sample(prober.results[k], chosen_class, name) for k in range(len(tried))]
    fitted = configuration_weights.fit_components(wanted.values, binning)
    rng = stream(loaded.seed, "tune")
    choices = configuration_weights.choose(wanted, samples, binning, rng, components=fitted)
    chosen = choices[0] if method == "auto" else next(c for c in choices if c.method == method)
    tuned = attrs.evolve(loaded, variants=variants(tried, chosen.weights))
    untuned = configuration_weights.predict(wanted, samples[:1], np.ones(1), binning, rng) if len(samples[0]) else None
    text = tuned_text(tuned, recipe, out, _header(recipe, source, column, chosen_class, chosen))
    checked = {}
    if verify:
        checked = _verified(output, prober, loaded, tuned, verify, chosen_class, wanted, binning)
    write_atomic(out, text.encode())
    what = {
        "column": column,
        "class": chosen_class,
        "real": source,
        "n_real": len(wanted),
        "design": layout,
        "components": configuration_weights.component_values(fitted),
        "criterion": fitted.criterion_,
    }
    probed = [prober.results[k] for k in range(len(tried))]
    outcome = _Outcome(out, what, tried, probed, samples, chosen, choices, untuned, checked, loaded.images)
    output.result(outcome.values(), *outcome.shown())


def _configurations(axes: Sequence[Axis], where: Any, widths: Any) -> list[dict[str, Any]]:
    """The changes of each configuration; the unchanged recipe comes first."""
    found: list[dict[str, Any]] = [{}]
    for point in where:
        changes = {a.key: a.value(float(u), float(w)) for a, u, w in zip(axes, point, widths, strict=True)}
        if changes not in found:
            found.append(changes)
    return found


def _header(recipe: Path, source: Path, column: str, class_name: str, chosen: Choice) -> list[str]:
    p = chosen.predicted
    return [
        f"Variants by `twinset tune {recipe.name} --column {column}`, for boxes of '{class_name}' in {source.name}.",
        f"Expected Bhattacharyya distance {p.value:.3f} (95% {p.low:.3f} to {p.high:.3f}, floor {p.floor:.3f}).",
    ]


def _follow(output: Output, steps: Iterable[Step], what: str) -> None:
    """Run probes with a progress bar; Ctrl-C stops them after the current frame."""
    with (
        interruptible(output) as is_stopping,
        progress_bar(output, hidden=output.json or not output.err.is_terminal) as bar,
    ):
        task = bar.add_task(what, total=None)
        last_tenth = -1
        for step in until(is_stopping, steps):
            text = f"{what} configuration {step.configuration}" if step.configuration >= 0 else what
            bar.update(task, description=step.message or text, completed=step.done, total=step.total)
            tenth = step.done * 10 // max(step.total, 1)
            if tenth != last_tenth and not output.json and not output.err.is_terminal:
                output.message(f"{what}: {step.done} of {step.total}")
            last_tenth = tenth


def _verified(
    output: Output,
    prober: Prober,
    untuned: Recipe,
    tuned: Recipe,
    boxes: int,
    class_name: str,
    wanted: Sample,
    binning: Binning,
) -> dict[str, dict[str, Any]]:
    """Distances on frames that were not used for tuning: those of the next seed."""
    from ....alignment.columns.registry import find_column
    from ....alignment.distances.bootstrap import estimate
    from ....dataset.jobs.tuned_recipe import probed_sample

    out: dict[str, dict[str, Any]] = {}
    for name, recipe in (("untuned", untuned), ("tuned", tuned)):
        fresh = attrs.evolve(recipe, seed=recipe.seed + 1)
        steps = prober.fresh(fresh, class_name, boxes, images=find_column(binning.column).kind == "count")
        _follow(output, steps, f"Verifying, {name}")
        probed = prober.results[-1]
        got = probed_sample(probed, class_name, binning.column)
        if not len(got):
            continue
        found: Estimate = estimate(
            wanted.values,
            got.values,
            stream(recipe.seed, "verify", name),
            images=(wanted.image, got.image),
            range=(binning.low, binning.high),
        )["bhattacharyya"]
        out[name] = {
            **attrs.asdict(found),
            "values": len(got),
            "frames": probed.frames,
            "accepted": probed.accepted,
            "seconds": probed.seconds,
        }
    return out


@attrs.frozen(eq=False)
class _Outcome:
    """The results of tuning, for text and JSON."""

    out: Path
    what: dict[str, Any]
    tried: Sequence[dict[str, Any]]
    probed: Sequence[ProbeResult]
    samples: Sequence[Sample]
    chosen: Choice
    choices: Sequence[Choice]
    untuned: Prediction | None
    verified: dict[str, dict[str, Any]]
    images: int

    def values(self) -> dict[str, Any]:
        return {
            "recipe": self.out,
            **self.what,
            "method": self.chosen.method,
            "choices": {
                c.method: {
                    "predicted": attrs.asdict(c.predicted),
                    "shares": {str(k): float(c.shares[k]) for k in c.shares.nonzero()[0]},
                    "weights": {str(k): float(c.weights[k]) for k in c.weights.nonzero()[0]},
                }
                for c in self.choices
            },
            "untuned": None if self.untuned is None else attrs.asdict(self.untuned),
            "verified": self.verified,
            "probes": sum(p.frames for p in self.probed),
            "seconds": sum(p.seconds for p in self.probed),
            "configurations": [
                {"changes": c, "values": len(s), "frames": p.frames, "accepted": p.accepted, "problem": p.problem}
                for c, s, p in zip(self.tried, self.samples, self.probed, strict=True)
            ],
        }

    def shown(self) -> list[Any]:
        what = self.what
        found: list[Any] = [
            f"{what['n_real']} real values of {what['column']} ('{what['class']}' in {what['real']}).",
            f"Components: {what['criterion']}.",
            self._chosen(),
            f"{sum(p.frames for p in self.probed)} probes in {sum(p.seconds for p in self.probed):.0f} s.",
        ]
        expected = [(f"by {c.method}", attrs.asdict(c.predicted)) for c in self.choices]
        expected += [("untuned", attrs.asdict(self.untuned))] if self.untuned else []
        found.append(_distances("Expected, from the probes", expected))
        if self.verified:
            found.append(_distances("Verified on new frames", list(self.verified.items()), "values", "frames"))
        for k, p in enumerate(self.probed):
            if p.problem:
                found.append(f"Configuration {k} has no boxes: {p.problem}.")
        return [*found, f"Next: twinset render {self.out} -o dataset"]

    def _chosen(self) -> Table:
        title = f"{self.out}: by {self.chosen.method}"
        table = Table("configuration", "changes", "boxes", "frames", "images", title=title, title_justify="left")
        for k in map(int, self.chosen.shares.nonzero()[0]):
            changes = ", ".join(f"{key} = {value}" for key, value in self.tried[k].items()) or "none"
            share, weight = self.chosen.shares[k], self.chosen.weights[k]
            table.add_row(str(k), changes, f"{share:.1%}", f"{weight:.1%}", str(round(self.images * weight)))
        return table


def _distances(title: str, rows: Sequence[tuple[str, dict[str, Any]]], *counts: str) -> Table:
    table = Table("Bhattacharyya", "distance", "95%", "floor", *counts, title=title, title_justify="left")
    for name, found in rows:
        interval = f"{found['low']:.3f} to {found['high']:.3f}"
        numbers = [str(found[count]) for count in counts]
        table.add_row(name, f"{found['value']:.3f}", interval, f"{found['floor']:.3f}", *numbers)
    return table

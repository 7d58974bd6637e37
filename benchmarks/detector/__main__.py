# SPDX-License-Identifier: GPL-3.0-or-later
"""Detectors trained on synthetic and real images, tested on real photos: the benchmark of docs/results/proof.md.

    pip install -e '.[proof]'
    python -m benchmarks.detector prepare --arms 3 5 -o proof
    python -m benchmarks.detector train --arms 3 5 12 --seeds 0 1 2 3 4 --jobs 2 -o proof
    python -m benchmarks.detector train --dataset mine=/path/to/dataset --domain apartment -o proof
    python -m benchmarks.detector report -o proof

Each command does what is missing: after Ctrl-C, run it again. The real material is found by TWINSET_DATA.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait for each other must not spin on shared cores

from twinset.engine.errors import DataError, TwinsetError

from .arms import chosen, read_arms, read_questions, sources
from .domains import FOLDS, load_domains
from .preparation import plan
from .runs import REAL, Run, perform_all, with_folds


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m benchmarks.detector", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="render the datasets of the arms, or make them from others")
    _common(prepare)
    prepare.add_argument("--images", type=int, default=0, help="of each rendered dataset; default: as the recipes say")
    prepare.add_argument("--workers", type=int, default=1, help="processes that render at a time")
    train = commands.add_parser("train", help="train and test the arms that have no result yet")
    _common(train)
    train.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="NAME=PATH[+PATH]",
        help="an arm that is not in arms.toml: a rendered folder or a COCO file, or several with equal weight; 'real' "
        "is the photos of the other folds, and {fold} in a path is replaced",
    )
    train.add_argument("--seeds", type=int, nargs="+", default=[0])
    train.add_argument("--detector", choices=("anchor-free", "anchor-based"), default="anchor-free")
    train.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    train.add_argument("--threads", type=int, default=1, help="threads of each training")
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=JSON",
        help="change a setting of the domain or schedule, such as steps=50; use another output folder then",
    )
    report = commands.add_parser("report", help="write tables and plots of the results into OUT/report")
    report.add_argument("-o", "--out", type=Path, required=True, help="folder of the results")
    report.add_argument("--domain", nargs="+", default=list(load_domains()), help="default: all")
    report.add_argument("--detector", choices=("anchor-free", "anchor-based"), default="anchor-free")
    report.add_argument(
        "--nearness",
        action="store_true",
        help="also measure how IoU depends on the distance of features, which is slow",
    )
    return top


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--out", type=Path, required=True, help="folder of datasets, results and tables")
    command.add_argument("--arms", nargs="+", default=[], help="numbers or names of arms.toml; default: all")
    command.add_argument("--domain", nargs="+", default=list(load_domains()), help="default: all")
    command.add_argument("--renders", type=int, nargs="+", default=[0], help="seeds of the renders")


def main() -> int:
    given = parser().parse_args()
    try:
        return {"prepare": _prepare, "train": _train, "report": _report}[given.command](given)
    except TwinsetError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command continues.", file=sys.stderr)
        return 130


def _prepare(given: argparse.Namespace) -> int:
    arms = read_arms()
    for domain, render in itertools.product(given.domain, given.renders):
        todo = plan(arms, domain, given.out.resolve(), render, given.images, given.workers)
        for arm in chosen(arms, given.arms):
            todo.prepare(arm)
    return 0


def _named(text: str) -> tuple[str, tuple[str, ...]]:
    """Name and sources of a dataset on the command line."""
    name, separator, paths = text.partition("=")
    if not separator:
        raise DataError(f"--dataset {text} has no name. Write NAME=PATH.")
    return name, tuple(p if p == REAL else str(Path(p).resolve()) for p in paths.split("+"))


def _train(given: argparse.Namespace) -> int:
    changes: dict[str, Any] = {}
    for text in given.set:
        key, _, value = text.partition("=")
        changes[key] = json.loads(value)
    out = given.out.resolve()
    arms = read_arms()
    # Named datasets alone are no reason to train all arms, too.
    listed = chosen(arms, given.arms) if given.arms or not given.dataset else []
    runs = []
    for domain, render in itertools.product(given.domain, given.renders):
        of_arms = {arm.name: sources(arm, arms, out, domain, render) for arm in listed if render == 0 or not arm.real}
        of_arms |= {name: paths for name, paths in map(_named, given.dataset)}
        for (name, paths), seed in itertools.product(of_arms.items(), given.seeds):
            order = {"in_turn": True} if name in arms and arms[name].in_turn else {}
            run = Run(name, domain, given.detector, paths, seed, render, changes={**order, **changes})
            runs += with_folds(run, FOLDS)
    perform_all(runs, out, given.jobs, given.threads)
    return 0


def _report(given: argparse.Namespace) -> int:
    from .nearness import measure_nearness
    from .report import write_report

    for domain in given.domain:
        if given.nearness:
            measure_nearness(given.out, given.detector, domain)
        print(f"{domain}\n\n{write_report(given.out, given.detector, domain, read_arms(), read_questions())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

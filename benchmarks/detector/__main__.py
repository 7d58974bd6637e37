# SPDX-License-Identifier: GPL-3.0-or-later
"""Detectors trained on synthetic and real images, tested on real photos: the benchmark of docs/results/detectors.md.

pip install -e '.[proof]'
python -m benchmarks.detector train --dataset framed=/tmp/framed --domain apartment --seeds 0 1 2 --jobs 2 -o proof
python -m benchmarks.detector report -o proof
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait for each other must not spin on shared cores

from twinset.engine.errors import TwinsetError

from .domains import FOLDS, load_domains
from .runs import REAL, Run, perform_all, with_folds


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m benchmarks.detector", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)
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
    train.add_argument("--domain", nargs="+", default=list(load_domains()), help="default: all")
    train.add_argument("--seeds", type=int, nargs="+", default=[0])
    train.add_argument("--render", type=int, default=0, help="which render of the datasets it is, for --dataset")
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
    return top


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--out", type=Path, required=True, help="folder of datasets, results and tables")


def main() -> int:
    given = parser().parse_args()
    try:
        return _train(given)
    except TwinsetError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command continues.", file=sys.stderr)
        return 130


def _train(given: argparse.Namespace) -> int:
    changes: dict[str, Any] = {}
    for text in given.set:
        key, _, value = text.partition("=")
        changes[key] = json.loads(value)
    runs = []
    for domain in given.domain:
        for text in given.dataset:
            name, _, paths = text.partition("=")
            sources = tuple(p if p == REAL else str(Path(p).resolve()) for p in paths.split("+"))
            for seed in given.seeds:
                run = Run(name, domain, given.detector, sources, seed, given.render, changes=changes)
                runs += with_folds(run, FOLDS)
    perform_all(runs, given.out, given.jobs, given.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())

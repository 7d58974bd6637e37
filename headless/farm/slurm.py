# SPDX-License-Identifier: GPL-3.0-or-later
"""Slurm: an array of tasks that requeue themselves, and a dependent job that finishes the dataset."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import attrs
import typer

from .farm import Farm
from .plan import MAX_TRIES, RENDER_AGAIN, Plan, shell

BLOCKS = "$first-$last"

_RENDER = """\
#!/bin/bash
# Renders {images} frames in {tasks} tasks. Submit with ./submit, which adds the job that finishes the dataset.
#SBATCH --job-name={name}
#SBATCH --array=0-{last_task}{max_parallel}
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=logs/render-%a.log

first=$((SLURM_ARRAY_TASK_ID * {blocks}))
last=$((first + {blocks} - 1))
{render}
code=$?

# {again} is a temporary failure, such as a full disk or a lost GPU: try again, maybe on another node.
if [ $code -eq {again} ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {tries} ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}" && exit 0
fi
exit $code
"""

_FINISH = """\
#!/bin/bash
# Writes the annotations once all tasks have ended, and lists the frames that are missing if some failed.
#SBATCH --job-name={name}-finish
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=logs/finish.log

{finish}
"""

_SUBMIT = """\
#!/bin/bash
# Submits the job to Slurm. Options are passed on to sbatch: ./submit --partition=gpu --gres=gpu:1
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p logs {out}
array=$(sbatch --parsable "$@" render.sbatch)
finish=$(sbatch --parsable --dependency="afterany:${{array%%;*}}" finish.sbatch)
echo "Job ${{array%%;*}} renders, job ${{finish%%;*}} finishes. Logs are in $PWD/logs; watch with:"
printf '  %s\n' {status}
"""


@attrs.frozen
class Slurm(Farm):
    """Write a Slurm job array. A last job runs `twinset finish`.

    Run ./submit in the job folder to start both.
    """

    executables = ("submit",)

    max_parallel: Annotated[
        int, typer.Option(metavar="N", min=0, help="Run at most N tasks at the same time; 0 for no limit.")
    ] = 0

    def files(self, plan: Plan) -> dict[str, str]:
        return {
            "render.sbatch": _RENDER.format(
                name=plan.name,
                images=plan.images,
                tasks=plan.tasks,
                blocks=plan.blocks_per_task,
                last_task=plan.tasks - 1,
                max_parallel=f"%{self.max_parallel}" if self.max_parallel else "",
                render=shell(plan.render(BLOCKS), expand=BLOCKS),
                again=RENDER_AGAIN,
                tries=MAX_TRIES - 1,
            ),
            "finish.sbatch": _FINISH.format(name=plan.name, finish=shell(plan.finish())),
            "submit": _SUBMIT.format(out=shlex.quote(str(plan.out)), status=shlex.quote(shell(plan.status()))),
        }

    def start(self, plan: Plan, folder: Path) -> str:
        return f"{folder}/submit"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes: an Indexed Job whose pods render, one index per task, and a Job that finishes the dataset."""

from __future__ import annotations

import posixpath
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import attrs
import typer

from ...engine.errors import DataError
from .farm import Farm
from .plan import MAX_TRIES, Plan, json_text, shell

BLOCKS = "$first-$last"
BAD_INPUT = 2

_SCRIPT = """\
first=$((JOB_COMPLETION_INDEX * {blocks}))
last=$((first + {blocks} - 1))
exec {render}
"""


@attrs.frozen
class Kubernetes(Farm):
    """Write a Kubernetes Indexed Job. A last Job runs `twinset finish`."""

    image: Annotated[str, typer.Option(metavar="IMAGE", help="Container image with Twinset.", show_default=False)]
    claim: Annotated[
        str, typer.Option(metavar="NAME", help="Persistent volume claim shared by all pods.", show_default=False)
    ]
    mount: Annotated[str, typer.Option(metavar="PATH", help="Mount path of the volume in the pods.")] = "/work"
    max_parallel: Annotated[int, typer.Option(metavar="N", min=1, help="Run at most N pods at the same time.")] = 8

    def files(self, plan: Plan) -> dict[str, str]:
        for path in (plan.recipe, plan.out):
            if not PurePosixPath(posixpath.normpath(path)).is_relative_to(posixpath.normpath(self.mount)):
                raise DataError(
                    f"'{path}' is not in {self.mount}, where pods mount the shared volume. Give its path there, or "
                    "change --mount."
                )
        render_words = [_literal(word) for word in plan.render(BLOCKS)]
        script = _SCRIPT.format(blocks=plan.blocks_per_task, render=shell(render_words, expand=BLOCKS))
        pod = {"image": self.image, "claim": self.claim, "mount": self.mount}
        render = {
            "completionMode": "Indexed",
            "completions": plan.tasks,
            "parallelism": min(self.max_parallel, plan.tasks),
            "backoffLimitPerIndex": MAX_TRIES - 1,
            "maxFailedIndexes": plan.tasks,
            "podFailurePolicy": {
                "rules": [
                    # Invalid input fails on every node and for every index: end the whole job.
                    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [BAD_INPUT]}},
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": _pod(["bash", "-c", script], **pod),
        }
        finish = {"backoffLimit": MAX_TRIES - 1, "template": _pod([_literal(word) for word in plan.finish()], **pod)}
        return {
            "job.json": json_text(_job(plan.name, render)),
            "finish.json": json_text(_job(f"{plan.name}-finish", finish)),
        }

    def start(self, plan: Plan, folder: Path) -> str:
        done = f"kubectl wait --for=condition=complete job/{plan.name}"
        return f"kubectl apply -f {folder}/job.json, and {folder}/finish.json once `{done}` returns"


def _literal(word: str) -> str:
    """A word of a command in which Kubernetes, which replaces ``$(NAME)`` and ``$$``, replaces nothing."""
    return word if word == BLOCKS else word.replace("$", "$$")


def _job(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "twinset", "app.kubernetes.io/instance": name}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels}, "spec": spec}


def _pod(command: list[str], *, image: str, claim: str, mount: str) -> dict[str, Any]:
    container = {
        "name": "twinset",
        "image": image,
        "command": command,
        "resources": {"requests": {"cpu": "4", "memory": "8Gi"}},
        "volumeMounts": [{"name": "work", "mountPath": mount}, {"name": "scratch", "mountPath": "/dev/shm"}],
    }
    volumes = [
        {"name": "work", "persistentVolumeClaim": {"claimName": claim}},
        # A container's own /dev/shm has 64 MiB, less than the render passes of a large image.
        {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    ]
    return {"spec": {"restartPolicy": "Never", "containers": [container], "volumes": volumes}}

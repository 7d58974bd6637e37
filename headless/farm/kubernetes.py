# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes: an Indexed Job whose pods render, one index a task, and a Job that waits for it and finishes."""

from __future__ import annotations

from typing import Any

from .plan import MAX_TRIES, Plan, json_text, shell

BLOCKS = "$first-$last"
BAD_INPUT = 2

_SCRIPT = """\
first=$((JOB_COMPLETION_INDEX * {blocks}))
last=$((first + {blocks} - 1))
exec {render}
"""


def files(plan: Plan, *, image: str, claim: str, mount: str, at_once: int = 8) -> dict[str, str]:
    """The files of the job by name: ``job.json``, which ``kubectl apply -f`` takes, and ``finish.json``.

    Parameters
    ----------
    plan : Plan
    image : str
        Container image with Twinset in it.
    claim : str
        Name of the persistent volume claim (ReadWriteMany) that holds recipe, scene and output.
    mount : str
        Where it is mounted; recipe and output folder must lie in there.
    at_once : int
        Pods that run at the same time.
    """
    script = _SCRIPT.format(blocks=plan.blocks_per_task, render=shell(plan.render(BLOCKS), expand=BLOCKS))
    pod = {"image": image, "claim": claim, "mount": mount}
    render = {
        "completionMode": "Indexed",
        "completions": plan.tasks,
        "parallelism": min(at_once, plan.tasks),
        "backoffLimitPerIndex": MAX_TRIES - 1,
        "maxFailedIndexes": plan.tasks,
        "podFailurePolicy": {
            "rules": [
                # Bad input is as bad on the next node, for every index: the whole job ends.
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [BAD_INPUT]}},
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        "template": _pod(["bash", "-c", script], **pod),
    }
    finish = {"backoffLimit": MAX_TRIES - 1, "template": _pod(plan.finish(), **pod)}
    return {
        "job.json": json_text(_job(plan.name, render)),
        "finish.json": json_text(_job(f"{plan.name}-finish", finish)),
    }


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
        # A container's own /dev/shm has 64 MiB, less than the passes of a large picture.
        {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    ]
    return {"spec": {"restartPolicy": "Never", "containers": [container], "volumes": volumes}}

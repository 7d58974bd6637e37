# SPDX-License-Identifier: GPL-3.0-or-later
"""Open Job Description: a template with a chunked range of blocks and a final step; a Deadline Cloud job bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...engine.errors import DataError
from .farm import Farm
from .plan import MAX_TRIES, RENDER_AGAIN, Plan, json_text, shell

BLOCKS = "{{Task.Param.Blocks}}"
PAUSE = 10
"""Seconds before the first repetition after a temporary failure; longer each time."""

_SCRIPT = """\
#!/bin/bash
# {again} is a temporary failure. Engines repeat tasks after any failure or none, so this script does it.
for attempt in $(seq {tries}); do
  {render}
  code=$?
  [ $code -eq {again} ] || exit $code
  sleep $((attempt * {pause}))
done
exit $code
"""


class Openjd(Farm):
    """Write an Open Job Description template.

    The job folder is also a job bundle for AWS Deadline Cloud.
    """

    def files(self, plan: Plan) -> dict[str, str]:
        for text in (*plan.render(""), *plan.finish()):
            if "{{" in text:
                raise DataError(f"'{text}' contains '{{{{', which is reserved in Open Job Description. Rename it.")
        return {
            "template.json": json_text(_template(plan)),
            "parameter_values.json": json_text({"parameterValues": []}),
            "asset_references.json": json_text(
                {
                    "assetReferences": {
                        "inputs": {"filenames": [str(plan.recipe)], "directories": []},
                        "outputs": {"directories": [str(plan.out)]},
                        "referencedPaths": [],
                    }
                }
            ),
        }

    def start(self, plan: Plan, folder: Path) -> str:
        return f"openjd run {folder}/template.json --extensions TASK_CHUNKING, or deadline bundle submit {folder}"


def _template(plan: Plan) -> dict[str, Any]:
    # A chunk is passed as "A-B", or "A" for a single one, as --blocks expects. Chunks of frames would not work:
    # engines make them about equally long, across the boundaries of blocks.
    script = _SCRIPT.format(
        again=RENDER_AGAIN, tries=MAX_TRIES, pause=PAUSE, render=shell(plan.render(BLOCKS), expand=BLOCKS)
    )
    finish = plan.finish()
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "extensions": ["TASK_CHUNKING"],
        "name": plan.name,
        "description": f"{plan.images} images of a detection dataset, rendered by Twinset.",
        "steps": [
            {
                "name": "Render",
                "parameterSpace": {
                    "taskParameterDefinitions": [
                        {
                            "name": "Blocks",
                            "type": "CHUNK[INT]",
                            "range": f"0-{plan.blocks - 1}" if plan.blocks > 1 else "0",
                            "chunks": {
                                "defaultTaskCount": plan.blocks_per_task,
                                "rangeConstraint": "CONTIGUOUS",
                            },
                        }
                    ]
                },
                "script": {
                    "actions": {
                        "onRun": {"command": "bash", "args": ["{{Task.File.Render}}"], "cancelation": _CANCEL},
                    },
                    "embeddedFiles": [{"name": "Render", "type": "TEXT", "data": script}],
                },
            },
            {
                "name": "Finish",
                "dependencies": [{"dependsOn": "Render"}],
                "script": {"actions": {"onRun": {"command": finish[0], "args": finish[1:], "cancelation": _CANCEL}}},
            },
        ],
    }


_CANCEL = {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": 60}
"""Time to complete the current frame when a task is stopped."""

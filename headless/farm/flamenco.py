# SPDX-License-Identifier: GPL-3.0-or-later
"""Flamenco: a job type with a recipe's values as default settings."""

from __future__ import annotations

import json
from pathlib import Path

from .farm import Farm
from .plan import Plan

TEMPLATE = Path(__file__).with_name("flamenco.js")


class Flamenco(Farm):
    """Write a Flamenco job type that renders this recipe by default."""

    def files(self, plan: Plan) -> dict[str, str]:
        text = TEMPLATE.read_text(encoding="utf-8")
        values = {
            "recipe": str(plan.recipe),
            "out": str(plan.out),
            "images": plan.images,
            "block": plan.block,
            "blocks_per_task": plan.blocks_per_task,
            "command": plan.command,
            "allowed": plan.allowed,
        }
        # One value, put in once: nothing in it can be taken for a place to fill in, and JSON in ASCII is JavaScript.
        return {"twinset.js": text.replace("@values@", json.dumps(values))}

    def start(self, plan: Plan, folder: Path) -> str:
        return (
            f"copy {folder}/twinset.js into the folder 'scripts' beside the Flamenco Manager, then submit that job type"
        )

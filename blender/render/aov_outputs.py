# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the AOV outputs of materials, by which they write values of their own."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ...engine.errors import StageError
from ...engine.output.label_pass import RenderPass
from ...engine.plugin.params import unknown


def check_aovs(wanted: Iterable[RenderPass]) -> None:
    """Raise StageError where no material has an AOV output of a name that is asked for."""
    names = [each.aov[1] for each in wanted if each.aov is not None]
    if not names:
        return
    trees = [m.node_tree for m in bpy.data.materials if m.node_tree is not None] + list(bpy.data.node_groups)
    known = sorted({n.aov_name for tree in trees for n in tree.nodes if n.bl_idname == "ShaderNodeOutputAOV"})
    for name in names:
        if name not in known:
            raise StageError(unknown("[output] aovs: no material has an AOV output named", name, known))

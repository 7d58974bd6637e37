# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a recipe's ``[output]`` that label passes and annotation sources declare."""

from __future__ import annotations

from ..errors import PluginError
from ..plugin.params import Param
from .annotation_source import ANNOTATION_SOURCES
from .label_pass import LABEL_PASSES


def declared_keys() -> list[Param]:
    """All these keys: passes first, then annotation sources, each kind by name.

    Raises
    ------
    PluginError
        Where two of them declare the same key.
    """
    found: dict[str, Param] = {}
    for registry in (LABEL_PASSES, ANNOTATION_SOURCES):
        for cls in registry.all():
            for p in cls.params():
                if p.name in found:
                    raise PluginError(
                        f"The {registry.noun} '{cls.name}' declares the key '{p.name}' of [output], which another one "
                        "has already. Rename the key."
                    )
                found[p.name] = p
    return list(found.values())

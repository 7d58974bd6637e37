# SPDX-License-Identifier: GPL-3.0-or-later
"""What label passes and annotation sources have in common: a name, and the recipe's keys that ask for them."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import attrs

from ..plugin.folder_registry import name_of
from ..plugin.params import Param, describe

NONE = "none"
"""Value of a key that chooses among formats, where nothing is asked for."""


class OutputPart:
    """Something that a job writes beside its pictures, declared by one class in a file of its own.

    Subclasses are made with ``@attrs.frozen`` where they have options: fields declared with
    :func:`..plugin.params.param`. Each option is a key of the recipe's ``[output]``, as ``key`` is. They hold no state:
    the same arguments always give the same files.

    Attributes
    ----------
    name : str
        Unique among its kind; the file's name where the class does not set it.
    key : str
        Key of ``[output]`` that asks for it; "" for what is always written.
    doc : str
        One sentence about the key, for reference pages and tooltips.
    formats : tuple of str
        File suffixes to choose from. With several, ``key`` takes one of them, or "none"; with fewer it is true or
        false.
    """

    name: ClassVar[str] = ""
    key: ClassVar[str] = ""
    doc: ClassVar[str] = ""
    formats: ClassVar[tuple[str, ...]] = ()
    plugin_kind: ClassVar[str] = "output"
    """What error messages call its kind, and the class by its name, as they do with plugins."""
    plugin_id: ClassVar[str] = ""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "name" not in vars(cls):
            cls.name = name_of(cls)
        cls.plugin_id = cls.name

    @classmethod
    def params(cls) -> list[Param]:
        """The keys of ``[output]`` that belong to it: ``key``, and its options."""
        own = describe(cls) if attrs.has(cls) else []
        return [*_key_params(cls), *own]

    @classmethod
    def asked(cls, output: Any) -> tuple[Self, str] | None:
        """The part with the options that ``[output]`` gives, and the format wanted; None where it is not asked for.

        Parameters
        ----------
        output : OutputSettings
            Has all keys of ``[output]`` as attributes.
        """
        value = getattr(output, cls.key) if cls.key else True
        if value in (False, NONE):
            return None
        options = {p.name: getattr(output, p.name) for p in (describe(cls) if attrs.has(cls) else [])}
        chosen = value if isinstance(value, str) else next(iter(cls.formats), "")
        return cls(**options), chosen


def _key_params(cls: type[OutputPart]) -> list[Param]:
    """The parameter of a part's key."""
    if not cls.key:
        return []
    if len(cls.formats) > 1:
        return [Param(cls.key, str, NONE, cls.doc, choices=(NONE, *cls.formats))]
    return [Param(cls.key, bool, False, cls.doc)]

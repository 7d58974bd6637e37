# SPDX-License-Identifier: GPL-3.0-or-later
"""Annotation sources: entries that each annotated instance gets in its record and in the COCO file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import attrs

from ..errors import PluginError
from ..plugin.contract import attribute_errors_to
from ..plugin.folder_registry import FolderRegistry
from ..stage import Instance, Shot
from .output_part import OutputPart

Check = Callable[[Any], bool]
"""Whether a JSON value is of the right kind."""


@attrs.frozen
class Entry:
    """One entry of an annotation.

    Attributes
    ----------
    doc : str
        What it holds, with its unit.
    check : callable
        Whether a JSON value that a record has for it is of the right kind. Records of anyone may be read.
    at : {"annotation", "twinset", "record"}
        Where the COCO file has it: in the annotation itself, for keys of the COCO format; among what ``twinset`` says
        of it, which the metadata table has too; or nowhere, only in the record.
    axes : str
        For a list, one letter per value: the metadata table has a column ``NAME_LETTER`` for each.
    """

    doc: str
    check: Check
    at: Literal["annotation", "twinset", "record"] = "twinset"
    axes: str = ""


class AnnotationSource(OutputPart):
    """Entries of annotations. One file in ``dataset/annotations`` declares a source, and nothing else knows of it.

    Attributes
    ----------
    entries : mapping of str to Entry
        All that it may give, by the entry's name.
    """

    plugin_kind: ClassVar[str] = "annotation source"
    entries: ClassVar[Mapping[str, Entry]] = {}

    def annotate(self, instance: Instance, row: Mapping[str, Any], shot: Shot) -> Mapping[str, Any]:
        """The entries of one instance: JSON values or numpy ones.

        Parameters
        ----------
        instance : Instance
            With its matrix, evaluated mesh and points; an instance may be hidden, or out of view.
        row : mapping
            What is known of it: ``bbox`` and ``area`` in pixels (None and 0 where it is not visible), ``annotated``.
        shot : Shot
            Picture, ids, depth, amodal masks and camera.
        """
        raise NotImplementedError

    def category(self, class_name: str) -> Mapping[str, Any]:
        """Entries of a class in the COCO file's ``categories``, such as the names of corners."""
        return {}

    def category_of(self, settings: Any) -> Mapping[str, Any]:
        """The same from the class's settings (``ClassSettings``) in the recipe."""
        return self.category(settings.name)


ANNOTATION_SOURCES: FolderRegistry[AnnotationSource] = FolderRegistry(
    AnnotationSource, "dataset.annotations", "annotation source"
)


def asked_sources(output: Any) -> list[AnnotationSource]:
    """The annotation sources that ``[output]`` asks for."""
    return [asked[0] for cls in ANNOTATION_SOURCES.all() if (asked := cls.asked(output))]


def declared_entries(*places: str) -> dict[str, Entry]:
    """Entries of all known sources by name; of these places (``Entry.at``) where any are given."""
    found: dict[str, Entry] = {}
    for cls in ANNOTATION_SOURCES.all():
        found |= {name: entry for name, entry in cls.entries.items() if not places or entry.at in places}
    return found


def entries_of(source: AnnotationSource, instance: Instance, row: Mapping[str, Any], shot: Shot) -> Mapping[str, Any]:
    """What a source says of an instance; PluginError where it has not declared that."""
    with attribute_errors_to(source):
        entries = source.annotate(instance, row, shot)
    unknown = sorted(set(entries) - set(source.entries))
    if unknown:
        raise PluginError(
            f"The annotation source '{source.name}' gave '{unknown[0]}', which is not among its 'entries'. Declare it."
        )
    return entries


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_count(value: Any) -> bool:
    """Whether a JSON value is a whole number from 0 to 2**31 - 1."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def are_numbers(*lengths: int) -> Check:
    """A check for lists of finite numbers, of one of these lengths where any are given."""
    return lambda value: (
        isinstance(value, list) and (not lengths or len(value) in lengths) and all(map(is_number, value))
    )


def is_mask(value: Any) -> bool:
    """Whether a JSON value is a mask as COCO's run-length encoding: ``size`` and ``counts``."""
    if not isinstance(value, Mapping) or not isinstance(value.get("counts"), str):
        return False
    size = value.get("size")
    return isinstance(size, list) and len(size) == 2 and all(map(is_count, size))

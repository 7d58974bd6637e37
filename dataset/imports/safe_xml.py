# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads XML of anyone: regular files of bounded size, without document types, whose entities could fill the memory."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from ...engine.errors import DataError
from ...engine.regular_files import read_regular

MAX_DEPTH = 100
"""Elements inside each other; annotations have about five."""


class _Refused(Exception):  # noqa: N818 - not an error of this program
    """Something that annotations do not have."""


def parse_xml(path: Path, limit: int, tool: str) -> ElementTree.Element:
    """The root of an XML file.

    Parameters
    ----------
    path : Path
    limit : int
        Larger files, in bytes, are refused.
    tool : str
        Whose files these are, for messages: ``CVAT``.

    Raises
    ------
    DataError
        If the file is missing, no XML, too large, or declares a document type or entities.
    """
    try:
        data = read_regular(path, limit)
    except FileNotFoundError:
        raise DataError(f"The annotation file '{path}' does not exist. Check the path.") from None
    except OSError as error:
        raise DataError(f"The annotation file '{path}' cannot be read: {error.strerror or error}.") from error
    builder, depth = ElementTree.TreeBuilder(), 0

    def refuse(*_: object) -> None:
        raise _Refused

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise _Refused
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser = expat.ParserCreate()
    # By handlers and not by searching the bytes, which may be of any encoding.
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
        return builder.close()
    except _Refused:
        raise DataError(
            f"'{path}' declares entities or a document type, or is nested too deeply. Files of {tool} are not like "
            "that, and it can fill the memory. Export it again."
        ) from None
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise DataError(f"'{path}' is not valid XML ({error}). Export it again.") from error

# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds HTML as a tree of elements, so that all text from files is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

Node = Element | str | None
"""The content of an element; None is skipped."""


def tag(name: str, /, *children: Node | Iterable[Node], **attributes: Any) -> Element:
    """An element with children and attributes.

    Parameters
    ----------
    name : str
        Its name; SVG ones keep their capitals.
    *children
        Elements, texts, None, and lists of them.
    **attributes
        ``class_`` stands for ``class`` and ``aria_label`` for ``aria-label``; None and False leave the attribute out,
        True gives it without a value, floats are written with four digits.
    """
    element = Element(name)
    for key, value in attributes.items():
        if value is not None and value is not False:
            element.set(key.rstrip("_").replace("_", "-"), _text(value))
    add(element, *children)
    return element


def add(parent: Element, *children: Node | Iterable[Node]) -> Element:
    """Append children to an element; returns that element."""
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            if len(parent):
                parent[-1].tail = (parent[-1].tail or "") + _clean(child)
            else:
                parent.text = (parent.text or "") + _clean(child)
        elif isinstance(child, Element):
            parent.append(child)
        else:
            add(parent, *child)
    return parent


def document(title: str, css: str, *body: Node | Iterable[Node]) -> bytes:
    """A complete page in UTF-8 with an embedded style sheet.

    ``css`` is not escaped, so it must not contain text from input files.
    """
    html = Element("html", {"lang": "en"})
    head = SubElement(html, "head")
    # The page loads and runs nothing, even if input files contain malicious text.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head.append(tag("meta", charset="utf-8"))
    head.append(tag("meta", http_equiv="Content-Security-Policy", content=policy))
    head.append(tag("meta", name="viewport", content="width=device-width, initial-scale=1"))
    head.append(tag("meta", name="color-scheme", content="light dark"))
    head.append(tag("title", title))
    head.append(tag("style", css))
    html.append(tag("body", *body))
    return b"<!DOCTYPE html>\n" + tostring(html, encoding="utf-8", method="html") + b"\n"


def to_html(element: Element) -> str:
    """An element as HTML, to be shown in somebody else's page."""
    return tostring(element, encoding="unicode", method="html")


def data_uri(data: bytes, kind: str = "image/jpeg") -> str:
    """File content as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def short(value: float, digits: int = 2) -> str:
    """A coordinate with few digits and without trailing zeros."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"
    return "0" if text in ("-0", "") else text


def _text(value: Any) -> str:
    if value is True:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else _clean(str(value))


def _clean(text: str) -> str:
    """Text without the control characters and lone surrogates that no page may hold."""
    if text.isprintable():
        return text
    return "".join(c if c in "\t\n" or c.isprintable() or c == "\u00a0" else "\ufffd" for c in text)

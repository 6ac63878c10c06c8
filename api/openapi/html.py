"""HTML from calls, escaped where it is made: enough for a few pages without a template language."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

_VOID: Final = frozenset({"meta", "link", "br", "hr", "img"})
_CODE: Final = re.compile(r"`([^`]+)`")
_RIGHT_TO_LEFT: Final = re.compile("([\u0600-\u06ff][\u0600-\u06ff\u200c ]*)")

PAGE_TYPE: Final = "text/html; charset=utf-8"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Iterable[str] | None


def tag(name: str, /, *children: Child, **attributes: str | bool | None) -> Html:
    """An element.

    :param children: text, which is escaped, elements, iterables of these, or None for nothing.
    :param attributes: those of None or False are left out; a trailing underscore is not part of the name, and others
        are hyphens.

    >>> tag("a", "1 < 2", href="/?a&b", class_="link")
    '<a href="/?a&amp;b" class="link">1 &lt; 2</a>'
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Html:
    """`children` one after the other."""
    return Html("".join(_escaped(child) for child in children))


def prose(text: str) -> Html:
    """The paragraphs of `text`, with what stands between backticks as code."""
    return joined(tag("p", phrase(paragraph)) for paragraph in text.split("\n\n"))


def phrase(text: str) -> Html:
    """`text` with what stands between backticks as code."""
    parts = _CODE.split(text)
    return joined(tag("code", part) if index % 2 else part for index, part in enumerate(parts))


def code_block(text: str, kind: str | None = None) -> Html:
    """`text` as it is; words in it that are written from right to left do not carry their surroundings along.

    :param kind: class of the block.
    """
    parts = _RIGHT_TO_LEFT.split(text)
    shown = [tag("bdi", part) if index % 2 else part for index, part in enumerate(parts)]
    return tag("pre", tag("code", shown), tabindex="0", class_=kind)


def page(title: str, *body: Child) -> bytes:
    """A whole page in English, in the style of the documentation."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="/assets/icon.svg", type="image/svg+xml"),
        [tag("link", rel="stylesheet", href=f"/assets/{name}.css") for name in ("base", "docs")],
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *body), lang='en')}\n".encode()


def _escaped(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    return html.escape(child, quote=False) if isinstance(child, str) else joined(child)


def _attribute(key: str, value: str | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(value)}"'

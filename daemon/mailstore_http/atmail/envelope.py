"""XML as the document shows it: elements in elements, one a line, with tabs before them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias, Union
from xml.sax.saxutils import escape

__all__ = ["Content", "Elements", "document", "numbered"]

Content: TypeAlias = Union[str, "Elements"]
"""What is in an element: text, or other elements. An empty text is a pair of tags, no element a single one."""
Elements: TypeAlias = Sequence[tuple[str, Content]] | Iterator[tuple[str, Content]]
"""An iterator has something to give, see `mailstore_http.messages.begun`."""

_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def numbered(contents: Iterable[Content]) -> Iterator[tuple[str, Content]]:
    """Iterate over a plain list as the product writes one: its items are called ``key_0``, ``key_1`` and so on."""
    return ((f"key_{number}", content) for number, content in enumerate(contents))


def document(call: str, content: Elements, *, one_line: bool = False) -> Iterator[str]:
    """Write the whole answer to a call, in the layout of the document, or on one line as the product's framework does."""
    gap = "" if one_line else "\n"
    yield f'{_DECLARATION}<api generator="zend" version="1.0">{gap}'
    for line in _lines(call, content, 1):
        yield line.strip("\t") if one_line else f"{line}\n"
    yield "</api>\n"


def _lines(name: str, content: Content, depth: int) -> Iterator[str]:
    tabs = "\t" * depth
    if isinstance(content, str):
        yield f"{tabs}<{name}>{_text(content)}</{name}>"
    elif not content:
        yield f"{tabs}<{name}/>"
    else:
        yield f"{tabs}<{name}>"
        for inner, inside in content:
            yield from _lines(inner, inside, depth + 1)
        yield f"{tabs}</{name}>"


def _text(value: str) -> str:
    """Return text that XML can hold, which has no place for some characters."""
    return escape(_UNWRITABLE.sub("\ufffd", value), {"\r": "&#13;"})

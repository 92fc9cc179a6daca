"""Manual pages in the form of man(7), made from the same declarations as the pages of the references."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from inspect import cleandoc

import click
from docutils import nodes
from docutils.core import publish_from_doctree
from docutils.frontend import get_default_settings
from docutils.utils import new_document
from docutils.writers import manpage

from mailstore.version import __version__

__all__ = ["command_page", "page", "section", "table"]

_CODE = re.compile(r"``([^`]+)``|`([^`]+)`")
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")


def page(name: str, number: int, summary: str, parts: Iterable[nodes.Node]) -> str:
    """Return the page `name` of the manual's section `number`; `summary` is half a sentence, for apropos(1)."""
    settings = get_default_settings(manpage.Writer())
    document = new_document(name, settings)
    document += nodes.title(text=name)
    document += nodes.subtitle(text=summary)
    document += nodes.docinfo("", _field("manual section", str(number)), _field("manual group", "mailstore"))
    document += parts
    text: str = publish_from_doctree(document, writer=manpage.Writer(), settings=settings).decode()
    lines = [f"{line.rstrip()}\n" for line in text.splitlines() if not line.startswith('.\\" by the Docutils')]
    return "".join(lines).replace('" "" "" "mailstore"', f'" "" "mailstore {__version__}" "mailstore"', 1)


def command_page(name: str, number: int, contexts: Sequence[click.Context], see: Iterable[str]) -> str:
    """Return the page of a command: the first of the contexts, with those of its verbs behind it. `see`: other pages."""
    first, *verbs = contexts
    about, *rest = _paragraphs(first.command.help or "")
    parts = [section("Synopsis", [nodes.literal_block(text="\n".join(_usage(one) for one in verbs or [first]))])]
    parts.append(section("Description", [_paragraph(about), *(_block(text) for text in rest)]))
    if verbs:
        parts.append(section("Commands", [part for one in verbs for part in _command(one)]))
    if options := _options(first):
        parts.append(section("Options", [table(options)]))
    if notes := _paragraphs(first.command.epilog or ""):
        parts.append(section("Notes", [_block(text) for text in notes]))
    parts.append(section("See also", [nodes.paragraph(text=", ".join(see))]))
    summary = about.partition(". ")[0].rstrip(".:")
    return page(name, number, summary[:1].lower() + summary[1:], parts)


def section(title: str, parts: Iterable[nodes.Node]) -> nodes.section:
    """Return a section."""
    return nodes.section("", nodes.title(text=title), *parts, ids=[nodes.make_id(title)])


def table(entries: Iterable[tuple[str, str]]) -> nodes.definition_list:
    """Return terms and what they mean."""
    return nodes.definition_list("", *(
        nodes.definition_list_item("", nodes.term(text=term), nodes.definition("", _paragraph(meaning)))
        for term, meaning in entries
    ))  # fmt: skip


def _command(context: click.Context) -> Iterator[nodes.Node]:
    parts: list[nodes.Node] = [nodes.literal_block(text=_usage(context))]
    parts += [_block(text) for text in _paragraphs(context.command.help or "")]
    parts += [table(options)] if (options := _options(context)) else []
    parts += [_block(text) for text in _paragraphs(context.command.epilog or "")]
    title = context.command_path.partition(" ")[2]
    yield nodes.section("", nodes.title(text=title), *parts, ids=[nodes.make_id(title)])


def _usage(context: click.Context) -> str:
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def _options(context: click.Context) -> list[tuple[str, str]]:
    records = (
        each.get_help_record(context) for each in context.command.get_params(context) if "--help" not in each.opts
    )
    return [record for record in records if record is not None and record[1]]


def _paragraphs(text: str) -> list[str]:
    return [one for one in cleandoc(text).partition("\f")[0].strip().split("\n\n") if one]


def _block(text: str) -> nodes.Node:
    r"""Return a paragraph of help; behind ``\b`` its lines are kept."""
    if text.startswith("\b"):
        return nodes.literal_block(text="\n".join(line.strip() for line in text[1:].strip("\n").splitlines()))
    return _paragraph(text)


def _paragraph(text: str) -> nodes.paragraph:
    text = _LINK.sub(r"\1", " ".join(text.split()))
    paragraph, end = nodes.paragraph(), 0
    for match in _CODE.finditer(text):
        paragraph += [nodes.Text(text[end : match.start()]), nodes.strong(text=match[1] or match[2])]
        end = match.end()
    paragraph += nodes.Text(text[end:])
    return paragraph


def _field(name: str, value: str) -> nodes.field:
    return nodes.field("", nodes.field_name(text=name), nodes.field_body("", nodes.paragraph(text=value)))

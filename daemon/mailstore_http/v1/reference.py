"""The description of the API as a page for people. It needs nothing from elsewhere, and no script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

__all__ = ["page"]

_STYLE = """\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1,h2{line-height:1.2}h2{margin-top:3rem;border-bottom:1px solid #ccc}
code{font:0.9em ui-monospace,monospace;background:#f3f3f3;padding:0 .2em}
details{border:1px solid #ddd;border-radius:4px;margin:.5rem 0;padding:.3rem .8rem}summary{cursor:pointer}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
td{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-top:1px solid #eee}
.m{display:inline-block;min-width:4.5em;font-weight:600}.t{color:#666}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}code{background:#2a2a2a}details,h2{border-color:#444}
td{border-color:#333}a{color:#8bf}}
"""


def page(document: Mapping[str, Any]) -> str:
    """Return a page in HTML."""
    info = document["info"]
    title = f"{escape(info['title'])} {escape(document['servers'][0]['url'])}"
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>',
        f"<h1>{title}</h1><p>{_text(info['description'])}</p><p>Version {escape(info['version'])}; ",
        'as <a href="openapi.json">OpenAPI 3.1</a>.</p>',
    ]
    for tag in document["tags"]:
        name = tag["name"]
        parts.append(f'<h2 id="{escape(name)}">{escape(name)}</h2>')
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if method != "parameters" and name in operation["tags"]:
                    parts += _operation(method, path, operation, methods.get("parameters", []))
    parts.append('<h2 id="records">records</h2>')
    for name, schema in document["components"]["schemas"].items():
        parts.append(f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>')
        parts.append(f"<p>{_text(schema.get('description', ''))}</p>{_properties(schema)}</details>")
    return "".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any], places: list[Mapping[str, Any]]) -> Iterator[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary><code class="m">{method.upper()}</code> '
    yield f"<code>{escape(path)}</code> {_text(operation['summary'])}</summary>"
    rest = operation.get("description", "").partition("\n\n")[2]
    yield "".join(f"<p>{_text(paragraph)}</p>" for paragraph in rest.split("\n\n") if paragraph)
    rows = [
        (each["name"], f"{each['in']}, {_type(each['schema'])}", each.get("description", ""))
        for each in [*places, *operation.get("parameters", [])]
    ]
    yield _table(rows)
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if content:
        yield "<p>Body:</p>"
        yield _properties(content.get("items", content) if content.get("type") == "array" else content)
    for status, answer in operation["responses"].items():
        kinds = [_type(each["schema"]) for each in answer.get("content", {}).values()]
        yield f"<p><code>{escape(status)}</code> {_text(answer['description'])} {', '.join(dict.fromkeys(kinds))}</p>"
    yield "</details>"


def _properties(schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    return _table([
        (name, _type(each) + (", required" if name in needed and schema.get("additionalProperties") is False else ""),
         each.get("description", ""))
        for name, each in schema.get("properties", {}).items()
    ])  # fmt: skip


def _table(rows: list[tuple[str, str, str]]) -> str:
    cells = (f'<tr><td><code>{escape(name)}</code><td class="t">{kind}<td>{_text(text)}' for name, kind, text in rows)
    return f"<table>{''.join(cells)}</table>" if rows else ""


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(escape(str(each)) for each in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"array of {_type(schema.get('items', {}))}"
    if kind == "object" and set(schema.get("properties", {})) == {"add", "remove"}:
        return "{add, remove}"
    return escape(" or ".join(kind) if isinstance(kind, list) else str(kind))


def _text(text: str) -> str:
    """Return a text with what stands in backticks as code."""
    pieces = escape(text).replace("``", "`").split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))

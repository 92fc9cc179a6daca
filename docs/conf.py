"""How Sphinx makes the site from the pages: ``make site``."""

from __future__ import annotations

import re
import typing

if typing.TYPE_CHECKING:
    from sphinx.application import Sphinx

from mailstore.version import __version__

project = "mailstore"
release = version = __version__
project_copyright = "the authors of mailstore"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_copybutton"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
html_theme = "furo"
html_title = f"mailstore {__version__}"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# Names in single backticks, as the docstrings write them, lead to what they name where the reference has it.
smartquotes = False  # options begin with two hyphens
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
copybutton_exclude = ".linenos, .gp"

_SECTION = re.compile(r"^(Parameters|Returns|Raises|Notes)$")
_ENTRY = re.compile(r"^(?P<names>\*{0,2}[a-z_0-9]+(?:, \*{0,2}[a-z_0-9]+)*): (?P<text>.*)$")


def _parameters(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Turn the section of parameters of a docstring, whose entries are ``names: meaning``, into a list."""
    result: list[str] = []
    inside = False
    for line in lines:
        if _SECTION.match(line):
            inside = True
            result += [f"**{line}**", ""]
        elif set(line) == {"-"} and result and not result[-1]:
            continue
        elif inside and (entry := _ENTRY.match(line)):
            names = ", ".join(f"``{name}``" for name in entry["names"].split(", "))
            result.append(f"* {names}: {entry['text']}")
        elif inside and line.startswith("    "):
            result.append(f"  {line.strip()}")
        else:
            inside = inside and not line
            result.append(line)
    lines[:] = result


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _parameters)

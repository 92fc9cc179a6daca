"""The command line: one file per noun, one command per operation of the library.

`main` is the console script ``mailstore``. What a command needs is imported when that command runs, so that help,
completion and ``--version`` answer at once.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line on ``sys.argv`` and exit."""
    from mailstore.cli.root import root

    root(prog_name="mailstore")

"""``python -m mailstore`` is the command line."""

from __future__ import annotations

from mailstore.cli import main

if __name__ == "__main__":
    main()

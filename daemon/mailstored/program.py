"""What the services have in common when they start: their options, and how whatever goes wrong ends."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from mailstore.errors import ConfigurationError

__all__ = ["CONFIGURATION", "FAULT", "TEMPORARY", "Program", "config_option"]

FAULT, CONFIGURATION, TEMPORARY = 1, 2, 75
"""Exit codes."""

config_option = click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration file. Default: $MAILSTORE_CONFIG, else /etc/mailstore/mailstore.toml.",
)


@dataclass(frozen=True)
class Program:
    """A service. ``extra`` is that of the project which brings the ``packages`` that it needs."""

    name: str
    extra: str
    packages: Sequence[str]

    def run(self, work: Callable[[], int]) -> int:
        """Do the work, and return the exit code; whatever goes wrong ends in one line and a code."""
        try:
            self._require_packages()
            return work()
        except ConfigurationError as error:
            return self.told(str(error), CONFIGURATION)
        except OSError as error:
            return self.told(str(error), FAULT)
        except Exception as error:  # noqa: BLE001 its text is not ours, and might hold what must not be shown
            if os.environ.get("MAILSTORE_DEBUG") == "1":
                traceback.print_exception(error)
            return self.told(
                f"internal error: {type(error).__name__}; run with MAILSTORE_DEBUG=1 and report this", FAULT
            )

    def told(self, text: str, code: int) -> int:
        """Say something on standard error, and return `code`."""
        click.echo(f"{self.name}: {text}", err=True)
        return code

    def _require_packages(self) -> None:
        for module in self.packages:
            try:
                __import__(module)
            except ImportError as error:
                raise ConfigurationError(
                    f"{self.name} needs the package {module}: pip install 'mailstore[{self.extra}]'"
                ) from error

"""Bring a domain of a mail server in line with a list of people: create who is missing, disable who is gone.

    python examples/provision.py iredmail+sqlite:////var/lib/mailstore/vmail.db example.com people.csv

The file has the columns ``address`` and ``name``. New accounts get a generated password, which is printed once.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import mailstore
from mailstore.passwords import generate_password

T = TypeVar("T")


def patiently(call: Callable[[], T], attempts: int = 5) -> T:
    """Call, and call again while the store says that it may help."""
    for attempt in range(attempts):
        try:
            return call()
        except mailstore.MailstoreError as error:
            if not error.temporary or attempt == attempts - 1:
                raise
            time.sleep(2**attempt)
    raise AssertionError("unreachable")


def provision(store: mailstore.Store, domain: str, people: Mapping[str, str]) -> dict[str, str]:
    """Create accounts for `people` (address to name), disable the others. Returns the passwords of new accounts."""
    passwords: dict[str, str] = {}
    present = {account.address: account for account in store.accounts.list(domain=domain)}
    with store.transaction():
        for address, name in people.items():
            if address not in present:
                passwords[address] = generate_password()
                store.accounts.create(address, password=passwords[address], name=name)
            elif not present[address].enabled or present[address].name != name:
                store.accounts.update(address, enabled=True, name=name)
        for address in present.keys() - people.keys():
            store.accounts.update(address, enabled=False)
    return passwords


def main(url: str, domain: str, file: str) -> int:
    """Provision, and say what was done. Returns the exit code."""
    with Path(file).open(encoding="utf-8", newline="") as lines:
        people = {row["address"].lower(): row["name"] for row in csv.DictReader(lines)}
    try:
        with mailstore.open_store(url) as store:
            passwords = patiently(lambda: provision(store, domain, people))
    except mailstore.MailstoreError as error:
        sys.stderr.write(f"{error.subject or domain}: {error}\n")
        return 1
    for address, password in passwords.items():
        sys.stdout.write(f"{address}\t{password}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

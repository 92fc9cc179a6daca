"""All spellings of an address are found in a column, by its index, in every order that text has on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import make_url, text

from mailstore.driver.names import Spellings
from mailstore.sql.engine import Database, TextOrder
from mailstore.sql.occurrences import AddressColumn, occurrences

if TYPE_CHECKING:
    from tests.rigs import Rig
    from tests.servers.postgresql import PostgreSQL
    from tests.stores import StoreRig

FOUND = (
    "bob@a.test", "Bob@a.test", "BOB@A.TEST", "boB@A.test", "bob+x@a.test", "BOB+News@A.Test", "Bob+y@a.test",
    "bob@aa.test", "Bob@AA.test", "bob+@a.test",
)  # fmt: skip
OTHERS = (
    "bobby@a.test", "Bo@a.test", "bob@a.tester", "Bob@A.Tests", "bob@b.test", "bob+x@b.test", "bob-x@a.test", "bo.b@a.test",
    "Alice@a.test", "zoe@a.test", "ZOE@A.TEST", "a.test", "@a.test", "", "bób@a.test", "boc@a.test", "b_b@a.test",
)  # fmt: skip
SPELLINGS = Spellings(["bob@a.test"], {"a.test": ["aa.test"]})
COLUMN = AddressColumn("spelt", "address", free=True)


@pytest.fixture(params=["sqlite", "mysql", "postgresql", "icu"])
def database(
    request: pytest.FixtureRequest, rigs: Callable[[str], StoreRig], postgresql: PostgreSQL
) -> Iterator[Database]:
    if request.param == "icu":
        order = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0"
        postgresql.execute(f"CREATE DATABASE vmail_icu OWNER vmailadmin {order}")
        url = make_url(postgresql.url("vmail_icu")).set(drivername="postgresql+psycopg")
    else:
        url = make_url(cast("Rig", rigs(request.param)).native)
    database = Database(url)
    with database.writing() as tx:
        tx.execute(text("CREATE TABLE spelt (id INTEGER PRIMARY KEY, address VARCHAR(255) NOT NULL)"))
        tx.execute(text("CREATE INDEX spelt_address ON spelt (address)"))
    yield database
    with database.writing() as tx:
        tx.execute(text("DROP TABLE spelt"))
    database.close()
    if request.param == "icu":
        postgresql.drop_database("vmail_icu")


def fill(database: Database, values: tuple[str, ...]) -> None:
    rows = [{"id": number, "value": value} for number, value in enumerate(values)]
    with database.writing() as tx:
        tx.execute(text("INSERT INTO spelt (id, address) VALUES (:id, :value)"), rows)


def found(database: Database, column: AddressColumn) -> set[str]:
    with database.writing() as tx:
        return {value for _, value in occurrences(database, tx, [column], SPELLINGS)}


def test_every_spelling_is_found(database: Database) -> None:
    fill(database, (*FOUND, *OTHERS))
    assert found(database, COLUMN) == set(FOUND)


def test_an_address_with_capitals_is_found_as_it_is_stored(database: Database) -> None:
    fill(database, ("Bob@a.test", "Bob@aa.test", "bobby@a.test"))
    column, spellings = AddressColumn("spelt", "address", free=False), Spellings(["Bob@a.test"])
    with database.writing() as tx:
        assert occurrences(database, tx, [column], spellings) == {(0, "Bob@a.test")}


def test_what_is_not_there_is_not_found(database: Database) -> None:
    assert found(database, COLUMN) == set()
    fill(database, OTHERS)
    assert found(database, COLUMN) == set()


def test_the_order_is_that_of_the_server(database: Database, request: pytest.FixtureRequest) -> None:
    with database.reading():
        order = database.text_order
    if "icu" in request.node.name:
        assert order is TextOrder.LANGUAGE
    else:
        assert (order is TextOrder.FOLDED) == (database.kind == "mysql")

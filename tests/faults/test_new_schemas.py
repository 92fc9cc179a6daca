"""A schema is made wholly or not at all, on servers too that commit each table by itself."""

from __future__ import annotations

import re

import pytest

from mailstore import StoreDenied
from mailstore.config import StoreConfig
from mailstore.sql.afterlogic.store import create_schema as create_afterlogic
from mailstore.sql.iredmail.store import create_schema as create_iredmail
from tests.servers.mariadb import MariaDB


@pytest.mark.parametrize("product", ["iredmail", "afterlogic"])
def test_what_fails_at_the_end_leaves_nothing(mariadb: MariaDB, product: str) -> None:
    create = {"iredmail": create_iredmail, "afterlogic": create_afterlogic}[product]
    mariadb.create_database("vmail_new")
    # Without the right to make triggers and functions, it fails as it does with a binary log and without SUPER (1419).
    mariadb.execute(
        "CREATE USER maker@'%' IDENTIFIED BY 'makerpass'; "
        "GRANT SELECT, INSERT, CREATE, DROP, INDEX, REFERENCES, ALTER ON vmail_new.* TO maker@'%'"
    )
    try:
        url = re.sub("^iredmail", product, mariadb.url("vmail_new").replace("vmailadmin:adminpass", "maker:makerpass"))
        for _ in range(2):
            with pytest.raises(StoreDenied):
                create(StoreConfig(url=url), None)
            assert mariadb.execute("SHOW TABLES", "vmail_new") == []
        mariadb.execute("GRANT ALL ON vmail_new.* TO maker@'%'")
        assert create(StoreConfig(url=url), None)
    finally:
        mariadb.execute("DROP USER maker@'%'")
        mariadb.drop_database("vmail_new")

"""What alias accounts and mailing lists are in the tree, as iRedMail's panel and readers know them, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from ldap3 import MODIFY_ADD, SUBTREE

from mailstore import InvalidValue, NotSupported
from mailstore.ldap.entry import Entry
from mailstore.ldap.iredmail.names import locks
from mailstore.ldap.names import DN
from mailstore.ldap.schema import Schema
from mailstore.model import Edit
from tests.ldap.lookup_rig import LdapMaps, reader_of
from tests.ldap.rig import counting
from tests.stores import StoreRig, empty_homes
from tests.test_cli_rig import run

if TYPE_CHECKING:
    from pathlib import Path

    from mailstore.ldap.iredmail.store import IRedMailDirectory
    from tests.ldap.rig import LdapRig

Values = dict[str, set[str]]

BASE = "o=domains,dc=mailstore,dc=test"
COM, ORG = f"domainName=example.com,{BASE}", f"domainName=example.org,{BASE}"
BOB = f"mail=bob@example.com,ou=Users,{COM}"
ZOE = f"mail=zoe@example.org,ou=Users,{ORG}"
TEAM = f"mail=team@example.com,ou=Groups,{COM}"
CREW = f"mail=crew@example.com,ou=Groups,{COM}"
SALES = f"mail=sales@example.com,ou=Aliases,{COM}"
EXTERNALS = f"memberOfGroup=team@example.com,ou=Externals,{COM}"
MANAGED = f"mail=news@example.com,ou=Groups,{COM}"
OUTSIDE = ("eve@ext.org", "ida@ext.org")
EVERYBODY = ("bob@example.com", "crew@example.com", "sales@example.com", "zoe@example.org", *OUTSIDE)


@pytest.fixture
def rig(rigs: Callable[[str], StoreRig]) -> LdapRig:
    """The directory, emptied."""
    found = cast("LdapRig", rigs("ldap"))
    found.clear()
    empty_homes(found)
    return found


@pytest.fixture
def store(rig: LdapRig) -> Iterator[IRedMailDirectory]:
    """Two domains, one with an alias domain, and everything that can be a member; afterwards nothing may be wrong."""
    store = rig.shared
    store.domains.create("example.com")
    store.domains.create("example.org")
    store.domains.add_alias_domains("example.com", ["example.net"])
    store.accounts.create("bob@example.com", password="x")
    store.accounts.create("zoe@example.org", password="x")
    store.aliases.create("sales@example.com", members=["s@ext.org"])
    store.lists.create("crew@example.com", members=["c@ext.org"])
    yield store
    assert [finding for finding in store.check() if finding.severity == "error"] == []


@pytest.fixture
def team(store: IRedMailDirectory) -> str:
    return store.lists.create("team@example.com", members=EVERYBODY).address


def tree(rig: LdapRig) -> Mapping[str, Values]:
    """Return all entries as they are, but for what the server itself notes, and locks."""
    with rig.server.connect() as connection:
        connection.search(BASE, "(objectClass=*)", SUBTREE, attributes=["*"])
        return {entry["dn"]: values_of(entry["raw_attributes"]) for entry in connection.response}


def values_of(attributes: Mapping[str, list[bytes]]) -> Values:
    values = {
        name: {value.decode() for value in some if not value.startswith(b"mailstoreLock:")}
        for name, some in attributes.items()
    }
    return {name: some for name, some in values.items() if some}


def write(rig: LdapRig, dn: str, **values: list[str]) -> None:
    """Add values as another program would."""
    with rig.server.connect() as connection:
        assert connection.modify(dn, {name: [(MODIFY_ADD, some)] for name, some in values.items()}), connection.result


def add(rig: LdapRig, dn: str, values: dict[str, Any]) -> None:
    with rig.server.connect() as connection:
        assert connection.add(dn, attributes=values), connection.result


def managed(rig: LdapRig) -> str:
    """A list as mlmmjadmin makes it."""
    add(
        rig,
        MANAGED,
        {
            "objectClass": "mailList",
            "mail": "news@example.com",
            "mtaTransport": "mlmmj:example.com/news",
            "mailingListID": "6f9619ff-8b86-4011-b42d-00c04fc964ff",
            "accountStatus": "active",
            "enabledService": ["mail", "deliver", "mlmmj"],
            "shadowAddress": "news@example.net",
        },
    )
    return "news@example.com"


class TestAliases:
    def test_entry(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.aliases.create("Info@example.com", name="Größe", members=["Bob@Example.com", "eve@ext.org"])
        assert tree(rig)[f"mail=info@example.com,ou=Aliases,{COM}"] == {
            "objectClass": {"mailAlias"},
            "mail": {"info@example.com"},
            "cn": {"Größe"},
            "accountStatus": {"active"},
            "enabledService": {"mail", "deliver"},
            "mailForwardingAddress": {"bob@example.com", "eve@ext.org"},
            "shadowAddress": {"info@example.net"},
        }

    def test_policy_and_moderators(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.aliases.update("sales@example.com", access_policy="domain", moderators=["*@ext.org"])
        found = tree(rig)[SALES]
        assert (found["accessPolicy"], found["listModerator"]) == ({"domain"}, {"*@ext.org"})
        store.aliases.update("sales@example.com", access_policy="public", moderators=[])
        assert not tree(rig)[SALES].keys() & {"accessPolicy", "listModerator"}

    def test_policy_that_the_schema_has_for_lists_only(
        self, store: IRedMailDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        schema = store._context.directory.schema
        old = {**schema.allowed, "mailalias": schema.allowed["mailalias"] - {"accesspolicy", "listmoderator"}}
        older = Schema(schema.attribute_types, schema.object_classes, old)
        monkeypatch.setitem(vars(store._context.directory), "schema", older)
        for fields in ({"access_policy": "domain"}, {"moderators": ["a@b.org"]}):
            changed: Any = fields
            with pytest.raises(NotSupported, match=r"1\.7\.2"):
                store.aliases.update("sales@example.com", **changed)
        assert (
            store.aliases.update("sales@example.com", access_policy="public", moderators=[]).access_policy == "public"
        )
        assert store.lists.update("crew@example.com", access_policy="domain").access_policy == "domain"

    def test_rename_takes_memberships_and_further_addresses(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.lists.add_members("crew@example.com", ["sales@example.com"])
        write(rig, SALES, shadowAddress=["vente@example.org"], description=["by hand"])
        store.aliases.rename("sales@example.com", "verkauf@example.org")
        entries = tree(rig)
        assert SALES not in entries
        assert entries[f"mail=verkauf@example.org,ou=Aliases,{ORG}"] == {
            "objectClass": {"mailAlias"},
            "mail": {"verkauf@example.org"},
            "accountStatus": {"active"},
            "enabledService": {"mail", "deliver"},
            "mailForwardingAddress": {"s@ext.org"},
            "shadowAddress": {"vente@example.org"},
            "memberOfGroup": {"crew@example.com", "crew@example.net"},
            "description": {"by hand"},
        }

    def test_domain_status_and_counter(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.domains.update("example.com", enabled=False)
        store.aliases.create("info@example.com")
        entries = tree(rig)
        assert entries[f"mail=info@example.com,ou=Aliases,{COM}"]["domainStatus"] == {"disabled"}
        assert entries[COM]["domainCurrentAliasNumber"] == {"2"}
        store.aliases.rename("info@example.com", "info@example.org")
        assert "domainStatus" not in tree(rig)[f"mail=info@example.org,ou=Aliases,{ORG}"]
        store.aliases.delete("sales@example.com")
        assert tree(rig)[COM]["domainCurrentAliasNumber"] == {"0"}

    def test_operations(self, store: IRedMailDirectory) -> None:
        assert operations(store, lambda: store.aliases.create("a@example.org", members=["x@ext.org"])) == [
            "modify", "search", "add", "modify",
        ]  # fmt: skip
        assert operations(store, lambda: store.aliases.add_members("a@example.org", ["y@ext.org"])) == [
            "search", "modify",
        ]  # fmt: skip
        assert operations(store, lambda: store.aliases.get("a@example.org")) == ["search"]
        assert operations(store, lambda: list(store.aliases.list())) == ["search"]
        assert operations(store, lambda: store.aliases.delete("a@example.org")) == [
            "modify", "search", "search", "delete", "modify",
        ]  # fmt: skip


class TestEntries:
    def test_entry(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.lists.create(
            "all@example.com",
            name="Größe",
            access_policy="membersonly",
            moderators=["*@ext.org", "bob@example.com"],
            owners=["bob@example.com"],
        )
        assert tree(rig)[f"mail=all@example.com,ou=Groups,{COM}"] == {
            "objectClass": {"mailList"},
            "mail": {"all@example.com"},
            "cn": {"Größe"},
            "accountStatus": {"active"},
            "enabledService": {"mail", "deliver"},
            "accessPolicy": {"membersonly"},
            "listModerator": {"*@ext.org", "bob@example.com"},
            "listOwner": {"bob@example.com"},
            "listAllowedUser": {"*@ext.org", "bob@example.com"},
            "shadowAddress": {"all@example.net"},
        }

    def test_members_with_an_entry_carry_every_name_of_the_list(self, team: str, rig: LdapRig) -> None:
        entries = tree(rig)
        for dn in (BOB, ZOE, SALES, CREW):
            assert entries[dn]["memberOfGroup"] == {"team@example.com", "team@example.net"}
        assert entries[EXTERNALS] == {
            "objectClass": {"mailExternalUser"},
            "memberOfGroup": {team},
            "mail": set(OUTSIDE),
            "accountStatus": {"active"},
            "enabledService": {"mail", "deliver"},
            "shadowAddress": {"team@example.net"},
        }

    def test_alias_addresses_are_no_entries(self, store: IRedMailDirectory, team: str, rig: LdapRig) -> None:
        store.accounts.add_aliases("bob@example.com", ["rob@example.com"])
        store.lists.add_members(team, ["rob@example.com", "bob@example.net"])
        assert tree(rig)[EXTERNALS]["mail"] == {*OUTSIDE, "rob@example.com", "bob@example.net"}

    def test_removed_members(self, store: IRedMailDirectory, team: str, rig: LdapRig) -> None:
        store.lists.remove_members(team, ["bob@example.com", "eve@ext.org"])
        entries = tree(rig)
        assert "memberOfGroup" not in entries[BOB]
        assert entries[EXTERNALS]["mail"] == {"ida@ext.org"}
        store.lists.update(team, members=["bob@example.com"])
        entries = tree(rig)
        assert EXTERNALS not in entries
        assert [dn for dn, values in entries.items() if team in values.get("memberOfGroup", ())] == [BOB]

    def test_values_of_others_stay(self, store: IRedMailDirectory, team: str, rig: LdapRig) -> None:
        write(rig, TEAM, listAllowedUser=["daemon@ext.org"], enabledService=["displayedInGlobalAddressBook"])
        write(rig, BOB, memberOfGroup=["crew@example.com"])
        write(rig, EXTERNALS, description=["by hand"])
        store.lists.update(team, moderators=["m@ext.org"], owners=["o@ext.org"], name="Team", members=["eve@ext.org"])
        store.lists.update(team, moderators=Edit(remove=["m@ext.org"]))
        entries = tree(rig)
        assert entries[TEAM]["listAllowedUser"] == {"daemon@ext.org", "o@ext.org"}
        assert "displayedInGlobalAddressBook" in entries[TEAM]["enabledService"]
        assert entries[BOB]["memberOfGroup"] == {"crew@example.com"}
        assert (entries[EXTERNALS]["mail"], entries[EXTERNALS]["description"]) == ({"eve@ext.org"}, {"by hand"})
        store.lists.add_members("crew@example.com", ["bob@example.com"])
        assert tree(rig)[BOB]["memberOfGroup"] == {"crew@example.com", "crew@example.net"}

    def test_what_another_tool_wrote_in_capitals(self, store: IRedMailDirectory, team: str, rig: LdapRig) -> None:
        write(rig, EXTERNALS, mail=["Max@Ext.org"])
        write(rig, TEAM, listModerator=["Boss@Ext.org"], listAllowedUser=["Boss@Ext.org"])
        found = store.lists.get(team)
        assert ("max@ext.org" in found.members, found.moderators) == (True, ("boss@ext.org",))
        store.lists.add_members(team, ["max@ext.org"])
        store.lists.remove_members(team, ["max@ext.org"])
        store.lists.update(team, moderators=[])
        entries = tree(rig)
        assert entries[EXTERNALS]["mail"] == set(OUTSIDE)
        assert not entries[TEAM].keys() & {"listModerator", "listAllowedUser"}

    @pytest.mark.parametrize(
        ("stored", "meant"), [("allowedonly", "moderatorsonly"), ("Domain", "domain"), ("x", "public")]
    )
    def test_policies_of_other_tools(self, store: IRedMailDirectory, rig: LdapRig, stored: str, meant: str) -> None:
        dn = f"mail=old@example.com,ou=Groups,{COM}"
        values = {"mail": "old@example.com", "accountStatus": "active", "enabledService": ["mail", "deliver"]}
        add(rig, dn, {"objectClass": "mailList", "accessPolicy": stored, "shadowAddress": "old@example.net", **values})
        assert store.lists.get("old@example.com").access_policy == meant

    def test_owners_are_no_whole_domains(self, store: IRedMailDirectory, team: str) -> None:
        with pytest.raises(InvalidValue, match="cannot own"):
            store.lists.update(team, owners=["*@ext.org"])

    def test_members_of_a_former_list_get_no_mail_of_a_new_one(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        for dn in (BOB, ZOE):
            write(rig, dn, memberOfGroup=["team@example.com", "team@example.net"])
        values = {"mail": "left@ext.org", "accountStatus": "active", "enabledService": ["mail", "deliver"]}
        add(rig, EXTERNALS, {"objectClass": "mailExternalUser", "memberOfGroup": "team@example.com", **values})
        store.lists.create("team@example.com", members=["zoe@example.org"])
        entries = tree(rig)
        assert EXTERNALS not in entries
        assert "memberOfGroup" not in entries[BOB]
        assert entries[ZOE]["memberOfGroup"] == {"team@example.com", "team@example.net"}

    @pytest.mark.parametrize("name", ["create", "create_many", "rename", "alias"])
    def test_members_of_a_former_list_get_no_mail_of_anybody(
        self, store: IRedMailDirectory, rig: LdapRig, name: str
    ) -> None:
        write(rig, BOB, memberOfGroup=["team@example.com", "team@example.net", "crew@example.com", "crew@example.net"])
        values = {"mail": "left@ext.org", "shadowAddress": "team@example.net", "accountStatus": "active"}
        add(rig, EXTERNALS, {"objectClass": "mailExternalUser", "memberOfGroup": "team@example.com", **values})
        actions: dict[str, Callable[[], object]] = {
            "create": lambda: store.accounts.create("team@example.com", password="x"),
            "create_many": lambda: store.accounts.create_many([{"address": "team@example.com", "password": "x"}]),
            "rename": lambda: store.accounts.rename("zoe@example.org", "team@example.com"),
            "alias": lambda: store.aliases.rename("sales@example.com", "team@example.com"),
        }
        actions[name]()
        entries = tree(rig)
        assert EXTERNALS not in entries
        assert entries[BOB]["memberOfGroup"] == {"crew@example.com", "crew@example.net"}

    def test_domain_status_and_counter(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        store.domains.update("example.com", enabled=False)
        store.lists.create("team@example.com", members=OUTSIDE)
        entries = tree(rig)
        assert (entries[TEAM]["domainStatus"], entries[EXTERNALS]["domainStatus"]) == ({"disabled"}, {"disabled"})
        assert entries[COM]["domainCurrentListNumber"] == {"2"}
        store.lists.rename("team@example.com", "team@example.org")
        entries = tree(rig)
        assert "domainStatus" not in entries[f"mail=team@example.org,ou=Groups,{ORG}"]
        assert "domainStatus" not in entries[f"memberOfGroup=team@example.org,ou=Externals,{ORG}"]
        assert entries[COM]["domainCurrentListNumber"] == {"1"}
        store.lists.delete("crew@example.com")
        assert tree(rig)[COM]["domainCurrentListNumber"] == {"0"}


class TestRenaming:
    def test_everything_follows(self, store: IRedMailDirectory, team: str, rig: LdapRig) -> None:
        write(rig, ORG, accountSetting=["defaultList:crew@example.com,Team@example.com"])
        write(rig, EXTERNALS, description=["by hand"])
        write(rig, TEAM, member=[BOB])
        store.lists.update("crew@example.com", moderators=[team])
        store.lists.rename(team, "all@example.com")
        entries = tree(rig)
        for dn in (BOB, ZOE, SALES, CREW):
            assert entries[dn]["memberOfGroup"] == {"all@example.com", "all@example.net"}
        externals = entries[f"memberOfGroup=all@example.com,ou=Externals,{COM}"]
        assert (externals["mail"], externals["memberOfGroup"]) == (set(OUTSIDE), {"all@example.com"})
        assert (externals["shadowAddress"], externals["description"]) == ({"all@example.net"}, {"by hand"})
        assert entries[CREW]["listModerator"] == {"all@example.com"}
        assert entries[ORG]["accountSetting"] == {"defaultList:crew@example.com,all@example.com"}
        assert entries[f"mail=all@example.com,ou=Groups,{COM}"]["shadowAddress"] == {"all@example.net"}
        assert entries[f"mail=all@example.com,ou=Groups,{COM}"]["member"] == {BOB}
        assert not {TEAM, EXTERNALS} & entries.keys()
        assert "team@" not in str(entries)

    def test_to_a_domain_without_alias_domains_and_back(
        self, store: IRedMailDirectory, team: str, rig: LdapRig
    ) -> None:
        before = tree(rig)
        store.lists.rename(team, "team@example.org")
        entries = tree(rig)
        assert entries[BOB]["memberOfGroup"] == {"team@example.org"}
        assert "shadowAddress" not in entries[f"memberOfGroup=team@example.org,ou=Externals,{ORG}"]
        assert "shadowAddress" not in entries[f"mail=team@example.org,ou=Groups,{ORG}"]
        store.lists.rename("team@example.org", team)
        assert tree(rig) == before

    def test_to_an_address_of_its_own(self, store: IRedMailDirectory, team: str, rig: LdapRig) -> None:
        write(rig, TEAM, shadowAddress=["gang@example.com", "gang@example.net"])
        store.lists.rename(team, "gang@example.com")
        assert tree(rig)[f"mail=gang@example.com,ou=Groups,{COM}"]["shadowAddress"] == {"gang@example.net"}

    def test_delete_leaves_nothing(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        before = tree(rig)
        store.lists.create("team@example.com", members=EVERYBODY)
        store.lists.update("crew@example.com", moderators=["team@example.com"])
        write(rig, ORG, accountSetting=["defaultList:team@example.com"])
        store.lists.delete("team@example.com")
        assert tree(rig) == before


class TestManagedLists:
    def test_it_can_be_read_and_changed(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        news = managed(rig)
        found = store.lists.get(news)
        assert (found.kind, found.members, found.enabled) == ("managed", (), True)
        assert [each.kind for each in store.lists.list()] == ["plain", "managed"]
        changed = store.lists.update(news, name="News", access_policy="domain", moderators=["m@ext.org"], enabled=False)
        assert (changed.name, changed.access_policy, changed.moderators) == ("News", "domain", ("m@ext.org",))
        assert tree(rig)[MANAGED]["enabledService"] == {"mail", "deliver", "mlmmj"}

    def test_the_rest_is_left_to_mlmmjadmin(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        news = managed(rig)
        before = tree(rig)
        for call in (
            lambda: store.lists.add_members(news, ["x@ext.org"]),
            lambda: store.lists.update(news, members=[], name="x"),
            lambda: store.lists.rename(news, "neu@example.com"),
            lambda: store.lists.delete(news),
        ):
            with pytest.raises(NotSupported, match="mlmmjadmin"):
                call()
        assert tree(rig) == before

    def test_it_may_be_a_member(self, store: IRedMailDirectory, rig: LdapRig) -> None:
        news = managed(rig)
        store.lists.add_members("crew@example.com", [news])
        assert tree(rig)[MANAGED]["memberOfGroup"] == {"crew@example.com", "crew@example.net"}
        assert store.lists.get("crew@example.com").members == ("c@ext.org", news)


class TestOperations:
    """How many operations are sent: as with statements of SQL, a change here should be meant."""

    def test_create_get_and_delete(self, store: IRedMailDirectory) -> None:
        assert operations(store, lambda: store.lists.create("a@example.org")) == ["modify", "search", "add", "modify"]
        assert operations(store, lambda: store.lists.get("a@example.org")) == ["search", "search"]
        assert operations(store, lambda: store.lists.delete("a@example.org")) == [
            "modify", "search", "search", "delete", "modify",
        ]  # fmt: skip

    def test_members(self, store: IRedMailDirectory) -> None:
        members = ["zoe@example.org", "bob@example.com", "x@ext.org", "y@ext.org"]
        assert operations(store, lambda: store.lists.create("a@example.org", members=members)) == [
            "modify", "search", "search", "modify", "modify", "add", "add", "modify",
        ]  # fmt: skip
        one = ["modify", "search", "search", "modify", "modify"]
        for member in ("z@ext.org", "sales@example.com"):
            assert operations(store, lambda: store.lists.add_members("a@example.org", [member])) == one  # noqa: B023
            assert operations(store, lambda: store.lists.remove_members("a@example.org", [member])) == one  # noqa: B023

    def test_a_page_of_lists_takes_one_search_for_all_members(self, store: IRedMailDirectory) -> None:
        for number in range(60):
            store.lists.create(f"list{number}@example.org", members=["bob@example.com", f"x{number}@ext.org"])
        assert operations(store, lambda: list(store.lists.list())) == ["search"] * 3


class TestReaders:
    """What real Postfix makes of it."""

    @pytest.fixture
    def maps(self, rig: LdapRig, workdir: Path) -> LdapMaps:
        return LdapMaps(workdir / "postfix", reader_of(rig.server))

    def test_a_list_is_expanded_under_every_name(self, store: IRedMailDirectory, maps: LdapMaps, team: str) -> None:
        names = (team, "team@example.net")
        assert maps.resolve("virtual_alias_maps", names) == dict.fromkeys(names, frozenset(EVERYBODY))
        store.lists.remove_members(team, ["bob@example.com", "ida@ext.org"])
        left = frozenset(EVERYBODY) - {"bob@example.com", "ida@ext.org"}
        assert maps.resolve("virtual_alias_maps", names) == dict.fromkeys(names, left)
        store.lists.rename(team, "all@example.org")
        assert maps.resolve("virtual_alias_maps", (*names, "all@example.org")) == {"all@example.org": left}
        store.lists.delete("all@example.org")
        assert maps.resolve("virtual_alias_maps", (*names, "all@example.org")) == {}

    def test_an_alias_is_expanded_under_every_name(self, store: IRedMailDirectory, maps: LdapMaps) -> None:
        names = ("sales@example.com", "sales@example.net")
        assert maps.resolve("virtual_alias_maps", names) == dict.fromkeys(names, frozenset({"s@ext.org"}))
        store.aliases.rename("sales@example.com", "verkauf@example.com")
        assert maps.resolve("virtual_alias_maps", (*names, "verkauf@example.net")) == {
            "verkauf@example.net": frozenset({"s@ext.org"})
        }
        store.aliases.update("verkauf@example.com", enabled=False)
        assert maps.resolve("virtual_alias_maps", ["verkauf@example.com"]) == {}

    def test_only_iredapd_looks_at_the_state_of_a_list(
        self, store: IRedMailDirectory, maps: LdapMaps, team: str
    ) -> None:
        store.lists.update(team, enabled=False)
        assert maps.resolve("virtual_alias_maps", [team]) == {team: frozenset(EVERYBODY)}

    def test_a_list_of_mlmmj_stands_for_itself(self, rig: LdapRig, store: IRedMailDirectory, maps: LdapMaps) -> None:
        news = managed(rig)
        store.lists.update(news, name="News", moderators=["m@ext.org"])
        assert maps.resolve("virtual_alias_maps", [news]) == {news: frozenset({news})}
        assert maps.resolve("transport_maps", [news]) == {news: frozenset({"mlmmj:example.com/news"})}


@pytest.mark.usefixtures("store")
class TestCommand:
    def test_course(self, rig: LdapRig) -> None:
        def cli(*args: str) -> Any:
            result = run("--url", rig.url, "--format", "json", "list", *args)
            assert result.exit_code == 0, result.stderr
            return json.loads(result.stdout)

        made = cli("create", "all@example.com", "--name", "All", "--member", "bob@example.com", "--owner", "o@ext.org")
        assert (made["kind"], made["members"], made["owners"]) == ("plain", ["bob@example.com"], ["o@ext.org"])
        assert cli("member-add", "all@example.com", "x@ext.org")["members"] == ["bob@example.com", "x@ext.org"]
        assert cli("member-remove", "all@example.com", "bob@example.com")["members"] == ["x@ext.org"]
        edited = cli("update", "all@example.com", "--add-moderator", "*@ext.org", "--no-owners", "--disabled")
        assert (edited["moderators"], edited["owners"], edited["enabled"]) == (["*@ext.org"], [], False)
        assert cli("rename", "all@example.com", "every@example.com")["address"] == "every@example.com"
        assert [found["address"] for found in cli("list", "--disabled")] == ["every@example.com"]
        assert cli("list", "--count") == 2
        assert cli("show", "every@example.com")["name"] == "All"
        assert cli("delete", "every@example.com", "--yes") == {"address": "every@example.com", "dry_run": False}
        assert run("--url", rig.url, "list", "show", "every@example.com").exit_code == 5


def operations(store: IRedMailDirectory, action: Callable[[], object]) -> list[str]:
    with counting(store) as seen:
        action()
    return seen.kinds


class Interrupted(Exception):
    """What ends an operation before one of its writes."""


@contextmanager
def interrupting(store: IRedMailDirectory, number: int, *, for_good: bool) -> Iterator[list[str]]:
    """Stop before the write of that number, from 0; `for_good` lets nothing be written any more, as if killed."""
    writes: list[str] = []

    def stop(kind: str, _dn: str) -> None:
        if kind in {"search", "bind"}:
            return
        writes.append(kind)
        if len(writes) == number + 1 or (for_good and len(writes) > number):
            raise Interrupted

    store._context.directory.observers.append(stop)
    try:
        yield writes
    finally:
        store._context.directory.observers.remove(stop)


OPERATIONS: dict[str, Callable[[IRedMailDirectory], object]] = {
    "create": lambda store: store.lists.create("new@example.com", members=EVERYBODY, moderators=["m@ext.org"]),
    "replace members": lambda store: store.lists.update(
        "team@example.com", members=["crew@example.com", "new@ext.org"], name="Team"
    ),
    "rename": lambda store: store.lists.rename("team@example.com", "all@example.com"),
    "move": lambda store: store.lists.rename("team@example.com", "all@example.org"),
    "delete": lambda store: store.lists.delete("team@example.com"),
    "move alias": lambda store: store.aliases.rename("sales@example.com", "verkauf@example.org"),
    "delete alias": lambda store: store.aliases.delete("sales@example.com"),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.usefixtures("team")
class TestInterruptions:
    def test_what_fails_is_taken_back(self, store: IRedMailDirectory, rig: LdapRig, name: str) -> None:
        prepare(store)
        before = tree(rig)
        count, _ = rehearse(store, rig, name)
        for number in range(count):
            with interrupting(store, number, for_good=False), pytest.raises(Interrupted):
                OPERATIONS[name](store)
            assert tree(rig) == before

    def test_what_is_killed_is_finished_by_doing_it_again(
        self, store: IRedMailDirectory, rig: LdapRig, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepare(store)
        monkeypatch.setattr(locks, "LIFETIME_SECONDS", -1)  # locks of the dead are free at once
        dump = rig.server.dump()
        count, after = rehearse(store, rig, name)
        for number in range(count):
            with interrupting(store, number, for_good=True), pytest.raises(Interrupted):
                OPERATIONS[name](store)
            OPERATIONS[name](store)
            assert tree(rig) == after
            rig.server.load(dump, whole=True)


def prepare(store: IRedMailDirectory) -> None:
    store.lists.update("crew@example.com", owners=["team@example.com"])
    store.accounts.update("bob@example.com", forwarding=["team@example.com", "sales@example.com"])


def rehearse(store: IRedMailDirectory, rig: LdapRig, name: str) -> tuple[int, Mapping[str, Values]]:
    """Return how many writes an operation takes until everything but giving the locks back is done, and the tree then."""
    dump = rig.server.dump()
    with interrupting(store, 1000, for_good=False) as writes:
        OPERATIONS[name](store)
    after = tree(rig)
    rig.server.load(dump, whole=True)
    return len(writes) - (2 if name.startswith("move") else 1), after


def test_object_classes_and_what_they_allow() -> None:
    definitions = [
        b"( 1.2.3 NAME ( 'First' 'Other' ) DESC 'no MAY x here' SUP top STRUCTURAL MUST mail MAY ( cn $ sn ) )",
        b"( 1.2.4 NAME 'Bare' SUP top AUXILIARY )",
        b"( 1.2.5 NAME 'One' MAY description )",
    ]
    schema = Schema.of(Entry(DN("cn=schema"), {"objectClasses": definitions}))
    assert schema.allowed == {
        "first": {"mail", "cn", "sn"},
        "other": {"mail", "cn", "sn"},
        "bare": set(),
        "one": {"description"},
    }

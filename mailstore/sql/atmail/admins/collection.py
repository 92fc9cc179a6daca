"""Admin users: who may administer what. They are never mail accounts, and have login names of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Unpack

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, true, update

from mailstore import passwords, store
from mailstore.address import held_domain
from mailstore.driver.logins import is_right
from mailstore.driver.rights import Operation
from mailstore.driver.secret import Secret, make_secret
from mailstore.driver.values import sought
from mailstore.errors import AlreadyExists, InvalidPassword, InvalidValue, NotFound, NotSupported, PermissionDenied
from mailstore.fields import AdminFields, plain
from mailstore.model import Admin
from mailstore.sql.atmail.accounts.creation import SALT_BYTES
from mailstore.sql.atmail.admins.changes import SUPPORTED, AdminChange, AdminSettings
from mailstore.sql.atmail.admins.rows import AdminRows, held_name, login_name
from mailstore.sql.atmail.admins.tree import Tree, parent_of
from mailstore.sql.atmail.context import Context
from mailstore.sql.atmail.names import NameSpace
from mailstore.sql.atmail.rights import effective_permissions
from mailstore.sql.atmail.schema.permissions import grants
from mailstore.sql.atmail.schema.units import UNLIMITED_ACCOUNTS, local_now
from mailstore.sql.cluster import repeating
from mailstore.sql.engine import Transaction

__all__ = ["AdminRights", "Admins"]

_OWN = frozenset({"name", "language"})
"""What an admin may change of itself, besides its password."""


@dataclass(frozen=True)
class AdminRights:
    """What an admin may do: the permissions given to it directly, its roles, and all permissions that come of both."""

    permissions: tuple[str, ...]
    roles: tuple[str, ...]
    effective: tuple[str, ...]

    def may(self, permission: str) -> bool:
        """Tell whether a permission is granted, by its own name or by one that contains it."""
        return grants(self.effective, permission)


@repeating
class Admins(store.Admins):
    """See `mailstore.store.Admins`."""

    fields = SUPPORTED

    Settings = AdminSettings
    """What `create` and `update` take as `settings`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rows = AdminRows(context)
        self._names = NameSpace(context)
        self._tree = Tree(context)
        self._table = context.table("users")
        self._links = context.table("userDomains")

    def create(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        settings: AdminSettings | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        name, change = login_name(address), AdminChange(self._context, fields, settings)
        hashed = self._secret(password, password_hash)
        if hashed is None:
            raise InvalidPassword(f"{name}: a new admin needs a password, or a ready hash", subject=name)
        with self._context.writing(name, Operation.CREATE_ADMIN) as tx:
            change.lock_domains(tx)
            nodes = self._tree.lock(tx)
            if tx.execute(select(self._table.c.userId).where(self._table.c.username == name)).first():
                raise AlreadyExists(f"{name} is an admin already", subject=name)
            parent = self._parent(tx, nodes, change)
            left, right = self._tree.open_place(tx, nodes, parent)
            row = {
                "username": name, "password": hashed.hash, "leftEdge": left, "rightEdge": right, "quota": 0,
                "createdByUserId": parent, "numUsers": UNLIMITED_ACCOUNTS, "dateCreate": local_now(),
                "language": "en", "cssColorTheme": "darkblue", "welcomeDisplayed": 0, **change.columns,
            }  # fmt: skip
            number = self._context.insert_one(tx, "users", row)
            self._unlink(tx, number)  # numbers are given away again, and other tools may leave the links
            change.write_rights(tx, number, new=True)
            return self._get(tx.connection, name)

    def _parent(self, tx: Transaction, nodes: Mapping[int, Any], change: AdminChange) -> int | None:
        """Return the number of the admin that a new one comes under: who acts, who is named, else the first admin."""
        if change.parent is not None:
            parent = self._lock(tx, held_name(change.parent))["userId"]
            if self._context.actor and parent != self._context.actor.user_id:
                self._require_below(tx.connection, parent)
            return int(parent)
        if self._context.actor:
            return self._context.actor.user_id
        first = min(nodes.values(), key=lambda node: node.left, default=None)
        return None if first is None else int(first.user_id)

    def promote(
        self,
        address: str,
        *,
        password: str | None = None,  # noqa: ARG002
        password_hash: str | None = None,  # noqa: ARG002
        **fields: Unpack[AdminFields],  # noqa: ARG002
    ) -> Admin:
        self._refuse_accounts(address)

    def demote(self, address: str) -> None:
        self._refuse_accounts(address)

    @staticmethod
    def _refuse_accounts(address: str) -> NoReturn:
        raise NotSupported(f"{address}: in atmail accounts are never admins; create an admin user", subject=address)

    def get(self, address: str) -> Admin:
        with self._context.db.reading() as connection:
            return self._get(connection, held_name(address))

    def name_of(self, user_id: int) -> str:
        """Return the login name of the admin with this `userId`. Raises NotFound."""
        query = select(self._table.c.username).where(self._table.c.userId == user_id, self._rows.visible())
        with self._context.db.reading() as connection:
            name = connection.execute(query).scalar()
        if name is None:
            raise NotFound(f"there is no admin number {user_id}", subject=str(user_id))
        return str(name)

    def rights(self, address: str) -> AdminRights:
        """Return what an admin may do. Raises NotFound."""
        direct, names = self._context.table("userPermissions").c, self._context.table("permissions").c
        held, roles = self._context.table("userRoles").c, self._context.table("roles").c
        with self._context.db.reading() as connection:
            number = int(self._get(connection, held_name(address)).settings["userId"])
            effective = effective_permissions(self._context.schema, number)
            own = select(names.permissionName).where(direct.userId == number, names.permissionId == direct.permissionId)
            of_user = select(roles.roleName).where(held.userId == number, roles.roleId == held.roleId)
            found = [tuple(sorted(connection.execute(query).scalars())) for query in (own, of_user, effective)]
        return AdminRights(*found)

    def may(self, address: str, permission: str, *, domain: str | None = None) -> bool:
        """Tell whether an admin may do what a permission names, in a domain if one is given. Raises NotFound."""
        rights, admin = self.rights(address), self.get(address)
        reaches = domain is None or admin.global_admin or held_domain(domain) in admin.domains
        return reaches and rights.may(permission)

    def list(self, *, domain: str | None = None, search: str | None = None, after: str = "") -> Iterator[Admin]:
        for page in self._rows.pages(self._condition(domain, search), sought(after, "after")):
            yield from page

    def count(self, *, domain: str | None = None, search: str | None = None) -> int:
        condition = and_(self._condition(domain, search), self._rows.visible())
        with self._context.db.reading() as connection:
            return connection.execute(select(func.count()).select_from(self._table).where(condition)).scalar_one()

    def exists(self, address: str) -> bool:
        with self._context.db.reading() as connection:
            return self._rows.one(connection, held_name(address)) is not None

    def update(
        self,
        address: str,
        *,
        password: str | None = None,
        password_hash: str | None = None,
        settings: AdminSettings | None = None,
        **fields: Unpack[AdminFields],
    ) -> Admin:
        name, change = held_name(address), AdminChange(self._context, fields, settings)
        if change.parent is not None:
            raise NotSupported("an admin stays where it is in the tree; delete it and create it anew")
        hashed = self._secret(password, password_hash)
        values = change.columns | ({"password": hashed.hash} if hashed else {})
        if "modified" in self._table.c:
            values["modified"] = local_now()
        with self._context.db.writing(name) as tx:
            change.lock_domains(tx)
            number = self._lock(tx, name)["userId"]
            self._require_right_to_change(tx.connection, number, fields, settings)
            tx.execute(update(self._table).where(self._table.c.userId == number).values(values))
            change.write_rights(tx, number, new=False)
            return self._get(tx.connection, name)

    def delete(self, address: str) -> None:
        """Delete an admin user. Those below it, and what it created, go to the admin above it.

        Raises InvalidValue for the first admin while there are others.
        """
        name = held_name(address)
        with self._context.writing(name, Operation.DELETE_ADMIN) as tx:
            nodes = self._tree.lock(tx)
            number = self._lock(tx, name)["userId"]
            if self._context.actor:
                self._require_below(tx.connection, number)
            gone = nodes[number]
            above = parent_of(nodes.values(), gone)
            if above is None and gone.right - gone.left > 1:
                raise InvalidValue(f"{name} is the first admin, and there are others below it", subject=name)
            self._unlink(tx, number)
            tx.execute(delete(self._table).where(self._table.c.userId == number))
            heir = above.user_id if above else None
            self._tree.close_place(tx, gone, heir)
            self._give_away(tx, number, heir)

    def _unlink(self, tx: Transaction, number: int) -> None:
        """Take all domains, permissions and roles from the admin with a number."""
        for links in ("userDomains", "userPermissions", "userRoles"):
            table = self._context.table(links)
            tx.execute(delete(table).where(table.c.userId == number))

    def _give_away(self, tx: Transaction, number: int, heir: int | None) -> None:
        """Let accounts and roles name another creator than an admin that is gone."""
        for name in ("accounts", "roles"):
            table = self._context.table(name)
            if "createdByUserId" in table.c:
                created = table.c.createdByUserId == number
                tx.execute(update(table).where(created).values(createdByUserId=heir))

    def add_to_domain(self, domain: str, admins: Iterable[str]) -> None:
        name, wanted = held_domain(domain), sorted({held_name(admin) for admin in plain(admins)})
        with self._context.writing(name, Operation.SHARE_DOMAIN, name) as tx:
            number = self._names.lock_domain(tx, name)
            users = [self._lock(tx, admin)["userId"] for admin in wanted]
            present = select(self._links.c.userId).where(self._links.c.domainId == number)
            listed = set(tx.execute(present).scalars())
            for user in users:
                self._require_below(tx.connection, user)
            rows = [{"userId": user, "domainId": number} for user in users if user not in listed]
            self._context.insert(tx, "userDomains", rows)

    def remove_from_domain(self, domain: str, admins: Iterable[str] | None = None) -> None:
        name = held_domain(domain)
        with self._context.writing(name, Operation.SHARE_DOMAIN, name) as tx:
            condition = self._links.c.domainId == self._names.lock_domain(tx, name)
            if admins is not None:
                names = [held_name(admin) for admin in plain(admins)]
                users = select(self._table.c.userId).where(self._table.c.username.in_(names))
                condition = and_(condition, self._links.c.userId.in_(users))
            tx.execute(delete(self._links).where(condition))

    def verify_password(self, address: str, password: str) -> bool:
        with self._context.db.reading() as connection:
            return passwords.verify_password(password, self._stored(connection, held_name(address)))

    def password_hash(self, address: str) -> str:
        with self._context.reading(Operation.READ_HASHES) as connection:
            return self._stored(connection, held_name(address))

    def login(self, address: str, password: str) -> Admin | None:
        name, columns = held_name(address), self._table.c
        with self._context.db.reading() as connection:
            admin = self._rows.one(connection, name)
            query = select(columns.username, columns.password)
            hashes = {username: str(stored or "") for username, stored in connection.execute(query).all()}
        stored = [hashes[admin.address]] if admin else None
        right = is_right(password, stored, hashes.values(), self._context.config.password_scheme)
        return admin if right else None

    def _stored(self, connection: Connection, name: str) -> str:
        query = select(self._table.c.password).where(self._table.c.username == name, self._rows.visible())
        stored = connection.execute(query).scalar()
        if stored is None:
            raise _no_such_admin(name)
        return str(stored)

    def _get(self, connection: Connection, name: str) -> Admin:
        found = self._rows.one(connection, name)
        if found is None:
            raise _no_such_admin(name)
        return found

    def _lock(self, tx: Transaction, name: str) -> Mapping[Any, Any]:
        query = select(self._table.c.userId.label("userId")).where(self._table.c.username == name, self._rows.visible())
        row = tx.execute(query.with_for_update()).mappings().first()
        if row is None:
            raise _no_such_admin(name)
        return row

    def _require_below(self, connection: Connection, user_id: int) -> None:
        """Raise PermissionDenied if an admin is not below the acting one in the tree."""
        actor = self._context.actor
        if actor is None:
            return
        query = select(self._table.c.userId).where(self._table.c.userId == user_id, actor.below())
        if connection.execute(query).first() is None:
            raise PermissionDenied(f"{actor.username} may change only admins below it", subject=actor.username)

    def _require_right_to_change(
        self, connection: Connection, user_id: int, fields: Mapping[str, Any], settings: AdminSettings | None
    ) -> None:
        """Raise PermissionDenied if the actor may not change this admin in this way; itself only in little."""
        actor = self._context.actor
        if actor is None or (user_id == actor.user_id and fields.keys() <= _OWN and settings is None):
            return
        actor.require(connection, Operation.CHANGE_ADMIN)
        self._require_below(connection, user_id)

    def _secret(self, password: str | None, password_hash: str | None) -> Secret | None:
        return make_secret(
            self._context.config.password_scheme,
            password,
            password_hash,
            reader=self._context.config.password_reader,
            salt_bytes=SALT_BYTES,
        )

    def _condition(self, domain: str | None, search: str | None) -> ColumnElement[bool]:
        conditions: Any = [true()]
        if domain is not None:
            conditions.append(self._rows.manages(held_domain(domain)))
        if search and sought(search):
            found = self._table.c.username.icontains(search, autoescape=True)
            if "fullname" in self._table.c:
                found |= self._table.c.fullname.icontains(search, autoescape=True)
            conditions.append(found)
        return and_(*conditions)


def _no_such_admin(name: str) -> NotFound:
    return NotFound(f"there is no admin {name}", subject=name)

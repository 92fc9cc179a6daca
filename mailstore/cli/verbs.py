"""What the verbs of all nouns do alike: create, change, rename and delete things of a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any

from mailstore.cli.credentials import Credentials
from mailstore.cli.many import Done, Names, Verb
from mailstore.cli.results import Deleted
from mailstore.cli.session import Caution, Session

if TYPE_CHECKING:
    from mailstore.store import Store

__all__ = ["change", "create", "delete", "deleting", "rename"]

_NO_SECRET = Credentials({})


def create(
    session: Session,
    names: Names,
    collection: Any,
    fields: Mapping[str, Any],
    secret: Credentials = _NO_SECRET,
    **only: Any,
) -> None:
    """Create things; `only` are parameters that mean nothing where ``--if-exists update`` changes what is there."""

    def one(name: str) -> Done:
        own = secret.another()
        stored = collection.create(name, **own.parameters, **only, **fields)
        return Done(f"created {_name(stored)}", "created", stored, own.generated)

    def instead(name: str) -> Done:
        given = {**({} if secret.generated else secret.parameters), **fields}
        stored = collection.update(name, **given) if given else collection.get(name)
        return Done(f"updated {_name(stored)}", "updated", stored)

    names.do(session, Verb(one, collection.exists, instead))


def change(
    session: Session,
    names: Names,
    collection: Any,
    fields: Mapping[str, Any],
    secret: Credentials = _NO_SECRET,
    *,
    done: str = "updated",
    verb: Callable[..., Any] | None = None,
) -> None:
    """Change things with `verb`, the collection's ``update`` if none is given; `done` says it in a word or more."""
    write = verb or collection.update
    together = hasattr(collection, "update_many") and not verb and not secret.parameters

    def told(name: str) -> Done:
        stored = collection.get(name)
        return Done(f"{done} {_name(stored)}", done, stored)

    def many(some: Sequence[str]) -> Sequence[Done]:
        collection.update_many({"address": name, **fields} for name in some)
        return [told(name) for name in some]

    def one(name: str) -> Done:
        own = secret.another()
        stored = write(name, **own.parameters, **fields)
        return Done(f"{done} {_name(stored)}", done, stored, own.generated)

    names.do(session, Verb(one, collection.exists, many=many if together else None, told=told))


def rename(session: Session, names: Names, pairs: Mapping[str, str], collection: Any, **options: Any) -> None:
    """Give things other names."""

    def one(name: str) -> Done:
        stored = collection.rename(name, pairs[name], **options)
        return Done(f"renamed {name} to {_name(stored)}", f"renamed to {_name(stored)}", stored)

    names.do(session, Verb(one, collection.exists))


def delete(
    session: Session, names: Names, what: str, caution: Caution, collection: Callable[[Store], Any], **options: Any
) -> None:
    """Delete things, after asking; `what` stands before the name of a single one in the question."""
    with deleting(session, names, what, caution) as store:

        def one(name: str) -> Done:
            collection(store).delete(name, **options)
            return Done(caution.tell("deleted", name), caution.action("deleted"), Deleted(name, caution.dry_run))

        names.do(session, Verb(one, collection(store).exists))


@contextmanager
def deleting(session: Session, names: Names, what: str, caution: Caution) -> Iterator[Store]:
    """Give the store to delete something in, after asking."""
    with session.carefully(f"Delete {names.counted(what)}?", caution) as store:
        yield store


def _name(record: Any) -> str:
    return str(getattr(record, fields_of(record)[0].name))

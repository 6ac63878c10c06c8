"""The store of contacts on MongoDB: the collection ``contacts``, whose ``_id`` is the user and the tenant.

For users of the operator, and so of versions without tenants, it is only the user, as a string.

Without atomic updates, as with FerretDB, an update writes back the whole document and could undo a concurrent
replacement. So a change does not update: it inserts the next document, whose ``_id`` is the edition of its predecessor,
so that only one change can follow. Each replacement is a new edition, which no earlier change follows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from bson import ObjectId
from bson import encode as to_bson
from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from core.stores.contacts import ContactStore
from core.stores.mongo.database import Database, Document
from core.stores.mongo.idempotent_inserts import insert_once
from core.stores.records import storable
from core.tenants import OPERATOR


class MongoContactStore(ContactStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, user_id: str, addresses: Mapping[str, str], *, tenant: str = OPERATOR) -> None:
        owner = {"tenant": storable(tenant), "user_id": storable(user_id)}
        reached = {channel: storable(address) for channel, address in addresses.items()}
        with self._database.writing() as db:
            contacts = db["contacts"]
            while True:
                try:
                    replacement = {**owner, **_edition(reached)}
                    before = contacts.find_one_and_replace({"_id": _id_of(user_id, tenant)}, replacement, upsert=True)
                    break
                except DuplicateKeyError:  # inserted concurrently: replace it
                    continue
            while before is not None:  # the successors of the replaced document
                before = contacts.find_one_and_delete({"_id": _next_id(before)})

    def change(self, user_id: str, changes: Mapping[str, str | None], *, tenant: str = OPERATOR) -> dict[str, str]:
        first_id, owner = _id_of(user_id, tenant), {"tenant": storable(tenant), "user_id": storable(user_id)}
        with self._database.writing() as db:
            while True:
                current = _current(db["contacts"], first_id)
                before = {} if current is None else _addresses(current)
                merged = {**before, **changes}
                reached = {channel: storable(address) for channel, address in merged.items() if address is not None}
                if reached == before:  # the usual case of a nightly script that sets all contacts
                    return reached
                following = {"_id": first_id, **owner} if current is None else {"_id": _next_id(current)}
                if insert_once(db["contacts"], {**following, **_edition(reached)}):
                    return reached  # else changed concurrently

    def move(self, user_id: str, channel: str, previous: str, new: str, *, tenant: str = OPERATOR) -> bool:
        with self._database.writing() as db:
            while (current := _current(db["contacts"], _id_of(user_id, tenant))) is not None:
                addresses = _addresses(current)
                if addresses.get(channel) != storable(previous):
                    return False
                following = _edition({**addresses, channel: storable(new)})
                if insert_once(db["contacts"], {"_id": _next_id(current), **following}):
                    return True  # else changed concurrently
        return False

    def get(self, user_id: str, *, tenant: str = OPERATOR) -> dict[str, str]:
        with self._database.answering() as db:
            current = _current(db["contacts"], _id_of(user_id, tenant))
        return {} if current is None else _addresses(current)

    def listed(self, *, tenant: str = OPERATOR, after: str | None = None, limit: int) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        last = storable(after or "")
        # Only the first document of a user has these fields; for the operator, earlier versions wrote just `_id`.
        field, owned = ("_id", {}) if tenant == OPERATOR else ("user_id", {"tenant": storable(tenant)})
        with self._database.answering() as db:
            contacts = db["contacts"]
            while len(found) < limit:
                page = contacts.find({**owned, field: {"$gt": last}}).sort(field, ASCENDING).limit(limit - len(found))
                first = {document[field]: document for document in page}
                if not first:
                    break
                last = next(reversed(first))
                for user_id, newest in _all_newest(contacts, first).items():
                    if addresses := _addresses(newest):
                        found[user_id] = dict(sorted(addresses.items()))
        return found

    def tenants_of(self, user_id: str) -> frozenset[str]:
        with self._database.answering() as db:
            contacts = db["contacts"]
            first = {document["tenant"]: document for document in contacts.find({"user_id": storable(user_id)})}
            if (earlier := contacts.find_one({"_id": storable(user_id)})) is not None:
                first[OPERATOR] = earlier  # missing in documents of earlier versions
            return frozenset(tenant for tenant, document in first.items() if _newest(contacts, document)["addresses"])


def _id_of(user_id: str, tenant: str) -> str | dict[str, str]:
    """The ``_id`` of a user's contacts; not a string for tenants, as the operator's user ids are any strings."""
    if tenant == OPERATOR:
        return storable(user_id)
    return {"tenant": storable(tenant), "user_id": storable(user_id)}


def _edition(addresses: Mapping[str, str]) -> Document:
    listed = [{"channel": channel, "address": address} for channel, address in addresses.items()]
    return {"edition": ObjectId(), "addresses": listed}


def _addresses(document: Document) -> dict[str, str]:
    return {found["channel"]: found["address"] for found in document["addresses"]}


def _current(contacts: Collection[Document], first_id: str | dict[str, str]) -> Document | None:
    """The newest document of a user's contacts, after all changes, or None.

    :param first_id: see `_id_of`.
    """
    first = contacts.find_one({"_id": first_id})
    return None if first is None else _newest(contacts, first)


def _newest(contacts: Collection[Document], document: Document) -> Document:
    """The last successor of `document`."""
    while (following := contacts.find_one({"_id": _next_id(document)})) is not None:
        document = following
    return document


def _all_newest(contacts: Collection[Document], documents: Mapping[str, Document]) -> dict[str, Document]:
    """`_newest` of each document, with one query per generation of changes."""
    newest = dict(documents)
    while True:
        following = {_next_id(document): user_id for user_id, document in newest.items()}
        changed = {following[one["_id"]]: one for one in contacts.find({"_id": {"$in": list(following)}})}
        if not changed:
            return newest
        newest |= changed


def _next_id(document: Document) -> ObjectId:
    """The ``_id`` of the successor of `document`: an ObjectId or digest, unlike those of users."""
    edition = document.get("edition")
    if isinstance(edition, ObjectId):
        return edition
    # Earlier versions wrote no edition: use the content instead.
    return ObjectId(hashlib.blake2b(to_bson(document), digest_size=12).digest())

"""The store of contacts on MongoDB: the collection ``contacts``, whose ``_id`` is the user.

Where updates are not atomic, as with FerretDB, one writes back the whole document that it has read, and would undo a
replacement of that moment. So a move updates nothing: it inserts the contacts that come next, whose ``_id`` is the
edition of those before, which is there once. Each replacement is a new edition, which no earlier move follows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from bson import ObjectId
from bson import encode as to_bson
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from core.stores.mongo.database import Database, Document
from core.stores.mongo.inserting import insert_once
from core.stores.records import storable


class MongoContactStore:
    """`core.stores.contacts.ContactStore` over `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, user_id: str, addresses: Mapping[str, str]) -> None:
        """Let the user be reached at `addresses`, by channel, and nowhere else; durable when it returns."""
        user_id = storable(user_id)
        reached = {channel: storable(address) for channel, address in addresses.items()}
        with self._database.writing() as db:
            contacts = db["contacts"]
            while True:
                try:
                    before = contacts.find_one_and_replace({"_id": user_id}, _edition(reached), upsert=True)
                    break
                except DuplicateKeyError:  # another inserted the user at this moment, and is replaced now
                    continue
            while before is not None:  # the moves that followed
                before = contacts.find_one_and_delete({"_id": _next_id(before)})

    def move(self, user_id: str, channel: str, old: str, new: str) -> bool:
        """Let the user be reached over `channel` at `new`, if it is at `old` now; whether it was."""
        with self._database.writing() as db:
            while (current := _current(db["contacts"], storable(user_id))) is not None:
                addresses = _addresses(current)
                if addresses.get(channel) != storable(old):
                    return False
                following = _edition({**addresses, channel: storable(new)})
                if insert_once(db["contacts"], {"_id": _next_id(current), **following}):
                    return True  # else another has moved an address at this moment
        return False

    def get(self, user_id: str) -> dict[str, str]:
        """The addresses of the user by channel; empty when nothing is known of them."""
        with self._database.answering() as db:
            current = _current(db["contacts"], storable(user_id))
        return {} if current is None else _addresses(current)


def _edition(addresses: Mapping[str, str]) -> Document:
    listed = [{"channel": channel, "address": address} for channel, address in addresses.items()]
    return {"edition": ObjectId(), "addresses": listed}


def _addresses(document: Document) -> dict[str, str]:
    return {found["channel"]: found["address"] for found in document["addresses"]}


def _current(contacts: Collection[Document], user_id: str) -> Document | None:
    """The newest contacts of the user, after all moves; None where there are none."""
    found, following = None, contacts.find_one({"_id": user_id})
    while following is not None:
        found, following = following, contacts.find_one({"_id": _next_id(following)})
    return found


def _next_id(document: Document) -> ObjectId:
    """The ``_id`` of the contacts that a move makes of `document`; those of users are strings."""
    edition = document.get("edition")
    if isinstance(edition, ObjectId):
        return edition
    # Earlier versions write none: then what they wrote tells one edition from another.
    return ObjectId(hashlib.blake2b(to_bson(document), digest_size=12).digest())

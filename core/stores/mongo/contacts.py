"""The store of contacts on MongoDB: the collection ``contacts``, whose ``_id`` is the user."""

from __future__ import annotations

from collections.abc import Mapping

from pymongo.errors import DuplicateKeyError

from core.stores.mongo.database import Database
from core.stores.records import storable


class MongoContactStore:
    """`core.stores.contacts.ContactStore` over `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, user_id: str, addresses: Mapping[str, str]) -> None:
        """Let the user be reached at `addresses`, by channel, and nowhere else; durable when it returns."""
        user_id = storable(user_id)
        reached = [{"channel": channel, "address": storable(address)} for channel, address in addresses.items()]
        with self._database.writing() as db:
            while True:
                try:
                    db["contacts"].replace_one({"_id": user_id}, {"addresses": reached}, upsert=True)
                    return
                except DuplicateKeyError:  # another inserted the user at this moment, and is replaced now
                    continue

    def move(self, user_id: str, channel: str, old: str, new: str) -> bool:
        """Let the user be reached over `channel` at `new`, if it is at `old` now; whether it was."""
        user_id = storable(user_id)
        with self._database.answering() as db:
            while True:
                document = db["contacts"].find_one({"_id": user_id})
                before = [] if document is None else document["addresses"]
                at_old = {"channel": channel, "address": storable(old)}
                if at_old not in before:
                    return False
                after = [{**one, "address": storable(new)} if one == at_old else one for one in before]
                # The whole list is compared: where another has replaced it meanwhile, that is looked at.
                updated = db["contacts"].update_one(
                    {"_id": user_id, "addresses": before}, {"$set": {"addresses": after}}
                )
                if updated.matched_count:
                    return True

    def get(self, user_id: str) -> dict[str, str]:
        """The addresses of the user by channel; empty when nothing is known of them."""
        with self._database.answering() as db:
            document = db["contacts"].find_one({"_id": storable(user_id)})
        return {} if document is None else {found["channel"]: found["address"] for found in document["addresses"]}

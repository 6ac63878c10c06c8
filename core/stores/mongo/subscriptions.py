"""The store of subscriptions on MongoDB: the collection ``subscriptions``, whose ``_id`` is the subscription id."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from bson.datetime_ms import DatetimeMS
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from core.stores.mongo.database import Database, Document
from core.stores.mongo.documents import from_document, to_document
from core.stores.notification_records import subscription_from_record, subscription_to_record
from core.stores.records import storable
from core.stores.subscriptions import Subscription, SubscriptionStore


class MongoSubscriptionStore(SubscriptionStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, subscription: Subscription) -> Subscription:
        document = to_document(subscription_to_record(subscription), "id")
        with self._database.writing() as db, suppress(DuplicateKeyError):
            db["subscriptions"].insert_one(document)
        return self._present(subscription.id)

    def get(self, subscription_id: str) -> Subscription | None:
        with self._database.answering() as db:
            document = db["subscriptions"].find_one({"_id": subscription_id})
        return None if document is None else _from_document(document)

    def all(
        self,
        *,
        tenant: str | None = None,
        merchants: Collection[str] | None = None,
        user_id: str | None = None,
        active: bool = False,
        after: tuple[int, str] | None = None,
        limit: int | None = None,
    ) -> list[Subscription]:
        query: Document = {} if user_id is None else {"user_id": storable(user_id)}
        if tenant is not None:
            query["tenant"] = storable(tenant)
        if merchants is not None:
            query["merchant_id"] = {"$in": [storable(merchant_id) for merchant_id in merchants]}
        if active:
            query["ended_at"] = None
        if after is not None:
            created_at = DatetimeMS(after[0])
            query["created_at"] = {"$gte": created_at}
            query["$or"] = [{"created_at": {"$gt": created_at}}, {"_id": {"$gt": after[1]}}]
        order = [("created_at", ASCENDING), ("_id", ASCENDING)]
        with self._database.answering() as db:
            documents = list(db["subscriptions"].find(query).sort(order).limit(limit or 0))
        return [_from_document(document) for document in documents]

    def end(self, subscription_id: str, at_ms: int) -> Subscription:
        # If updates are not atomic, either of two concurrent ends may set the instant; none undoes the other.
        with self._database.writing() as db:
            db["subscriptions"].update_one(
                {"_id": subscription_id, "ended_at": None}, {"$set": {"ended_at": DatetimeMS(at_ms)}}
            )
        return self._present(subscription_id)

    def remove_ended(self, before_ms: int) -> int:
        with self._database.writing() as db:
            return db["subscriptions"].delete_many({"ended_at": {"$lt": DatetimeMS(before_ms)}}).deleted_count

    def _present(self, subscription_id: str) -> Subscription:
        subscription = self.get(subscription_id)
        if subscription is None:
            raise LookupError(f"there is no subscription {subscription_id}")
        return subscription


def _from_document(document: Document) -> Subscription:
    return subscription_from_record(from_document(document, "id"))

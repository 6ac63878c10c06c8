"""The steps after publishing: point the views to the current publication, and drop unused collections."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo.database import Database
from pymongo.errors import OperationFailure

from core.mongo_connection import reason_of
from core.stores.generations import BY_MERCHANT, SUMMARIES, parse_generation_name
from core.stores.mongo.database import Document
from core.stores.mongo.layers import (
    LayerQuery,
    collections_of,
    current_publication,
    layer_queries,
    layers_of,
    newest_two,
)

_log = logging.getLogger(__name__)

_NAMESPACE_NOT_FOUND: Final = 26
_NAMESPACE_EXISTS: Final = 48
_NO_VIEWS: Final = (59, 115, 238)  # CommandNotFound, CommandNotSupported, NotImplemented


def move_view(db: Database[Document]) -> None:
    """Point the views for external readers to the current publication, if the server supports views."""
    try:
        while (document := current_publication(db)) is not None:
            _show(db, layer_queries(layers_of(document)))
            if current_publication(db) == document:
                return
    except OperationFailure as error:
        if error.code not in _NO_VIEWS:
            _log.warning("the view %s still shows an earlier publication: %s", SUMMARIES, reason_of(error))


def show_by_merchant(db: Database[Document]) -> None:
    """Create the view without the overall summaries, over the other view, if the server supports views."""
    try:
        if not db.list_collection_names(filter={"name": BY_MERCHANT}):
            db.command("create", BY_MERCHANT, viewOn=SUMMARIES, pipeline=[{"$match": {"merchant_id": {"$ne": None}}}])
    except OperationFailure as error:
        if error.code not in (*_NO_VIEWS, _NAMESPACE_EXISTS):  # created concurrently
            _log.warning("the view %s could not be created: %s", BY_MERCHANT, reason_of(error))


def _show(db: Database[Document], shown: Sequence[LayerQuery]) -> None:
    *newer, oldest = shown
    pipeline: list[Document] = [{"$match": oldest.query}] if oldest.query else []
    pipeline += [{"$unionWith": {"coll": part.collection, "pipeline": [{"$match": part.query}]}} for part in newer]
    # Check first: without the privilege a server refuses collMod even if the view does not exist.
    commands = ["collMod", "create"] if db.list_collection_names(filter={"name": SUMMARIES}) else ["create", "collMod"]
    try:
        db.command(commands[0], SUMMARIES, viewOn=oldest.collection, pipeline=pipeline)
    except OperationFailure as error:
        if error.code not in (_NAMESPACE_NOT_FOUND, _NAMESPACE_EXISTS):  # created or dropped concurrently
            raise
        db.command(commands[1], SUMMARIES, viewOn=oldest.collection, pipeline=pipeline)


def clear(db: Database[Document]) -> None:
    """Drop unused collections."""
    newest = newest_two(db)
    for name in droppable(newest, list(db.list_collections())):
        db.drop_collection(name)


def droppable(newest: Sequence[Document], listed: Sequence[Mapping[str, Any]]) -> list[str]:
    """The unused collections of generations up to the current one.

    Excludes those of the current and the previous publication, and those of the view, which may not have been moved.
    Collections of later generations are excluded as well, as a run may be about to publish them.

    :param newest: the result of `newest_two`.
    :param listed: the result of the server's ``listCollections``.
    """
    read = collections_of(newest).union(*(_named_by_view(one) for one in listed if one["name"] == SUMMARIES))
    generations = [(one["name"], parse_generation_name(one["name"])) for one in listed]
    return [
        name
        for name, numbers in generations
        if numbers is not None and numbers[0] <= newest[0]["_id"] and name not in read
    ]


def _named_by_view(view: Mapping[str, Any]) -> set[str]:
    options = view.get("options", {})
    united = [stage["$unionWith"] for stage in options.get("pipeline", []) if "$unionWith" in stage]
    return {options.get("viewOn", ""), *(one if isinstance(one, str) else one.get("coll", "") for one in united)}

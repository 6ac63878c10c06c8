"""Which collection of a dump holds the transactions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NoReturn

from core.errors import SourceError

DEFAULT_COLLECTIONS: Final = ("transaction", "transactions")


@dataclass(frozen=True, slots=True, order=True)
class Namespace:
    """A collection of a database."""

    database: str
    collection: str

    def __str__(self) -> str:
        return f"{self.database}.{self.collection}"


VIEW: Final = "view"
TIME_SERIES: Final = "timeseries"


def refuse_without_documents(
    source: str, chosen: Namespace, kind: str, view_on: str | None, others: Iterable[str]
) -> NoReturn:
    """Refuse a collection of a dump that has no documents of it, or not as they are.

    :param kind: its ``type`` in the dump: `VIEW` or `TIME_SERIES`.
    :param view_on: the collection that a view shows, where the dump says so.
    :param others: the collections whose documents the dump has.
    :raises SourceError: always.
    """
    if kind == TIME_SERIES:
        raise SourceError(
            f"{chosen} is a time series, of which {source} has buckets instead of documents; those are not read",
            "Export its documents with mongoexport.",
        )
    shown = [view_on] if view_on is not None else sorted(set(others))
    instead = " or ".join(f"--collection {name}" for name in shown)
    raise SourceError(
        f"{chosen} is a view, of which {source} has no documents: mongodump writes its definition only",
        "Dump it again with mongodump --viewsAsCollections"
        + (f", or read the collection that it shows: {instead}." if instead else "."),
    )


def choose(source: str, available: list[Namespace], wanted: str | None) -> Namespace:
    """The collection of `source` to read.

    :param wanted: a collection's name, with or without its database (``shop.payments``), or None for the defaults.
    :raises SourceError: there is none, or more than one; the message lists what is there.
    """
    if wanted is None:
        found = [name for name in available if name.collection in DEFAULT_COLLECTIONS]
        sought = " or ".join(DEFAULT_COLLECTIONS)
    else:
        found = [name for name in available if wanted in (name.collection, str(name))]
        sought = wanted
    if len(found) == 1:
        return found[0]
    there = ", ".join(str(name) for name in sorted(available)) or "no collection"
    if not found:
        raise SourceError(f"{source} has no collection {sought}: it holds {there}", "Name one with --collection.")
    both = ", ".join(str(name) for name in sorted(found))
    raise SourceError(
        f"{source} has more than one collection {sought}: {both}", "Name one with --collection DATABASE.NAME."
    )

"""Chooses the collection of transactions in a dump or database."""

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
    """Raise for a collection whose documents are not in the dump (a view), or in another form (a time series).

    :param kind: its ``type`` in the dump: `VIEW` or `TIME_SERIES`.
    :param view_on: the collection of a view, if the dump names it.
    :param others: the collections with documents in the dump.
    :raises SourceError: always.
    """
    if kind == TIME_SERIES:
        raise SourceError(
            f"{chosen} is a time series, of which {source} has buckets instead of documents; buckets are not supported",
            "Export its documents with mongoexport.",
        )
    shown = [view_on] if view_on is not None else sorted(set(others))
    instead = " or ".join(f"--collection {name}" for name in shown)
    raise SourceError(
        f"{chosen} is a view, of which {source} has no documents: mongodump writes only its definition",
        "Dump it again with mongodump --viewsAsCollections"
        + (f", or read the collection on which it is defined: {instead}." if instead else "."),
    )


def choose_collection(source: str, available: list[Namespace], wanted: str | None, otherwise: str = "") -> Namespace:
    """Choose the collection of `source` to read.

    :param wanted: its name, with or without its database (``shop.payments``), or None for the default names.
    :param otherwise: a sentence after the hint, about another way to choose.
    :raises SourceError: none matches, or more than one; lists them.
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
        raise SourceError(
            f"{source} has no collection {sought}: it has {there}", f"Name one with --collection.{otherwise}"
        )
    both = ", ".join(str(name) for name in sorted(found))
    raise SourceError(
        f"{source} has more than one collection {sought}: {both}",
        f"Name one with --collection DATABASE.NAME.{otherwise}",
    )

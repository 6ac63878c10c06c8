"""Which collection of a dump holds the transactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.errors import SourceError

DEFAULT_COLLECTIONS: Final = ("transaction", "transactions")


@dataclass(frozen=True, slots=True, order=True)
class Namespace:
    """A collection of a database."""

    database: str
    collection: str

    def __str__(self) -> str:
        return f"{self.database}.{self.collection}"


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

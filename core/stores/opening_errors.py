"""Errors of opening a store, for all backends."""

from __future__ import annotations

from core.errors import StoreMissing, StoreTooNew


def no_store(place: str) -> StoreMissing:
    """The error for readers if there is no store at `place`."""
    return StoreMissing(
        f"there is no store at {place}", "Build one first with: python -m jobs rebuild SOURCE. Or change STORE_URL."
    )


def too_new(place: str, found: int, known: int) -> StoreTooNew:
    """The error for a store at `place` with schema version `found`, later than `known`."""
    return StoreTooNew(
        f"the store at {place} has schema version {found}, but this program knows versions up to {known}",
        "Use the newer version of this program that wrote it. Nothing was changed.",
    )

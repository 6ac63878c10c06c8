"""Errors and their exit codes."""

from __future__ import annotations

import signal

import pytest

from core import errors
from core.errors import Interrupted, ServiceError, SourceDamaged, exit_code_of


def every_error(base: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    return [base] + [error for child in base.__subclasses__() for error in every_error(child)]


def test_the_hierarchy_in_the_docstring_lists_every_error() -> None:
    assert errors.__doc__ is not None
    assert {error.__name__ for error in every_error()} <= set(errors.__doc__.replace("─", " ").split())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.SettingsError("x"), 2),
        (errors.TooManyRejects("x"), 3),
        (errors.SourceDamaged("x", 0, "x"), 1),
        (errors.UnknownFormat("x"), 1),
        (errors.ConservationBroken("x"), 1),
        (errors.TotalTooLarge("x"), 1),
        (errors.RunHeld("x"), 1),
        (errors.StoreTooNew("x"), 1),
        (errors.FingerprintMismatch("x"), 1),
        (errors.PublicationLost("x"), 1),
        (errors.Interrupted(signal.SIGINT, "SIGINT"), 130),
        (errors.Interrupted(signal.SIGTERM, "SIGTERM"), 143),
    ],
)
def test_each_error_has_its_exit_code(error: ServiceError, code: int) -> None:
    assert exit_code_of(error) == code


def test_an_error_has_its_message_and_hint() -> None:
    error = errors.StoreUnavailable("the disk is full", "Make room.")
    assert (error.sentence, error.hint, str(error)) == ("the disk is full", "Make room.", "the disk is full")


def test_a_damaged_source_error_names_file_offset_and_reason() -> None:
    error = SourceDamaged("shop.bson.gz", 4096, "the gzip data is truncated")
    assert error.sentence == "shop.bson.gz is damaged at byte 4096: the gzip data is truncated"
    assert "Nothing was published" in error.hint


def test_an_interruption_error_names_the_signal() -> None:
    assert Interrupted(15, "SIGTERM").sentence == "stopped by SIGTERM, nothing was published"

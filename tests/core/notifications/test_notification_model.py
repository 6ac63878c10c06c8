"""The ids and the status of notifications."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.notifications.events import LogStatus
from core.notifications.model import (
    Notification,
    NotificationStatus,
    derived_id,
    digest_of,
    new_id,
    status_of,
    statuses_with,
)

OPEN = (LogStatus.PENDING, LogStatus.SENDING, LogStatus.RETRYING)


@pytest.mark.parametrize("logs", list(itertools.combinations_with_replacement(LogStatus, 3)), ids=",".join)
def test_the_status_of_a_notification_follows_from_its_deliveries(logs: tuple[LogStatus, ...]) -> None:
    if any(log in OPEN for log in logs):
        wanted = NotificationStatus.PENDING
    elif all(log is LogStatus.SUCCESS for log in logs):
        wanted = NotificationStatus.SENT
    elif all(log in (LogStatus.SUCCESS, LogStatus.PRINTED) for log in logs):
        wanted = NotificationStatus.PRINTED
    elif all(log is LogStatus.CANCELLED for log in logs):
        wanted = NotificationStatus.CANCELLED
    else:
        wanted = NotificationStatus.FAILED
    assert status_of(logs) is wanted


@pytest.mark.parametrize("log", LogStatus)
def test_notification_statuses_are_derived_from_delivery_statuses(log: LogStatus) -> None:
    others = itertools.chain.from_iterable(itertools.combinations(LogStatus, number) for number in range(3))
    assert statuses_with([log]) == {status_of([log, *rest]) for rest in others}
    assert statuses_with([log, LogStatus.DEAD]) == statuses_with([log]) | statuses_with([LogStatus.DEAD])


def test_ids_are_unique_and_have_26_letters_and_digits() -> None:
    ids = {new_id() for _ in range(1000)} | {derived_id("subscription", str(number)) for number in range(1000)}
    assert len(ids) == 2000
    assert all(re.fullmatch("[a-z2-7]{26}", found) for found in ids)


def test_ids_derived_from_the_same_parts_are_stable() -> None:
    assert derived_id("subscription", "s1", "daily", "1403/04/04") == "rojgyaxlzzafed76rg2yzukgve"


@given(st.lists(st.text(st.characters()), max_size=4), st.lists(st.text(st.characters()), max_size=4))
def test_other_parts_give_another_id_and_digest(one: list[str], other: list[str]) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other)
    assert (digest_of(*one) == digest_of(*other)) == (one == other)


def test_splitting_text_differently_gives_another_digest() -> None:
    cuts = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("a\0b", "c"), ("a", "b\0c"), ("1:a", "b"), ("1:a1:b",)]
    assert len({derived_id(*parts) for parts in cuts}) == len({digest_of(*parts) for parts in cuts}) == len(cuts)


def test_text_that_is_not_valid_utf_8_has_a_digest() -> None:
    assert digest_of("\ud800") != digest_of("\ud801")


def test_the_delivery_id_of_a_channel_is_stable() -> None:
    notification = Notification("n1", "u1", "title", "body", ("sms",), "fa", 0)
    assert notification.log_id("sms") == "n1:sms"

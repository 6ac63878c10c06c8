"""``python -m notifier prune``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from announcing_cli import Notifier
from notification_examples import happen, notification

from core.calendar import Mode
from core.notifications.events import EventKind
from core.stores import Stores, wall_clock_ms
from core.stores.subscriptions import Subscription

SEND, DEAD, UNKNOWN, SUCCESS = EventKind.ATTEMPT, EventKind.DEAD, EventKind.UNKNOWN, EventKind.SUCCESS
DAY_MS = 86_400_000
SENT, OPEN, YOUNG, NOBODY_KNOWS = 1, 2, 3, 4


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    made = Notifier(tmp_path)
    now_ms = wall_clock_ms()
    with made.stores() as stores:
        for number, days, kinds in (
            (SENT, 40, (SEND, SUCCESS)),
            (OPEN, 400, ()),
            (YOUNG, 5, (SEND, DEAD)),
            (NOBODY_KNOWS, 40, (SEND, UNKNOWN)),
        ):
            at_ms = now_ms - days * DAY_MS
            stored = replace(notification(number), created_at_ms=at_ms)
            stores.notifications.add(stored, at_ms)
            happen(stores.notifications, stored, *kinds, at_ms=at_ms)
        for name, days in (("long-ago", 40), ("of-late", 5)):
            stores.subscriptions.add(
                Subscription(name, None, "u1", (Mode.DAILY,), ("sms",), "fa", now_ms - 50 * DAY_MS)
            )
            stores.subscriptions.end(name, now_ms - days * DAY_MS)
        stores.subscriptions.add(Subscription("in-force", None, "u2", (Mode.DAILY,), ("sms",), "fa", 0))
    return made


def _left(stores: Stores) -> tuple[set[int], set[str]]:
    there = (SENT, OPEN, YOUNG, NOBODY_KNOWS)
    return (
        {number for number in there if stores.notifications.get(notification(number).id) is not None},
        {found.id for found in stores.subscriptions.all()},
    )


def test_prune_removes_only_old_finished_notifications(notifier: Notifier) -> None:
    result = notifier("prune", "--older-than", "30")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Removed 1 notification and 1 subscription that ended before ")
    with notifier.stores() as stores:
        assert _left(stores) == ({OPEN, YOUNG, NOBODY_KNOWS}, {"of-late", "in-force"})
    again = notifier("prune", "--older-than", "30", "--json").json
    assert (again["notifications"], again["subscriptions"], again["dry_run"]) == (0, 0, False)


def test_a_dry_run_of_prune_removes_nothing(notifier: Notifier) -> None:
    result = notifier("prune", "--older-than", "30", "--dry-run", "--json").json
    assert (result["notifications"], result["subscriptions"], result["dry_run"]) == (1, 1, True)
    assert notifier("prune", "--older-than", "30", "--dry-run").out.startswith("Would remove 1 notification and 1 sub")
    with notifier.stores() as stores:
        assert _left(stores) == ({SENT, OPEN, YOUNG, NOBODY_KNOWS}, {"long-ago", "of-late", "in-force"})


def test_prune_removes_notifications_with_unknown_outcome_on_request(notifier: Notifier) -> None:
    assert notifier("prune", "--older-than", "30", "--unknown", "--json").json["notifications"] == 2
    with notifier.stores() as stores:
        assert _left(stores)[0] == {OPEN, YOUNG}


@pytest.mark.parametrize(
    ("days", "not_after_s", "least"),
    [("14", "172800", 15), ("15", "172800", None), ("15", "1209600", None), ("30", "2592000", 31)],
)
def test_prune_refuses_an_age_within_the_idempotency_period(
    notifier: Notifier, days: str, not_after_s: str, least: int | None
) -> None:
    result = notifier("prune", "--older-than", days, "--dry-run", NOTIFY_NOT_AFTER_S=not_after_s)
    if least is None:
        assert result.code == 0
    else:
        assert result.failure(2) == f"Error: --older-than must be at least {least} days."


def test_prune_removes_more_than_one_batch(notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.commands.prune._BATCH", 2)
    at_ms = wall_clock_ms() - 40 * DAY_MS
    with notifier.stores() as stores:
        for number in range(10, 15):
            stored = replace(notification(number), created_at_ms=at_ms + number)
            stores.notifications.add(stored, at_ms)
            happen(stores.notifications, stored, SEND, SUCCESS, at_ms=at_ms)
    assert notifier("prune", "--older-than", "30", "--dry-run", "--json").json["notifications"] == 6
    assert notifier("prune", "--older-than", "30", "--json").json["notifications"] == 6

"""A worker reopens its stores after an outage, and not after a busy store."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import ServiceError, StoreBusy, StoreMissing, StoreTooNew, StoreUnavailable
from notifier import tasks


class _Failing:
    """Services whose deliveries end with `error`."""

    def __init__(self, error: ServiceError) -> None:
        self.error = error
        self.closed = False
        self.delivery = self.clock = self

    def require(self) -> None:
        pass

    def deliver(self, notification_id: str, redeliveries: object) -> None:
        raise self.error

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("error", "closed"),
    [(StoreUnavailable, True), (StoreMissing, True), (StoreBusy, False), (StoreTooNew, False)],
)
def test_stores_are_reopened_after_an_outage(
    monkeypatch: pytest.MonkeyPatch, error: type[ServiceError], closed: bool
) -> None:
    services: Any = _Failing(error("it fails"))
    made = [services]
    monkeypatch.setattr(tasks, "_made", made)
    tasks.send_notification_task("a" * 26)
    assert (services.closed, made == []) == (closed, closed)

"""A worker with the sender print: its warnings, and commands with other settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from announcing_cli import Notifier
from notifier_services import NotifierServices, notifier_services

from core.notifications.broker import JOBS, make_celery
from core.notifications.events import EventKind, LogStatus
from core.notifications.model import NotificationStatus
from core.settings import Settings
from notifier.worker_settings import answer

PASSWORD = "secret-word"
VARIABLES = {
    "NOTIFY_SENDERS": "sms=print,email=smtp",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_SECURITY": "none",
    "SMTP_USER": "shop",
    "SMTP_PASSWORD": PASSWORD,
    "SMTP_FROM": "shop@example.com",
}


@dataclass
class Running:
    """The worker, and commands on the same store and queue."""

    notifier_services: NotifierServices
    notifier: Notifier
    log: Path

    def command(self, *arguments: str, **variables: str) -> str:
        """The output of a command with the worker's variables, replaced by `variables`."""
        result = self.notifier(*arguments, **{**VARIABLES, **variables})
        assert result.code == 0, result
        return result.out + result.err


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("printing")
    with notifier_services(folder, missing) as made:
        worker = made.run_worker(1, **VARIABLES)
        notifier = Notifier(folder, CELERY_BROKER_URL=made.redis.url(0), STORE_URL=made.environment["STORE_URL"])
        notifier.settings["NOTIFY_SEND_TIMEOUT_S"] = made.environment["NOTIFY_SEND_TIMEOUT_S"]
        made.wait_for_workers()
        yield Running(made, notifier, worker.log)


def test_a_worker_warns_at_start_up_about_print_senders(running: Running) -> None:
    lines = [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]
    [warning] = [line for line in lines if line["event"] == "print-senders"]
    assert (warning["level"], warning["channels"]) == ("warning", "sms")


def test_a_printed_message_never_counts_as_delivered(running: Running) -> None:
    one = running.notifier_services.add("sms")
    [log] = running.notifier_services.ended(one)
    assert log.state.status is LogStatus.PRINTED
    assert [(event.kind, event.sender) for event in log.events] == [
        (EventKind.ATTEMPT, "print"),
        (EventKind.PRINTED, None),
    ]
    assert running.notifier_services.stored(one).status is NotificationStatus.PRINTED
    assert "attempt, by print" in running.command("status", one)


def test_equal_settings_of_command_and_worker_give_no_warning(running: Running) -> None:
    result = json.loads(running.command("status", "--json"))
    assert [worker["differing_settings"] for worker in result["workers"]] == [[]]
    assert "other settings" not in running.command("status")
    assert "other settings" not in running.command("senders", "test", "sms", "09121234567")


def test_status_shows_worker_senders_and_differing_settings(running: Running) -> None:
    changed = {"NOTIFY_SENDERS": "sms=print,email=print,telegram=print", "SMTP_PASSWORD": "another"}
    result = json.loads(running.command("status", "--json", **changed))
    assert {found["channel"]: found["sender"] for found in result["channels"]} == {"sms": "print", "email": "smtp"}
    assert [worker["differing_settings"] for worker in result["workers"]] == [["NOTIFY_SENDERS", "SMTP_PASSWORD"]]
    assert "(NOTIFY_SENDERS, SMTP_PASSWORD): it sends sms with print, email with smtp" in running.command(
        "status", **changed
    )


def test_a_test_message_warns_if_the_worker_has_other_settings(
    running: Running,
) -> None:
    result = running.command("senders", "test", "email", "a@b.example", NOTIFY_SENDERS="email=print")
    assert "has other settings than this command (NOTIFY_SENDERS)" in result
    assert "Printed; not sent to anyone." in result


def test_a_worker_reports_only_the_names_of_its_senders() -> None:
    settings = Settings(smtp_password=PASSWORD, smtp_host="mail.example")
    found = answer(make_celery(settings), settings, "salt")
    assert found["senders"] == settings.senders
    assert not [text for text in (PASSWORD, "mail.example") if text in str(found)]
    assert found["digests"] != answer(make_celery(settings), settings, "pepper")["digests"]


def test_a_refresh_only_worker_reports_no_senders() -> None:
    app = make_celery(Settings())
    app.amqp.queues.select([JOBS])
    assert answer(app, Settings(), "salt") == {}

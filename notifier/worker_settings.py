"""Compares the settings of the workers with those of this process, which may have another environment.

A command sends a request to all workers of the queue, over Redis; each responds with the names of its senders and a
digest of each of their settings. No value leaves a process, and each request has its own salt.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from celery import Celery
from pydantic import SecretStr

from core.notifications.broker import DELIVERIES
from core.settings import Settings
from core.settings.notifier import NotifierSettings

COMMAND: Final = "sender_settings"
_ANSWER_S: Final = 3.0
_OF_SENDERS: Final = ("notify_senders", "notify_send_timeout_s", "smtp_", "kavenegar_", "telegram_", "webhook_")
_NAMES: Final = tuple(name for name in NotifierSettings.model_fields if name.startswith(_OF_SENDERS))
_SCRYPT: Final = {"n": 2**12, "r": 8, "p": 1, "dklen": 16}  # some 10 ms: a secret cannot be guessed from its digest


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings of a worker.

    :param worker: its name, such as ``celery@host``.
    :param senders: the sender of each of its channels, as in its ``NOTIFY_SENDERS``.
    :param differing: the variables of senders that differ from this process, in the order of the settings.
    """

    worker: str
    senders: Mapping[str, str]
    differing: tuple[str, ...]


def answer(app: Celery, settings: Settings, salt: str) -> dict[str, Any]:
    """The response of a worker; empty if it does not consume deliveries."""
    if DELIVERIES not in app.amqp.queues.consume_from:
        return {}
    return {"senders": settings.senders, "digests": _digests(settings, salt)}


def ask(app: Celery, settings: Settings) -> list[WorkerSettings]:
    """The settings of the workers that consume deliveries, by name; without those that do not respond within seconds.

    :raises Exception: any error of the broker's driver.
    """
    salt = secrets.token_hex(16)
    with app.connection_or_acquire() as connection:
        # The number of queues bound to the exchange: one of each worker, and perhaps of workers that were killed.
        workers = len(connection.default_channel.get_table(app.control.mailbox.exchange.name))
        if not workers:
            return []
        responses = app.control.broadcast(
            COMMAND, arguments={"salt": salt}, connection=connection, reply=True, timeout=_ANSWER_S, limit=workers
        )
    here = _digests(settings, salt)
    found = {worker: response for one in responses for worker, response in one.items() if response.get("digests")}
    return [
        WorkerSettings(worker, response["senders"], tuple(_differing(here, response["digests"])))
        for worker, response in sorted(found.items())
    ]


def differences(workers: Sequence[WorkerSettings]) -> list[str]:
    """A sentence for each worker whose settings are others than here; one when no worker has answered."""
    if not workers:
        return ["no worker has answered, so it is unknown whether workers have the same settings as this command"]
    return [
        f"{found.worker} has other settings than this command ({', '.join(found.differing)}): it sends "
        f"{_pairs(found.senders)}"
        for found in workers
        if found.differing
    ]


def _differing(here: Mapping[str, str], there: Mapping[str, str]) -> Iterable[str]:
    return (name.upper() for name in here if not hmac.compare_digest(here[name], there.get(name, "")))


def _digests(settings: Settings, salt: str) -> dict[str, str]:
    return {name: _digest(getattr(settings, name), f"{salt}:{name}".encode()) for name in _NAMES}


def _digest(value: object, salt: bytes) -> str:
    if isinstance(value, SecretStr):
        return hashlib.scrypt(value.get_secret_value().encode("utf-8", "surrogatepass"), salt=salt, **_SCRYPT).hex()
    return hashlib.blake2b(salt + repr(value).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _pairs(senders: Mapping[str, str]) -> str:
    return ", ".join(f"{channel} with {name}" for channel, name in senders.items())

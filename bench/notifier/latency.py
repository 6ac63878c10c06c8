"""Measures the time from the request to the gateway at low load."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.notifier.broker import Broker
from bench.notifier.messages import add_users, payloads
from bench.notifier.posting import PATH, post, posted_to
from bench.notifier.senders import now_us
from bench.notifier.workers import Worker, running_worker, store_variables
from bench.running import BenchFailed, say
from core.notifications.events import LogStatus
from core.notifications.model import NotificationStatus
from core.stores import Stores, open_stores

RATE_PER_S: Final = 5
_WARM_UP_S: Final = 1
_STORE_TIMEOUT_S: Final = 30
_TIMEOUT_S: Final = 60
_ALL_SENT: Final = {LogStatus.SUCCESS}


@dataclass(frozen=True, slots=True)
class Waits:
    """What happened to the messages of one round, a value each, in milliseconds since the client began to post.

    :param answered_ms: until it had the answer.
    :param sent_ms: until the gateway had the message.
    """

    answered_ms: list[float]
    sent_ms: list[float]


def measure_latency(broker: Broker, database: int, scratch: Path, rounds: int, seconds: float) -> list[Waits]:
    """Post `RATE_PER_S` times a second for so long, with a worker at the queue; once a round.

    :param database: of Redis, from which on two are used.
    :param scratch: a folder on the disk to measure on.
    :raises BenchFailed: an answer was not 201, or a message was not sent.
    """
    variables = broker.variables(database) | store_variables(scratch / "latency.db")
    found = []
    with (
        posted_to("latency", broker.url(database), scratch) as server,
        running_worker("core", "latency", variables, scratch) as worker,
        open_stores(variables["STORE_URL"], timeout_s=_STORE_TIMEOUT_S) as stores,
    ):
        add_users(stores)
        post(server, _WARM_UP_S, scratch)  # over many connections, so that each process of the server has its share
        worker.wait_until(lambda: {one.status for one in stores.notifications.counts()} == _ALL_SENT, _TIMEOUT_S)
        documents = payloads()
        for number in range(1, rounds + 1):
            found.append(_round(server.url, worker, stores, islice(documents, max(1, round(RATE_PER_S * seconds)))))
            say(f"round {number} of {rounds}: sent after {max(found[-1].sent_ms):.1f} ms at most")
    return found


def _round(url: str, worker: Worker, stores: Stores, documents: Iterator[Mapping[str, object]]) -> Waits:
    posted = _posted(url, documents)
    worker.wait_until(lambda: all(_ended(stores, one.notification_id) for one in posted), _TIMEOUT_S)
    sent_us = (_sent_us(stores, one.notification_id) for one in posted)
    return Waits(
        [(one.answered_us - one.began_us) / 1e3 for one in posted],
        [(at_us - one.began_us) / 1e3 for one, at_us in zip(posted, sent_us, strict=True)],
    )


@dataclass(frozen=True, slots=True)
class _Posted:
    notification_id: str
    began_us: int
    answered_us: int


def _posted(url: str, documents: Iterator[Mapping[str, object]]) -> Sequence[_Posted]:
    """Post each document at its instant, over one connection; an answer later than the next instant puts that off."""
    posted = []
    address = urlsplit(url)
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT_S)) as connection:
        connection.connect()
        due = time.monotonic()
        for document in documents:
            body = json.dumps(document, ensure_ascii=False).encode()
            time.sleep(max(0.0, due - time.monotonic()))
            due += 1 / RATE_PER_S
            began_us = now_us()
            connection.request("POST", PATH, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            answered_us = now_us()
            if response.status != 201:
                raise BenchFailed(f"{url}{PATH} was answered with {response.status}: {answer[:300]!r}")
            posted.append(_Posted(json.loads(answer)["id"], began_us, answered_us))
    return posted


def _ended(stores: Stores, notification_id: str) -> bool:
    stored = stores.notifications.get(notification_id)
    return stored is not None and stored.status is not NotificationStatus.PENDING


def _sent_us(stores: Stores, notification_id: str) -> int:
    """When the gateway had it, by the reference that it gave."""
    stored = stores.notifications.get(notification_id)
    if stored is None or stored.status is not NotificationStatus.SENT:
        raise BenchFailed(f"notification {notification_id} was not sent")
    return int(stored.logs[0].state.reference or 0)

"""The current snapshot of this process, and how the next one replaces it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from api.http.etag import CacheableResponse
from api.problems import Problem
from api.store_access import StoreAccess
from api.summaries.cache import Snapshot, SnapshotOutdated, State, Wanted
from api.threads import Batches, ThreadPool, forget_failure
from core.errors import StoreError
from core.stores import Stores

_MADE_AT_ONCE: Final = 8
_PAUSE_S: Final = 0.001  # after responses were made in advance, so that requests are not delayed

Work = Coroutine[Any, Any, None]
Outcomes = Sequence[CacheableResponse | Problem | None]

_tasks: set[asyncio.Task[None]] = set()


async def in_background(work: Work) -> None:
    """Start `work`, and do not wait for it."""
    task = asyncio.create_task(work)
    _tasks.add(task)  # the event loop has weak references to tasks only
    task.add_done_callback(_tasks.discard)


class CurrentPublication:
    """The snapshot from which requests are answered; it is used on the event loop only.

    The store is read again after half of `freshness_s`, while requests use the known snapshot. A snapshot that was not
    confirmed for `freshness_s` is not used, unless the store was asked in time and has not answered yet: so a slow
    store does not delay cached responses. While the store fails or does not answer, the snapshot is used for
    `stale_if_error_s` longer. After a new publication the most used responses are made before its snapshot
    becomes current, or every request would find an empty cache at once. A request that needs the store in the meantime
    makes the new snapshot current for all requests.

    :param pool: its threads read the state of the publication; those of `reading` make responses.
    :param cache_bytes: the size of the cache of responses of each snapshot, of which there are two for a while after a
        new publication.
    :param monotonic: seconds, never going back.
    :param spawn: runs work in the background.
    """

    def __init__(
        self,
        access: StoreAccess,
        pool: ThreadPool,
        reading: ThreadPool,
        *,
        freshness_s: float,
        stale_if_error_s: float = 0.0,
        cache_bytes: int,
        monotonic: Callable[[], float],
        spawn: Callable[[Work], Coroutine[Any, Any, None]] = in_background,
    ) -> None:
        self.freshness_s = freshness_s
        self._stale_if_error_s = stale_if_error_s
        self._access = access
        self._pool = pool
        self._reading = reading
        self._cache_bytes = cache_bytes
        self._monotonic = monotonic
        self._spawn = spawn
        self._snapshot: Snapshot | None = None
        self._successor: Snapshot | None = None
        self._confirmed_at = self._ask_at = self._asked_at = self._succeed_by = float("-inf")
        self._pending: asyncio.Task[None] | None = None
        self._begun = self._done = 0
        # One thread reads for several requests at once; several threads read at the same time.
        self._making: Batches[tuple[Snapshot, Wanted], CacheableResponse | None] = Batches(
            self._make_batch,
            _group_of,
            largest=_MADE_AT_ONCE if reading.threads == 1 else 1,
            at_once=reading.threads + 1,  # so that no thread waits for the event loop
            most=reading.most,
        )

    async def snapshot(self, *, stale_if_error: bool = True) -> Snapshot | None:
        """The snapshot of at most `freshness_s` ago, or None if nothing is published.

        :param stale_if_error: whether it may be up to `stale_if_error_s` older, if the store does not answer.
        :raises StoreError: the store does not answer.
        :raises Problem: overloaded.
        """
        now = self._monotonic()
        self._succeed_in_time(now)
        usable_until = self._confirmed_at + self.freshness_s + self._stale_if_error_s
        may_be_stale = stale_if_error and self._snapshot is not None and now < usable_until
        try:
            self._access.refuse_while_down()
            if now >= self._ask_at:
                await self._confirm(now, may_be_stale)
        except (StoreError, Problem):
            if not may_be_stale:
                raise
        return self._snapshot

    async def read_again(self) -> Snapshot | None:
        """The snapshot as of now, read from the store.

        :raises StoreError: the store does not answer.
        """
        await self._wait_for(self._begun + 1)  # a read that began before may be outdated
        if self._successor is not None:
            self._make_current(self._successor)
        return self._snapshot

    async def response(self, snapshot: Snapshot, wanted: Wanted) -> CacheableResponse | None:
        """The response to `wanted`, made from the store and cached; None if `snapshot` is no longer current.

        :raises StoreError: the store does not answer.
        :raises Problem: overloaded, or that of `wanted`.
        """
        return await self._making.get((snapshot, wanted))

    async def _make_batch(self, batch: Sequence[tuple[Snapshot, Wanted]]) -> Outcomes:
        if self._pending is not None and self._monotonic() >= self._confirmed_at + self.freshness_s:
            await self._wait_for(self._begun)  # which may be opening the store again
        snapshot, some = batch[0][0], [wanted for _, wanted in batch]
        made: Outcomes = await self._reading.run(self._access.call, partial(_make_each, snapshot, some))
        for wanted, response in zip(some, made, strict=True):
            if isinstance(response, CacheableResponse):
                snapshot.keep(wanted, response)
        return made

    async def poll(self) -> None:
        """Confirm the snapshot also while there are no requests; never returns."""
        while True:
            await asyncio.sleep(max(self.freshness_s / 4, 0.05))
            if self._pending is None and self._monotonic() >= self._ask_at:
                with suppress(StoreError):
                    self._access.refuse_while_down()
                    self._ask()

    async def _confirm(self, now: float, may_be_stale: bool) -> None:
        """Ask the store, and wait for it if it was not asked before the snapshot became outdated."""
        if self._pending is None:
            self._ask()
        valid_until = self._confirmed_at + self.freshness_s
        if now < valid_until or self._asked_at < valid_until:
            return
        waiting = self._wait_for(self._begun if now < self._asked_at + self.freshness_s else self._begun + 1)
        if not may_be_stale:
            await waiting
            return
        task = asyncio.create_task(waiting)
        task.add_done_callback(forget_failure)
        if await self._access.answered(task):
            task.result()
        else:
            task.cancel()

    async def _wait_for(self, number: int) -> None:
        while self._done < number:
            await asyncio.shield(self._pending or self._ask())

    def _ask(self) -> asyncio.Task[None]:
        self._begun, self._asked_at = self._begun + 1, self._monotonic()
        self._pending = asyncio.create_task(self._ask_store(self._begun, self._asked_at))
        self._pending.add_done_callback(forget_failure)
        return self._pending

    async def _ask_store(self, number: int, asked_at: float) -> None:
        work = None
        try:
            state = await self._pool.run(self._access.call, State.read)
            if self._successor is not None and self._successor.state == state:
                self._make_current(self._successor)  # it has waited long enough for its responses
            elif self._snapshot is None or self._snapshot.state != state:
                work = self._succeed(state)
            self._confirmed_at, self._ask_at = asked_at, self._monotonic() + self.freshness_s / 2
        finally:
            self._done, self._pending = number, None
        if work is not None:
            await self._spawn(work)

    def _succeed(self, state: State | None) -> Work | None:
        current, now, until = self._snapshot, self._monotonic(), self._confirmed_at + self.freshness_s
        following = None if state is None else Snapshot(state, self._cache_bytes)
        favourites = current.favourites() if current is not None and following is not None else []
        if following is None or not favourites:
            self._make_current(following)
            return None
        if now >= until or self._successor is not None:  # no time to make responses first
            self._make_current(following)
            until = now + self.freshness_s / 2
        else:
            self._successor, self._succeed_by = following, until
        return self._make(following, favourites, until)

    async def _make(self, snapshot: Snapshot, favourites: list[Wanted], until: float) -> None:
        """Make the `favourites` from `snapshot` until the time is over, then make it current."""
        waiting = deque((snapshot, wanted) for wanted in favourites)
        try:
            while waiting and self._monotonic() < until:
                batch = [making for making in self._making.next_batch(waiting) if not snapshot.has(making[1])]
                try:
                    if batch and None in await self._make_batch(batch):
                        return
                except StoreError:  # which requests report
                    return
                except Problem:  # likewise, such as an unknown merchant
                    pass
                await asyncio.sleep(_PAUSE_S)
        finally:
            if self._successor is snapshot:  # else it is current already, or a newer one is
                self._make_current(snapshot)

    def _succeed_in_time(self, now: float) -> None:
        if self._successor is not None and now >= self._succeed_by:
            self._make_current(self._successor)

    def _make_current(self, snapshot: Snapshot | None) -> None:
        self._snapshot, self._successor = snapshot, None


def _group_of(making: tuple[Snapshot, Wanted]) -> object:
    snapshot, wanted = making
    return (snapshot, wanted.resource) if wanted.resource.is_batched(wanted.query) else None


def _make_each(snapshot: Snapshot, some: list[Wanted], stores: Stores) -> Outcomes:
    """The responses to `some`, encoded; None if `snapshot` is no longer current."""
    try:
        made = some[0].resource.make_each(stores, snapshot, [wanted.query for wanted in some])
    except SnapshotOutdated:
        return [None] * len(some)
    return [
        response if isinstance(response, Problem) else response.encoded(wanted.preference)
        for wanted, response in zip(some, made, strict=True)
    ]

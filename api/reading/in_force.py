"""Which published state is in force in this process, and how the next one takes its place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Final, TypeVar

from api.problems import Problem
from api.reading.published import Maker, Published
from api.reading.store_access import StoreAccess
from core.errors import StoreError
from core.stores import Stores
from core.stores.summaries import Publication

T = TypeVar("T")

_PAUSE_S: Final = 0.001  # between two answers made beforehand, so that requests are not held up

Work = Callable[[], object]


def in_background(work: Work) -> None:
    """Do `work` in a thread of its own."""
    threading.Thread(target=work, name="beside-requests", daemon=True).start()


class InForce:
    """The published state that requests are answered from. Threads share it.

    It is never older than `freshness_s`: the store is asked in half of that time, and a state that was not confirmed
    for longer is not used. The other half is for the answers most asked for, which are made from a new publication
    before it is put in force: else every request would meet an empty cache at the same moment. Whoever needs the store
    meanwhile puts the new state in force for all, and nobody goes back to the old one.

    :param cache_bytes: how many bytes of answers each published state may keep; while one follows another there are
        two of them.
    :param monotonic: seconds, never going back.
    :param spawn: runs work beside the requests.
    """

    def __init__(
        self,
        access: StoreAccess,
        *,
        freshness_s: float,
        cache_bytes: int,
        monotonic: Callable[[], float],
        spawn: Callable[[Work], None] = in_background,
    ) -> None:
        self.freshness_s = freshness_s
        self._access = access
        self._cache_bytes = cache_bytes
        self._monotonic = monotonic
        self._spawn = spawn
        self._published: Published | None = None
        self._successor: Published | None = None
        self._confirmed_at = self._look_at = float("-inf")
        self._looking = threading.Lock()

    def published(self) -> Published | None:
        """What is published as of at most `freshness_s` ago, or None when nothing is.

        :raises StoreError: the store does not answer.
        """
        self._access.refuse_while_down()
        now = self._monotonic()
        if now < self._look_at:
            return self._published
        overdue = now >= self._confirmed_at + self.freshness_s
        if not self._looking.acquire(blocking=overdue):
            return self._published  # another thread is asking
        try:
            work = self._ask() if self._monotonic() >= self._look_at else None
        finally:
            self._looking.release()
        self._begin(work)
        return self._published

    def look(self) -> Published | None:
        """What is published now.

        :raises StoreError: the store does not answer.
        """
        with self._looking:  # in turns, so that nobody goes back to what was published before
            work = self._ask()
            if self._successor is not None:
                self._put_in_force(self._successor)
        self._begin(work)
        return self._published

    def read(self, published: Published, read: Callable[[Stores, Published], T]) -> T | None:
        """What `read` finds while `published` is in force, or None when something else is by the end of it.

        :raises StoreError: the store does not answer.
        """

        def and_look(stores: Stores) -> tuple[T, Publication | None]:
            return read(stores, published), stores.summaries.published()

        found, publication = self._access.call(and_look)
        return found if publication == published.publication else None

    def _ask(self) -> Work | None:
        """Ask the store, while looking; what is to be done beside the requests then."""
        began = self._monotonic()
        publication = self._access.call(lambda stores: stores.summaries.published())
        work = None
        if self._successor is not None and self._successor.publication == publication:
            self._put_in_force(self._successor)  # it had its time, whatever became of the making
        elif self._published is None or self._published.publication != publication:
            work = self._succeed(publication)
        # Last: until then no other thread takes the state for confirmed.
        self._confirmed_at, self._look_at = began, self._monotonic() + self.freshness_s / 2
        return work

    def _succeed(self, publication: Publication | None) -> Work | None:
        old, now, until = self._published, self._monotonic(), self._confirmed_at + self.freshness_s
        following = None if publication is None else Published(publication, self._cache_bytes)
        favourites = old.favourites() if old is not None and following is not None else []
        if following is None or not favourites:
            self._put_in_force(following)
            return None
        if now >= until or self._successor is not None:  # too late, or too fast, to wait for the making
            self._put_in_force(following)
            until = now + self.freshness_s / 2
        else:
            self._successor = following
        return lambda: self._make(following, favourites, until)

    def _begin(self, work: Work | None) -> None:
        if work is None:
            return
        try:
            self._spawn(work)
        except RuntimeError:  # no thread can be had: then all is made when it is asked for
            self._put_successor_in_force(self._successor)

    def _make(self, state: Published, favourites: list[tuple[Hashable, Maker]], until: float) -> None:
        """Make the `favourites` from `state`, as far as time allows, and put it in force."""
        try:
            with suppress(StoreError):  # of which requests are told
                for query, make in favourites:
                    if self._monotonic() >= until or not self._make_one(state, query, make):
                        break
                    time.sleep(_PAUSE_S)
        finally:
            self._put_successor_in_force(state)

    def _make_one(self, state: Published, query: Hashable, make: Maker) -> bool:
        """Whether `state` is still the one published."""
        if state.has(query):
            return True
        try:
            answer = self.read(state, make)
        except Problem:
            return True  # such as a merchant that is no longer there
        if answer is None:
            return False
        state.keep(query, answer, make)
        return True

    def _put_successor_in_force(self, state: Published | None) -> None:
        with self._looking:
            if state is not None and self._successor is state:  # else somebody needed it before, or a newer is there
                self._put_in_force(state)

    def _put_in_force(self, state: Published | None) -> None:
        self._published, self._successor = state, None

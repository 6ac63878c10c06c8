"""Conformance tests of merchant name stores, on every backend."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import pytest
from examples import frame, publication, row
from prepared_store import open_prepared

from core.calendar.periods import Locale
from core.stores import Stores, open_stores

Names = Mapping[str, Mapping[Locale, str]]

NAMES: Names = {
    "42": {"fa": "چای‌خانهٔ یاس", "en": "Yas Tea House"},
    "65a0f0a0a0a0a0a0a0a0a0a0": {"en": "Corner Shop"},
    "کافه": {"fa": "کافهٔ ۲۴"},
}


@pytest.fixture
def stores(store_url: str) -> Iterator[Stores]:
    with open_prepared(store_url, timeout_s=10) as opened:
        yield opened


def test_a_new_store_has_no_merchant_names(stores: Stores) -> None:
    names = stores.merchant_names.read()
    assert (names.version, names.by_merchant) == ("", {})
    assert stores.merchant_names.version() == ""


def test_names_are_read_back_exactly_after_reopening(stores: Stores, store_url: str) -> None:
    assert stores.merchant_names.replace(NAMES, after="", now_ms=1_719_540_000_000)
    with open_stores(store_url, timeout_s=10, create=False) as others:
        assert others.merchant_names.read().by_merchant == NAMES
        assert others.merchant_names.read().version == others.merchant_names.version() != ""


def test_replacing_removes_all_previous_names_and_changes_the_version(stores: Stores) -> None:
    versions = [""]
    replacements: list[Names] = [NAMES, {"42": {"fa": "دیگر"}}, {}]
    for names in replacements:
        assert stores.merchant_names.replace(names, after=versions[-1], now_ms=5)
        assert stores.merchant_names.read().by_merchant == names
        versions.append(stores.merchant_names.version())
    assert len(set(versions)) == 4


def test_names_changed_concurrently_are_not_overwritten(stores: Stores) -> None:
    assert stores.merchant_names.replace(NAMES, after="", now_ms=5)
    version = stores.merchant_names.version()
    assert not stores.merchant_names.replace({"1": {"fa": "یک"}}, after="", now_ms=6)
    assert stores.merchant_names.read().by_merchant == NAMES
    assert stores.merchant_names.version() == version


def test_of_concurrent_replacements_one_succeeds(stores: Stores, store_url: str) -> None:
    barrier = threading.Barrier(3)
    done = []

    def replace(number: int) -> None:
        with open_stores(store_url, timeout_s=30) as own:
            barrier.wait(timeout=60)
            names: Names = {str(merchant): {"fa": f"نام {number}"} for merchant in range(50)}
            if own.merchant_names.replace(names, after="", now_ms=number):
                done.append(names)

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [stores.merchant_names.read().by_merchant] == done


def test_a_concurrent_reader_sees_one_version_of_all_names(stores: Stores, store_url: str) -> None:
    merchants = [str(number) for number in range(60)]
    ended = threading.Event()

    def replace() -> None:
        with open_stores(store_url, timeout_s=30) as own:
            for number in range(6):
                names: Names = {merchant: {"fa": str(number)} for merchant in merchants}
                assert own.merchant_names.replace(names, after=own.merchant_names.version(), now_ms=number)
        ended.set()

    writer = threading.Thread(target=replace)
    writer.start()
    seen: list[tuple[int, int]] = []
    while not ended.is_set() or not seen:
        found = stores.merchant_names.read()
        if found.version:
            texts = {name for names in found.by_merchant.values() for name in names.values()}
            seen.append((len(found.by_merchant), len(texts)))
    writer.join(timeout=60)
    assert set(seen) == {(len(merchants), 1)}


def test_publications_and_names_do_not_affect_each_other(stores: Stores) -> None:
    stores.merchant_names.replace(NAMES, after="", now_ms=5)
    rows = frame([row("daily", "1403/01/01", "42", 7)])
    first = publication(1, rows)
    stores.summaries.publish(first, rows)
    assert stores.merchant_names.read().by_merchant == NAMES
    stores.merchant_names.replace({}, after=stores.merchant_names.version(), now_ms=6)
    assert stores.summaries.published() == first

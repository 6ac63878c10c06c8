"""Lists of notifications: filters, and pages that are complete though others are made meanwhile."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from api_client import Api, wrong
from examples import NOW_MS
from sending import NOTIFICATIONS, happen, made

from api.http.pagination import cursor_after
from core.notifications.events import EventKind
from core.stores import open_stores

pytest_plugins = ["notifications_fixtures"]


def _ids(api: Api, query: str = "") -> list[str]:
    return [told["id"] for told in api.ask(NOTIFICATIONS, query).json["notifications"]]


def _following(api: Api, query: str) -> tuple[list[str], str | None]:
    """The ids of a page, and the query of the next one."""
    answer = api.ask(NOTIFICATIONS, query)
    link = answer.headers.get("link")
    following = link and urlsplit(link[1:].partition(">")[0]).query
    assert answer.json["next_cursor"] == (following and parse_qs(following)["cursor"][0])
    return [told["id"] for told in answer.json["notifications"]], following


def test_a_list_is_of_one_user_or_status_or_both(api: Api, url: str) -> None:
    mine, sent, other = made(api, channels=["sms"]), made(api, channels=["sms"]), made(api, user_id="رضا/1")
    happen(url, sent, "sms", EventKind.ATTEMPT, EventKind.SUCCESS, at_ms=NOW_MS)

    assert set(_ids(api)) == {mine, sent, other}
    assert set(_ids(api, "user_id=sara")) == {mine, sent}
    assert _ids(api, "user_id=%D8%B1%D8%B6%D8%A7%2F1") == [other]
    assert _ids(api, "user_id=sara&status=sent") == [sent]
    assert _ids(api, "user_id=nobody") == []


def test_pages_are_complete_though_others_are_made_meanwhile(store_url: str) -> None:
    open_stores(store_url, timeout_s=10).close()
    api = Api(store_url)
    moments = iter(range(NOW_MS, NOW_MS + 100))
    api.clock = lambda: next(moments) // 2  # two of each millisecond
    before = [made(api, user_id="a/ب") for _ in range(7)]

    found: list[str] = []
    query: str | None = "limit=2&status=pending&user_id=a/%D8%A8"
    while query is not None:
        made(api, user_id="a/ب")
        ids, query = _following(api, query)
        found += ids

    assert len(set(found)) == len(found)
    assert [notification_id for notification_id in found if notification_id in before] == [
        told["id"] for told in api.ask(NOTIFICATIONS, "user_id=a/%D8%A8").json["notifications"] if told["id"] in before
    ]
    assert set(before) <= set(found)


def test_the_last_page_has_no_next_one(api: Api) -> None:
    for _ in range(4):
        made(api)

    assert len(_following(api, "limit=4")[0]) == 4
    assert _following(api, "limit=4")[1] is None
    first, following = _following(api, "limit=2")
    assert following is not None
    second, end = _following(api, following)
    assert (len({*first, *second}), end) == (4, None)


def _cursor(position: object) -> str:
    return cursor_after(position, "", (None, None, 100))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cursor",
    ["x", "", "%F0%9F%8E%89", "W10", _cursor("1"), _cursor("\u00b2-" + "a" * 26), _cursor("9" * 99 + "-" + "a" * 26),
     _cursor("1-' OR 1"), _cursor("-1-" + "a" * 26), _cursor(5), _cursor(None)],
)  # fmt: skip
def test_a_cursor_that_was_made_up_is_refused(api: Api, cursor: str) -> None:
    assert "cursor" in wrong(api.ask(NOTIFICATIONS, f"cursor={cursor}"))


def test_a_cursor_of_another_query_is_refused(api: Api) -> None:
    made(api), made(api)
    _, following = _following(api, "limit=1&user_id=sara")
    assert following is not None
    cursor = parse_qs(following)["cursor"][0]

    for query in ("limit=1", "limit=2&user_id=sara", "limit=1&user_id=sara&status=sent"):
        assert "cursor" in wrong(api.ask(NOTIFICATIONS, f"{query}&cursor={cursor}"))


def test_wrong_parameters_are_reported_at_once(api: Api) -> None:
    assert set(wrong(api.ask(NOTIFICATIONS, "status=lost&limit=0&user_id=&x=1"))) == {"status", "limit", "user_id", "x"}

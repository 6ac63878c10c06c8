"""Lists of notifications: filters, counts, and pagination that is stable during inserts."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from api_client import Api, add_key, problem, wrong
from examples import NOW_MS
from sending import NOTIFICATIONS, append_events, made

from api.http.pagination import cursor_after
from api.notifications import listing
from core.notifications.events import EventKind
from core.notifications.model import Notification, derived_id
from core.stores import open_stores
from core.stores.api_keys import Scope

pytest_plugins = ["notifications_fixtures"]


def _ms(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp() * 1000)


def _ids(api: Api, query: str = "") -> list[str]:
    return [reported["id"] for reported in api.ask(NOTIFICATIONS, query).json["notifications"]]


def _following(api: Api, query: str) -> tuple[list[str], str | None]:
    """The ids of a page, and the query of the next one."""
    answer = api.ask(NOTIFICATIONS, query)
    link = answer.headers.get("link")
    following = link and urlsplit(link[1:].partition(">")[0]).query
    assert answer.json["next_cursor"] == (following and parse_qs(following)["cursor"][0])
    return [reported["id"] for reported in answer.json["notifications"]], following


def test_a_list_can_be_filtered_by_user_and_status(api: Api, url: str) -> None:
    mine, sent, other = made(api, channels=["sms"]), made(api, channels=["sms"]), made(api, user_id="رضا/1")
    append_events(url, sent, "sms", EventKind.ATTEMPT, EventKind.SUCCESS, at_ms=NOW_MS)

    assert set(_ids(api)) == {mine, sent, other}
    assert set(_ids(api, "user_id=sara")) == {mine, sent}
    assert _ids(api, "user_id=%D8%B1%D8%B6%D8%A7%2F1") == [other]
    assert _ids(api, "user_id=sara&status=sent") == [sent]
    assert _ids(api, "user_id=nobody") == []


def test_a_list_can_be_filtered_by_channel_delivery_status_and_days(api: Api, url: str) -> None:
    api.clock = lambda: _ms("2024-06-23T20:30:00Z") - 1  # the last moment of 1403/04/03 in Tehran
    early = made(api)
    api.clock = lambda: _ms("2024-06-23T20:30:00Z")
    dead, phoned = made(api), made(api, channels=["sms"])
    for one, channel, end in ((early, "sms", EventKind.DEAD), (dead, "email", EventKind.DEAD)):
        append_events(url, one, channel, EventKind.ATTEMPT, end, at_ms=NOW_MS)
    append_events(url, phoned, "sms", EventKind.ATTEMPT, EventKind.UNKNOWN, at_ms=NOW_MS)

    assert set(_ids(api, "channel=email")) == {early, dead}
    assert set(_ids(api, "log_status=dead&log_status=unknown")) == {early, dead, phoned}
    assert _ids(api, "log_status=dead&channel=email") == [dead]
    assert _ids(api, "log_status=dead&status=failed") == []
    assert _ids(api, "log_status=success") == _ids(api, "channel=fax") == []
    assert _ids(api, "to=1403/04/03") == _ids(api, "to=2024-06-23") == [early]
    assert set(_ids(api, "from=1403/04/04&to=%DB%B1%DB%B4%DB%B0%DB%B3/04/04")) == {dead, phoned}
    assert set(_ids(api, "from=1403/04/03")) == {early, dead, phoned}
    assert _ids(api, "from=2024-06-24&log_status=dead") == [dead]


def test_the_next_page_keeps_the_whole_filter(api: Api) -> None:
    for _ in range(3):
        made(api)
    query = "limit=1&channel=sms&log_status=pending&log_status=sending&from=1403/04/04&to=2024-06-24"
    first, following = _following(api, query)
    assert following is not None
    second, last = _following(api, following)
    assert last is not None
    assert len({*first, *second, *_following(api, last)[0]}) == 3
    cursor = parse_qs(following)["cursor"][0]
    assert "cursor" in wrong(api.ask(NOTIFICATIONS, f"limit=1&cursor={cursor}"))


def test_invalid_days_and_reversed_ranges_are_refused_by_parameter_name(api: Api) -> None:
    for path in (NOTIFICATIONS, f"{NOTIFICATIONS}/counts"):
        reported = wrong(api.ask(path, "from=1403/12/31&to=yesterday&user_id="))
        assert set(reported) == {"from", "to", "user_id"}
        assert set(wrong(api.ask(path, "from=1403/04/05&to=2024-06-24"))) == {"to"}
        assert set(wrong(api.ask(path, "from=1403/W15"))) == {"from"}
    assert set(wrong(api.ask(NOTIFICATIONS, "channel=(a|b)*&log_status=sent&log_status=dead"))) == {
        "channel",
        "log_status",
    }


def test_counts_by_channel_and_status_follow_the_filters_of_the_list(api: Api, url: str) -> None:
    api.clock = lambda: _ms("2024-06-23T20:30:00Z") - 1
    made(api, user_id="reza")
    api.clock = lambda: _ms("2024-06-23T20:30:00Z")
    dead, _ = made(api), made(api)
    append_events(url, dead, "sms", EventKind.ATTEMPT, EventKind.SUCCESS, at_ms=NOW_MS)
    append_events(url, dead, "email", EventKind.ATTEMPT, EventKind.DEAD, at_ms=NOW_MS)

    def counts(query: str = "") -> list[tuple[str, dict[str, str], int]]:
        document = api.ask(f"{NOTIFICATIONS}/counts", query).json
        assert document["complete"]
        return [(one["status"], one["logs"], one["notifications"]) for one in document["counts"]]

    failed = ("failed", {"email": "dead", "sms": "success"}, 1)
    pending = {"email": "pending", "sms": "pending"}
    assert counts() == [failed, ("pending", pending, 2)]
    assert counts("user_id=sara") == counts("from=1403/04/04") == [failed, ("pending", pending, 1)]
    assert counts("to=1403/04/03&tenant=operator") == [("pending", pending, 1)]
    whole = api.ask(f"{NOTIFICATIONS}/counts", "from=1403/04/04&to=1403/04/04").json
    assert (whole["created_from"], whole["created_before"]) == ("2024-06-23T20:30:00.000Z", "2024-06-24T20:30:00.000Z")
    assert api.ask(f"{NOTIFICATIONS}/counts").json["created_from"] is None


def test_counts_of_very_many_notifications_cover_only_the_newest(
    api: Api, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "COUNTED", 2)
    made(api, channels=["sms"])
    assert api.ask(f"{NOTIFICATIONS}/counts").json["complete"]
    made(api), made(api)
    document = api.ask(f"{NOTIFICATIONS}/counts").json
    assert not document["complete"]
    assert sum(one["notifications"] for one in document["counts"]) == 2


def test_counts_exclude_other_tenants_and_announcements_of_other_merchants(api: Api, url: str) -> None:
    token = add_key(url, [Scope.NOTIFICATIONS], ["tea-house"], tenant="acme")
    add_key(url, [Scope.NOTIFICATIONS], tenant="other")
    made(api)
    with open_stores(url, timeout_s=10) as stores:
        for merchant_id in (None, "tea-house", "book-market"):
            one = Notification(
                derived_id(str(merchant_id)), "sara", "title", "body", ("sms",), "en", NOW_MS,
                announces=merchant_id is not None, merchant_id=merchant_id, tenant="acme",
            )  # fmt: skip
            stores.notifications.add(one, NOW_MS)

    def counted(key: str | None, query: str = "") -> int:
        document = api.ask(f"{NOTIFICATIONS}/counts", query, key=key).json
        return sum(one["notifications"] for one in document["counts"])

    assert (counted(token), counted(None, "tenant=acme"), counted(None)) == (2, 3, 4)
    assert problem(api.ask(f"{NOTIFICATIONS}/counts", "tenant=other", key=token)) == (403, "out-of-scope")
    without = add_key(url, [Scope.SUMMARIES])
    assert problem(api.ask(f"{NOTIFICATIONS}/counts", key=without)) == (403, "out-of-scope")


def test_pages_are_complete_while_notifications_are_created(store_url: str) -> None:
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
        reported["id"]
        for reported in api.ask(NOTIFICATIONS, "user_id=a/%D8%A8").json["notifications"]
        if reported["id"] in before
    ]
    assert set(before) <= set(found)


def test_the_last_page_has_no_next_cursor(api: Api) -> None:
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
def test_a_forged_cursor_is_refused(api: Api, cursor: str) -> None:
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

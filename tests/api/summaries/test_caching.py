"""Caching of summaries: ETag, 304, content encoding, and the response cache."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from pathlib import Path

import brotli
import pytest
from api_client import MERCHANTS, SUMMARY, Api
from examples import NOW_MS
from falcon.testing import Result
from sales import SALES, publish, published_in

QUERY = {"mode": "daily", "type": "amount", "fill": "zero"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return published_in(tmp_path)


@pytest.fixture
def api(url: str) -> Api:
    return Api(url)


def ask(api: Api, accepted: str | None = None, known: str | None = None, path: str = SUMMARY) -> Result:
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    if known is not None:
        headers["If-None-Match"] = known
    return api.ask(path, QUERY if path == SUMMARY else "", headers=headers)


def decoded(answer: Result) -> bytes:
    encoding = answer.headers.get("content-encoding")
    if encoding == "gzip":
        return gzip.decompress(answer.content)
    return bytes(brotli.decompress(answer.content)) if encoding == "br" else answer.content


def cache_results(api: Api) -> list[str | None]:
    return [line["cache"] for line in api.log()]


class TestEntityTags:
    def test_etags_are_strong_and_specific_to_query_version_and_encoding(self, api: Api, url: str) -> None:
        tags = [ask(api, accepted).headers["etag"] for accepted in ("identity", "gzip", "br")]
        tags += [
            api.series(**{"fill": "zero", **more}).headers["etag"] for more in ({"locale": "fa"}, {"limit": "366"})
        ]
        publish(url, generation=2, at_ms=NOW_MS + 1)
        api.moment.advance()
        tags.append(ask(api, "identity").headers["etag"])
        assert len(set(tags)) == len(tags)
        assert all(tag[0] == tag[-1] == '"' and '"' not in tag[1:-1] for tag in tags)

    def test_every_process_computes_the_same_etag(self, api: Api, url: str) -> None:
        script = (
            "import sys; sys.path[:0] = sys.argv[2:]\n"
            "from api_client import *\n"
            "api = Api(sys.argv[1])\n"
            f"print(api.ask(SUMMARY, {QUERY!r}).headers['etag'], api.ask(MERCHANTS).headers['etag'])\n"
            "close_all()"
        )
        output = subprocess.run(
            [sys.executable, "-c", script, url, *sys.path], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        assert output.split() == [ask(api).headers["etag"], ask(api, path=MERCHANTS).headers["etag"]]

    @pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x","y" ,W/{} , "z"', "*"])
    @pytest.mark.parametrize("path", [SUMMARY, MERCHANTS])
    @pytest.mark.parametrize("accepted", ["identity", "br"])
    def test_a_matching_etag_gives_304_without_a_body(self, api: Api, form: str, path: str, accepted: str) -> None:
        full = ask(api, accepted, path=path)
        answer = ask(api, accepted, form.format(full.headers["etag"]), path)
        assert answer.status_code == 304
        assert answer.content == b""
        for name in ("etag", "cache-control", "vary"):
            assert answer.headers[name] == full.headers[name]
        assert "content-type" not in answer.headers
        assert "content-encoding" not in answer.headers

    @pytest.mark.parametrize("known", ['"x"', "x", "", '"', "W/", '"x", "y"'])
    def test_another_etag_gives_the_full_response(self, api: Api, known: str) -> None:
        assert ask(api, known=known).status_code == 200

    def test_an_etag_of_another_encoding_or_without_quotes_does_not_match(self, api: Api) -> None:
        tag = ask(api, "gzip").headers["etag"]
        assert ask(api, "identity", tag).status_code == 200
        assert ask(api, "gzip", tag.strip('"')).status_code == 200

    def test_head_with_a_matching_etag_gives_304(self, api: Api) -> None:
        tag = ask(api).headers["etag"]
        answer = api.ask(SUMMARY, QUERY, method="HEAD", headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content) == (304, b"")

    def test_a_304_page_still_links_to_the_next(self, api: Api) -> None:
        first = api.series(limit="2")
        again = api.ask(SUMMARY, "mode=daily&type=amount&limit=2", headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304
        assert again.headers["link"] == first.headers["link"]

    def test_a_new_publication_changes_the_etag(self, api: Api, url: str) -> None:
        tag = ask(api).headers["etag"]
        publish(url, generation=2, at_ms=NOW_MS + 1)
        assert ask(api, known=tag).status_code == 304  # cached for API_FRESHNESS_S
        api.moment.advance()
        assert ask(api, known=tag).status_code == 200


class TestEncodings:
    @pytest.mark.parametrize(
        ("accepted", "expected"),
        [
            (None, None),
            ("", None),
            ("identity", None),
            ("gzip", "gzip"),
            ("br", "br"),
            ("gzip, br", "br"),
            ("gzip, deflate, br, zstd", "br"),
            ("br;q=0.5, gzip", "gzip"),
            ("br; q=0.5 , gzip; q=0.6", "gzip"),
            ("BR;Q=1", "br"),
            ("*", "br"),
            ("br;q=0, *", "gzip"),
            ("*;q=0", None),
            ("gzip;q=0", None),
            ("gzip;q=0, br;q=0", None),
            ("deflate", None),
            ("identity;q=0", None),
            ("identity;q=0, gzip", "gzip"),
            ("identity, gzip;q=0.9", None),
            ("gzip;q=nan", None),
            ("gzip;q=x", None),
            ("gzip;q=7", None),
            (",,;;q=,", None),
        ],
    )
    def test_the_preferred_content_encoding_is_used(self, api: Api, accepted: str | None, expected: str | None) -> None:
        answer = ask(api, accepted)
        assert answer.headers.get("content-encoding") == expected
        assert decoded(answer) == ask(api).content
        assert "Accept-Encoding" in answer.headers["vary"]
        assert "Authorization" in answer.headers["vary"]

    def test_compression_makes_a_long_series_much_smaller(self, api: Api) -> None:
        plain = len(ask(api).content)
        assert all(len(ask(api, accepted).content) * 5 < plain for accepted in ("gzip", "br"))

    def test_a_short_body_is_compressed_only_if_identity_is_refused(self, api: Api) -> None:
        short = {"mode": "monthly", "type": "count", "from": "1403/12"}
        assert "content-encoding" not in api.ask(SUMMARY, short, headers={"Accept-Encoding": "gzip"}).headers
        for accepted in ("gzip, identity;q=0", "gzip, *;q=0"):
            answer = api.ask(SUMMARY, short, headers={"Accept-Encoding": accepted})
            assert zlib.decompress(answer.content, 31) == b'[{"key":"1403/12","value":1}]'


class TestCachedAnswers:
    def test_the_same_query_is_answered_from_the_cache(self, api: Api) -> None:
        answers = [ask(api), ask(api), ask(api, "gzip"), ask(api, "gzip")]
        assert cache_results(api) == ["miss", "hit", "miss", "hit"]
        assert {answer.headers["cache-control"] for answer in answers} == {"private, no-cache"}

    def test_an_equivalent_query_is_answered_from_the_cache(self, api: Api) -> None:
        one = api.ask(SUMMARY, "type=amount&mode=daily&from=1403/04/04")
        other = api.ask(SUMMARY, {"mode": "daily", "type": "amount", "from": "۱۴۰۳/۰۴/۰۴"})
        assert one.headers["etag"] == other.headers["etag"]
        assert cache_results(api) == ["miss", "hit"]

    def test_a_new_publication_empties_the_cache(self, api: Api, url: str) -> None:
        ask(api)
        publish(url, {"shop-1": {"1403/01/01": (1, 1)}}, generation=2)
        api.moment.advance()
        assert ask(api).json == [{"key": "1403/01/01", "value": 1}]
        assert cache_results(api) == ["miss", "miss"]

    def test_an_unchanged_publication_keeps_the_cache(self, api: Api) -> None:
        ask(api)
        api.moment.advance(10)
        ask(api)
        assert cache_results(api) == ["miss", "hit"]

    def test_a_cache_of_size_zero_stores_nothing(self, url: str) -> None:
        api = Api(url, {"api_cache_mb": 0})
        assert [ask(api).status_code, ask(api).status_code] == [200, 200]
        assert cache_results(api) == ["miss", "miss"]

    def test_least_recently_used_responses_are_evicted(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'many.db'}"
        publish(url, {merchant: {"1403/01/01": (1, 1), "1436/01/01": (1, 1)} for merchant in ("a", "b", "c")})
        api = Api(url, {"api_cache_mb": 1})  # of which one answer takes about a third
        for merchant in ("a", "b", "a", "c", "a", "b"):
            api.series(fill="zero", merchant_id=merchant)
        assert cache_results(api) == ["miss", "miss", "hit", "miss", "hit", "miss"]

    def test_an_unknown_merchant_is_not_cached(self, api: Api, url: str) -> None:
        for _ in range(2):
            assert api.series(merchant_id="new").status_code == 404
        publish(url, {**SALES, "new": {"1403/01/01": (1, 1)}}, generation=2)
        api.moment.advance()
        assert api.series(merchant_id="new").status_code == 200

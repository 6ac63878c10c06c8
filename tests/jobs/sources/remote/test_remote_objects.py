"""Remote objects are read as one version, with retries of transient failures."""

from __future__ import annotations

import io
import random
import re
import sys
from collections.abc import Iterator

import pytest
from effort import THOROUGH
from remote_storage import IMPATIENT, OPTIONS, SECRETS, Storage
from web_server import Answer, WebServer, as_it_is, cut, slow_down, web_server

from core.errors import SourceChanged, SourceError
from core.retrying import Backoff
from jobs.sources.remote import objects as remote_objects
from jobs.sources.remote.objects import Remote, remote
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.storage import RemoteObject

pytest_plugins = ["remote_fixtures"]

SMALLER = 1 if THOROUGH else 16
RANGE_BYTES = remote_objects.RANGE_BYTES // SMALLER
CONTENT = random.Random(1403).randbytes(RANGE_BYTES * 3 + 12_345)
OTHER = CONTENT[::-1]
SMALL = CONTENT[:1000]


@pytest.fixture(autouse=True)
def _smaller_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Megabytes through a server in Python take long, and are read as kilobytes are."""
    for name in ("RANGE_BYTES", "_FIRST_BYTES"):
        monkeypatch.setattr(remote_objects, name, getattr(remote_objects, name) // SMALLER)


def found_at(objects: Remote, url: str) -> RemoteObject:
    """The object of that URL, which is there."""
    found = objects.describe(url)
    assert found is not None
    return found


def ranges_asked(server: WebServer) -> list[tuple[int, int]]:
    """First and last byte of each range that was asked for, ascending."""
    found = (re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("Range", "")) for _, _, headers in server.asked)
    return sorted((int(one[1]), int(one[2])) for one in found if one)


def test_an_object_can_be_read_sequentially_and_by_seeking(storage: Storage) -> None:
    objects = remote(OPTIONS)
    found = found_at(objects, storage.put("/shop.bson", CONTENT))
    assert found.size == len(CONTENT)
    with objects.open(found) as opened:
        assert io.BufferedReader(opened, 65_536).read() == CONTENT
    with objects.open(found, 1000) as opened:
        assert opened.read(5) == CONTENT[1000:1005]
        opened.seek(-7, io.SEEK_END)
        assert opened.read(100) == CONTENT[-7:]
        opened.seek(RANGE_BYTES - 1)
        assert opened.read(RANGE_BYTES + 2) == CONTENT[RANGE_BYTES - 1 : 2 * RANGE_BYTES + 1]


def test_read_ahead_stops_at_the_end_of_the_partition(storage: Storage) -> None:
    objects = remote(OPTIONS)
    found = found_at(objects, storage.put("/shop.bson", CONTENT))
    storage.server.asked.clear()
    with objects.open(found, 100, RANGE_BYTES * 2) as opened:
        assert io.BufferedReader(opened, 4096).read(RANGE_BYTES) == CONTENT[100 : RANGE_BYTES + 100]
    asked = ranges_asked(storage.server)
    assert asked[0][0] == 100
    assert asked[-1][1] < RANGE_BYTES * 2
    assert all(last - first < RANGE_BYTES for first, last in asked)


def test_throttled_and_truncated_responses_are_retried(storage: Storage) -> None:
    url = storage.put("/shop.bson", CONTENT)
    objects = remote(OPTIONS)
    storage.server.troubles.extend([slow_down, as_it_is, slow_down, cut, slow_down, cut, as_it_is, cut])
    with objects.open(found_at(objects, url)) as opened:
        assert io.BufferedReader(opened, 65_536).read() == CONTENT
    assert not storage.server.troubles


def test_a_request_to_a_silent_server_is_retried(storage: Storage) -> None:
    url = storage.put("/shop.bson", SMALL)
    objects = remote(IMPATIENT)
    found = found_at(objects, url)
    storage.server.troubles.append(storage.server.stall)
    with objects.open(found) as opened:
        assert opened.read(2000) == SMALL
    assert not storage.server.troubles


def test_an_object_changed_during_a_read_is_an_error(storage: Storage) -> None:
    url = storage.put("/shop.bson", CONTENT)
    objects = remote(OPTIONS)
    with objects.open(found_at(objects, url)) as opened:
        assert opened.read(1000) == CONTENT[:1000]
        storage.put("/shop.bson", OTHER)
        with pytest.raises(SourceChanged, match=f"^{re.escape(storage.shown)}/shop.bson.* changed while it was read"):
            opened.read(len(CONTENT))


def test_without_an_etag_a_changed_file_is_detected_by_size(web: WebServer) -> None:
    web.has_etags = False
    web.files["/shop.bson"] = CONTENT
    objects = remote(OPTIONS)
    with objects.open(found_at(objects, f"{web.url}/shop.bson")) as opened:
        opened.read(1000)
        web.files["/shop.bson"] = CONTENT + b"\0"
        with pytest.raises(SourceChanged):
            opened.read(len(CONTENT))


def test_an_object_removed_during_a_read_is_an_error(web: WebServer) -> None:
    web.files["/shop.bson"] = CONTENT
    objects = remote(OPTIONS)
    with objects.open(found_at(objects, f"{web.url}/shop.bson")) as opened:
        opened.read(1000)
        del web.files["/shop.bson"]
        with pytest.raises(SourceError, match="does not exist"):
            opened.read(len(CONTENT))


def test_without_range_support_a_file_is_streamed_and_resumed(web: WebServer) -> None:
    web.has_ranges = False
    web.files["/shop.bson"] = CONTENT
    objects = remote(OPTIONS)
    found = found_at(objects, f"{web.url}/shop.bson")
    assert not found.has_ranges
    web.asked.clear()
    web.troubles.extend([slow_down, cut, cut])
    with objects.open(found) as opened:
        assert io.BufferedReader(opened, 65_536).read() == CONTENT
    assert len(web.asked) == 4


def test_a_file_changed_between_two_full_responses_is_an_error(web: WebServer) -> None:
    web.has_ranges = False
    web.files["/shop.bson"] = CONTENT
    objects = remote(OPTIONS)
    found = found_at(objects, f"{web.url}/shop.bson")
    web.troubles.extend([cut, web.changing("/shop.bson", OTHER)])
    with objects.open(found) as opened, pytest.raises(SourceChanged):
        io.BufferedReader(opened, 65_536).read()


def test_an_interrupted_response_without_a_version_is_an_error(web: WebServer) -> None:
    web.has_etags = web.has_dates = False
    web.files["/shop.bson"] = CONTENT
    objects = remote(OPTIONS)
    found = found_at(objects, f"{web.url}/shop.bson")
    assert not found.has_ranges, "two ranges could be of two versions"
    with objects.open(found) as opened:
        assert io.BufferedReader(opened, 65_536).read() == CONTENT
    web.troubles.append(cut)
    with objects.open(found) as opened, pytest.raises(SourceError, match=r"truncated after \d+ bytes"):
        io.BufferedReader(opened, 65_536).read()


def test_permanent_failures_are_reported_without_secrets(storage: Storage) -> None:
    url = storage.put("/shop.bson", SMALL)
    objects = remote(OPTIONS)
    found = found_at(objects, url)
    storage.server.troubles.extend([slow_down] * 7)
    with objects.open(found) as opened, pytest.raises(SourceError) as caught:
        opened.read(10)
    assert not storage.server.troubles
    assert caught.value.sentence.startswith(f"{storage.shown}/shop.bson")
    assert "the server answered 503" in caught.value.sentence
    assert caught.value.sentence.endswith("7 times in a row")
    assert not any(secret in repr((caught.value, caught.value.hint, found)) for secret in SECRETS)


def test_a_refused_request_is_not_retried(web: WebServer) -> None:
    web.files["/shop.bson"] = SMALL
    web.troubles.extend([lambda answer: type(answer)(403, {}, b"")] * 2)
    with pytest.raises(SourceError, match="the server answered 403") as caught:
        remote(OPTIONS).describe(f"{web.url}/shop.bson")
    assert "credentials" in caught.value.hint
    assert len(web.asked) == 1


def test_a_missing_object_may_be_a_folder(storage: Storage) -> None:
    objects = remote(OPTIONS)
    urls = {storage.put(path, SMALL).partition("?")[0] for path in ("/dump/shop/a.bson", "/dump/b.bson")}
    assert objects.describe(f"{storage.base}/nothing.bson") is None
    assert set(objects.below(f"{storage.base}/dump/")) == urls
    assert objects.below(f"{storage.base}/nothing/") == []
    assert objects.matching(f"{storage.base}/dump/*.bson") == [f"{storage.base}/dump/b.bson"]


def test_an_unlistable_folder_is_not_treated_as_empty(s3: Storage) -> None:
    url = s3.put("/exports/a/day-1.csv", SMALL)
    s3.server.troubles.extend([slow_down, slow_down])
    assert remote(OPTIONS).below(f"{s3.base}/exports/") == [url]
    s3.server.troubles.extend([lambda answer: type(answer)(403, {}, b"")] * 2)
    with pytest.raises(SourceError, match="the server answered 403"):
        remote(OPTIONS).below(f"{s3.base}/exports/")


@pytest.mark.parametrize("pattern", ["*/*.csv", "day*/*.csv"])
def test_wildcards_retry_folders_that_fail_to_list(s3: Storage, pattern: str) -> None:
    urls = [s3.put(f"/exports/day-{number}/a.csv", SMALL) for number in (1, 2)]
    s3.server.troubles.extend([as_it_is] * 3 + [slow_down])
    assert remote(OPTIONS).matching(f"{s3.base}/exports/{pattern}") == urls
    assert remote(OPTIONS).matching(f"{s3.base}/nothing/{pattern}") == []


class Pages(WebServer):
    """Adds links to its index pages; the folder ``loop`` has the pages of the folder above it."""

    links = b""

    def answer(self, method: str, target: str, headers: dict[str, str]) -> Answer:
        """See `WebServer.answer`."""
        answer = super().answer(method, target.replace("loop/", ""), headers)
        if target.endswith("/"):
            answer.body += self.links
        return answer


@pytest.fixture
def pages() -> Iterator[Pages]:
    with web_server(Pages) as server:
        assert isinstance(server, Pages)
        server.files.update({"/exports/day-1.csv": SMALL, "/exports/a/day-2.csv": SMALL})
        yield server


def test_index_pages_may_link_to_themselves_and_their_parent(pages: Pages) -> None:
    pages.links = b'<a href="?C=N;O=D">Name</a><a href="/">Top</a><a href="../">Parent Directory</a>'
    found = remote(OPTIONS).below(f"{pages.url}/exports/")
    assert found == [f"{pages.url}/exports/a/day-2.csv", f"{pages.url}/exports/day-1.csv"]


def test_circular_folder_links_are_followed_to_a_limit(pages: Pages) -> None:
    pages.links = b'<a href="loop/">loop</a>'
    assert f"{pages.url}/exports/loop/loop/loop/loop/" in remote(OPTIONS).below(f"{pages.url}/exports/")


def test_a_missing_folder_of_an_index_page_is_an_error(pages: Pages) -> None:
    pages.links = b'<a href="gone/">gone</a>'
    with pytest.raises(SourceError, match="exports/ links to a folder that does not exist"):
        remote(OPTIONS).below(f"{pages.url}/exports/")


def test_an_empty_object_has_no_bytes(storage: Storage) -> None:
    objects = remote(OPTIONS)
    found = found_at(objects, storage.put("/empty.bson", b""))
    assert found.size == 0
    with objects.open(found) as opened:
        assert opened.read(10) == b""


def test_objects_of_s3_need_credentials(s3: Storage, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    url = s3.put("/shop.bson", SMALL)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    with pytest.raises(SourceError, match="no credentials were found") as caught:
        Remote(OPTIONS).describe(url)
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "package", "module"),
    [
        ("s3://bucket/key", "s3fs", "s3"),
        ("gs://bucket/key", "gcsfs", "google"),
        ("https://files.example/shop.bson", "aiohttp", "http"),
    ],
)
def test_a_missing_package_for_a_remote_source_is_named(
    url: str, package: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"jobs.sources.remote.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SourceError, match=f"the package {package} is not installed") as caught:
        Remote(OPTIONS).describe(url)
    assert caught.value.hint == "Install it: pip install --require-hashes -r pins/requirements-cluster.txt"


def test_an_unknown_host_fails_without_retries() -> None:
    patient = RemoteOptions(backoff=Backoff(retries=1000))
    with pytest.raises(SourceError, match=r"^https://nothing\.invalid/shop\.bson cannot be read"):
        Remote(patient).describe("https://nothing.invalid/shop.bson")

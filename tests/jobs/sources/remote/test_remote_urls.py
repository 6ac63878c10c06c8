"""URLs of remote objects: recognised, validated, and shown without secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.settings import Settings
from jobs.cli.live_options import sources_or_setting
from jobs.sources.remote.url import is_glob, is_remote, require_readable
from jobs.sources.url import redacted_url

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://files.example/a/shop.bson?X-Amz-Signature={SECRET}", "https://files.example/a/shop.bson?…"),
        (f"https://reader:{SECRET}@files.example:8443/shop.bson", "https://files.example:8443/shop.bson"),
        (f"HTTPS://reader:{SECRET}@[::1]:8443/shop.bson#{SECRET}", "https://[::1]:8443/shop.bson"),
        (f"https://reader:{SECRET}/x@files.example/shop.bson", "https://…/shop.bson"),
        (f"https://reader:12{SECRET}@files.example", "https://files.example"),
        (f"https:/reader:{SECRET}@files.example/shop.bson", "https://files.example/shop.bson"),
        (f"s3://key:{SECRET}@dumps/shop.bson", "s3://…/shop.bson"),
        (f"s3://dumps/shop.bson?X-Amz-Signature={SECRET}", "s3://dumps/shop.bson?…"),
        ("s3://dumps/shop-?.bson", "s3://dumps/shop-?.bson"),
        ("gs://dumps/2024/*/shop.bson.gz", "gs://dumps/2024/*/shop.bson.gz"),
        (f"ftp://reader:{SECRET}@files.example/shop.bson", "ftp://…/shop.bson"),
        ("shop.bson", "shop.bson"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted_url(url) == shown


@given(
    password=st.text("ab1:/@?#%[]", max_size=8),
    begin=st.sampled_from(["http://", "https://", "https:/", "s3://", "s3:/", "gs://", "ftp://"]),
)
def test_no_password_is_shown_whatever_its_characters(password: str, begin: str) -> None:
    assert SECRET not in redacted_url(f"{begin}reader:{SECRET}{password}@files.example/shop.bson")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://files.example/shop.bson", "http://files.example/shop.bson is not encrypted"),
        ("ftp://files.example/shop.bson", "ftp:// is not supported"),
        ("file:///srv/shop.bson", "file:// is not supported"),
        ("s3:/dumps/shop.bson", "is not a valid URL"),
        ("https://", "is not a valid URL"),
        ("https://[::1/shop.bson", "is not a valid URL"),
        ("s3://key:secret@dumps/shop.bson", "contains a user or a key"),
    ],
)
def test_an_unsupported_url_is_refused(url: str, sentence: str) -> None:
    assert is_remote(url)
    with pytest.raises(UsageError) as caught:
        require_readable(url)
    assert sentence in caught.value.sentence
    assert caught.value.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/a", "http://localhost/a", "http://[::1]:9000/a", "https://x/a"])
def test_plain_http_is_allowed_on_loopback_only(url: str) -> None:
    require_readable(url)


@pytest.mark.parametrize("path", ["shop.bson", "/srv/s3/shop.bson", "-", "mongodb://db/shop", "mongodb+srv://db/shop"])
def test_files_and_live_collections_are_not_remote(path: str) -> None:
    assert not is_remote(path)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://dumps/shop-*.bson", True),
        ("gs://dumps/shop-[12].bson", True),
        ("https://files.example/shop-*.bson", True),
        ("https://files.example/shop.bson?part=*", False),
        ("s3://dumps/shop.bson", False),
    ],
)
def test_wildcards_match_as_in_local_paths(url: str, expected: bool) -> None:
    assert is_glob(url) is expected


def test_the_scheme_of_a_source_may_be_in_capitals() -> None:
    given = ("S3://Dumps/Shop.bson", "HTTPS://files.example/A", "Shop.bson", "C:shop.bson", "-")
    assert sources_or_setting(given, Settings()) == ("s3://Dumps/Shop.bson", "https://files.example/A", *given[2:])

"""Opening stores by ``STORE_URL``."""

from __future__ import annotations

import pytest

from core.errors import SettingsError, StoreUnavailable
from core.stores import open_stores


@pytest.mark.parametrize(
    "url",
    [
        "",
        "summaries.db",
        "sqlite:",
        "sqlite://summaries.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "postgres://user:secret@host/database",
        "user:secret@host/database",
        "mongodb://user:secret@host",
        "mongodb://user:secret@host/",
        "mongodb://user:sec@ret@host/database",
        "mongodb://user:sec:ret@host/database",
        "mongodb://user:sec/ret@host/database",
        "mongodb://user:sec%ret@host/database",
        "mongodb://user:secret@host:port/database",
        "mongodb://user:secret@host/database?timeoutMS=secret",
        "mongodb://user:secret@host/database?tsl=true",
        "mongodb://",
    ],
)
def test_an_invalid_store_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="STORE_URL") as caught:
        open_stores(url, timeout_s=0.2)
    assert caught.value.hint
    assert "sec" not in caught.value.sentence + caught.value.hint
    assert caught.value.__cause__ is None


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnavailable, match=r"the store at mongodb://127\.0\.0\.1:1/shop does not answer") as caught:
        open_stores("mongodb://user:secret@127.0.0.1:1/shop?authSource=admin", timeout_s=0.2)
    assert "secret" not in caught.value.sentence
    assert "Topology" not in caught.value.sentence
    assert "server runs" in caught.value.hint

"""Secrets in URLs never reach output, ledger or quarantine."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine
from web_server import Answer, Trouble, WebServer, as_it_is, slow_down

pytest_plugins = ["remote_fixtures"]

SHOP = Path(__file__).parents[3] / "data" / "shop"
SECRETS = ("s3cret-password", "s1gnature")


def refuse(_: Answer) -> Answer:
    """Answer that the credentials are not enough."""
    return Answer(403, {}, b"")


@pytest.mark.parametrize("ending", ["published", "refused", "throttled", "changed"])
def test_no_url_secret_is_printed_logged_or_stored(ending: str, web: WebServer, tmp_path: Path) -> None:
    content = (SHOP / "transaction.bson").read_bytes()
    web.files["/shop.bson"] = content
    troubles: dict[str, list[Trouble]] = {
        "published": [],
        "refused": [refuse] * 9,
        "throttled": [slow_down] * 9,
        "changed": [as_it_is, as_it_is, web.changing("/shop.bson", content + b"\0")],
    }
    web.troubles.extend(troubles[ending])
    url = f"http://reader:{SECRETS[0]}@127.0.0.1:{web.port}/shop.bson?X-Amz-Signature={SECRETS[1]}"
    jobs = CommandLine(
        tmp_path, STORE_URL=f"sqlite:///{tmp_path}/store.db", SOURCE_RETRIES="1", QUARANTINE_DIR="rejects"
    )
    result = jobs("rebuild", url, "--max-reject-ratio", "1", "--json")
    shown = jobs("status", "1", "--json")
    assert result.code == (0 if ending == "published" else 1), result
    assert f"http://127.0.0.1:{web.port}/shop.bson?…" in shown.out
    if ending != "published":
        assert f"http://127.0.0.1:{web.port}/shop.bson?…" in result.err
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(kept) > 10_000
    for secret in SECRETS:
        assert secret not in result.out + result.err + shown.out + shown.err
        assert secret.encode() not in kept

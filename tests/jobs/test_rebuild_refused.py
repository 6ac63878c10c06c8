"""A rebuild whose store refuses a batch: the recorded error has no data."""

from __future__ import annotations

import traceback
from datetime import date
from pathlib import Path

import pytest
from mongo_proxy import MongoProxy
from rebuilding import Workshop
from transactions import spread, write_bson

from core.errors import StoreUnavailable
from core.stores import open_stores
from core.stores.runs import RunStatus
from jobs.rebuild import RebuildRequest


@pytest.mark.parametrize("code", [121, 11000])
def test_a_refused_run_is_recorded_with_one_sentence(tmp_path: Path, mongo_database_url: str, code: int) -> None:
    merchants = [f"shop-{number}" for number in range(200)]
    source = write_bson(tmp_path / "shop.bson", spread(merchants, days=2, first=date(2024, 3, 16)))
    errors = [
        {"index": i, "code": code, "errmsg": f'refused: {{ mode: "daily", merchant_id: "shop-{i}" }}'}
        for i in range(400)
    ]
    with MongoProxy(mongo_database_url) as proxy, open_stores(proxy.url, timeout_s=10) as stores:
        proxy.answer("insert", {"ok": 1.0, "n": 0, "writeErrors": errors}, of="summary_transaction_")
        with pytest.raises(StoreUnavailable) as caught:
            Workshop(stores, tmp_path).rebuild(RebuildRequest((source,)))
        (run,) = stores.runs.recent(9)
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert f"400 writes failed, the first with code {code}: refused: {{ mode: … }}" in run.error
    assert len(run.error) < 300
    assert "shop-" not in run.error + "".join(traceback.format_exception(caught.value))

"""Named queries for analysts: SQL files of ``sql/analysis``, run by name over either store with Polars.

::

    with open_stores(store_url, timeout_s=30, create=False) as stores:
        run_query(stores.summaries, "top_merchants", {"period": "1403/04", "limit": 5})
"""

from core.analysis.queries import Column, Parameter, Query, all_queries, query_named
from core.analysis.running import query_published, run_query

__all__ = ["Column", "Parameter", "Query", "all_queries", "query_named", "query_published", "run_query"]

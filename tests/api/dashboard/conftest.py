"""Fixtures of the dashboard's tests: those of this file may have the scope of its folder."""

from __future__ import annotations

from dashboard_fixtures import origin, people, store_file, tabs

__all__ = ["origin", "people", "store_file", "tabs"]

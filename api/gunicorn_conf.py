"""The configuration of gunicorn: ``gunicorn -c api/gunicorn_conf.py 'api:get_app()'`` from the folder above this one.

Settings that differ between installations are environment variables, see `core.settings`.
"""

from __future__ import annotations

import gc
import math
import resource
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from api.server.address import Address, parse_address
from api.server.gunicorn_worker import HANDOVER, Worker
from api.server.protocol import Protocol
from api.server.server_log import ServerLog
from api.server.startup_report import startup_report
from core import metric_files
from core.errors import ServiceError, exit_code_of
from core.settings import read_settings

_OTHER_FILES = 200
_IMPORTED = ("api.app", "core.notifications.broker")  # before the fork, so that all workers share their memory
_SHARED_MEMORY = Path("/dev/shm")


def _stop(error: ServiceError) -> NoReturn:
    print(f"Error: {error.sentence}.\n{error.hint}", file=sys.stderr)
    sys.exit(exit_code_of(error))


try:
    _settings = read_settings()
    _address = parse_address(_settings.api_bind)
except ServiceError as _error:
    _stop(_error)

_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

bind = [_address.bind]
workers = _settings.api_workers
worker_class = Worker
Protocol.timeout_s = _settings.api_request_timeout_s
# Of each worker; a further client replaces one that waits, see `Protocol.connection_made`.
worker_connections = max(16, min(1000, _files - _OTHER_FILES)) if _files != resource.RLIM_INFINITY else 1000
backlog = 1024
keepalive = 30
timeout = 30  # for a worker that hangs, which no client can cause
graceful_timeout = math.ceil(_settings.api_request_timeout_s) + 5
control_socket_disable = True
preload_app = False  # each worker opens its own store and files of metrics; `begin` imports the modules
worker_tmp_dir = str(_SHARED_MEMORY) if _SHARED_MEMORY.is_dir() else None  # heartbeats must not wait for a disk
proc_name = "transaction-summary-api"
accesslog = None  # api.middleware.request_log writes it
errorlog = "-"
logger_class = ServerLog


def when_ready(server: Any) -> None:
    """Log the startup report, and begin."""
    try:
        report = startup_report(_settings)
    except ServiceError as error:
        _stop(error)
    for line in report.lines(address_of(server)):
        server.log.info("%s", line)
    begin(server)


def begin(server: Any) -> None:
    """Prepare the master before its first worker."""
    server.handle_int = server.handle_term  # Ctrl-C lets requests in flight finish; a second one does not
    metric_files.begin()
    for module in _IMPORTED:
        import_module(module)
    gc.collect()
    gc.freeze()  # or a garbage collection in a worker would copy that memory


def address_of(server: Any) -> Address:
    """The address on which `server` listens, with the port chosen for 0."""
    name = server.LISTENERS[0].getsockname()
    return Address(name[0], name[1]) if isinstance(name, tuple) else _address


def on_reload(server: Any) -> None:
    """Before new workers are started, and the previous ones stopped."""
    HANDOVER.begin(server.worker_age + 1, server.cfg.workers)


def child_exit(server: Any, worker: Any) -> None:
    """After the end of a worker."""
    metric_files.process_died(worker.pid)


def on_exit(server: Any) -> None:
    """At the end of the master."""
    metric_files.end()

"""Each service of `docker-compose.yml`, run with the command, user, variables, volumes and health check there."""

from __future__ import annotations

import http.server
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest
from compose_config import SECRETS
from composed import composed, mounted_image, run_init_scripts
from containers import Container, Host, Image, wait_until

ADDRESS = "http://127.0.0.1:8000"
WEBHOOKS = "http://127.0.0.1:8080/"
VARIABLES = {
    "NOTIFY_SENDERS": "webhook=webhook",
    "NOTIFY_SWEEP_S": "1",
    "WEBHOOK_ALLOW_PRIVATE": "true",
    "WEBHOOK_SECRET": "webhooksecret",
}
EXPORT = "/exports/transaction.bson"
STALE_S = 1000


@pytest.fixture(scope="module")
def image(missing: Callable[[str], NoReturn]) -> Iterator[Image]:
    with mounted_image(missing) as made:
        yield made


@pytest.fixture(scope="module")
def host(image: Image, tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Iterator[Host]:
    """All services, with initialized volumes; the jobs run on request."""
    folder = tmp_path_factory.mktemp("host")
    folder.chmod(0o755)
    with composed(image, folder, missing, **VARIABLES) as made:
        run_init_scripts(made["mongodb"])
        made["mongodb"].stop()
        yield made


@pytest.fixture(scope="module")
def key(host: Host) -> str:
    """A key for the API, made where the API runs."""
    host.up("web")
    output = host["web"].succeed(["python", "-m", "api", "keys", "add", "office", "--summaries", "--notifications"])
    [token] = re.findall(r"\btss_\S+", output)
    return str(token)


@pytest.fixture(scope="module")
def rebuilt(host: Host) -> Host:
    host.up("mongodb")
    rebuild = ["rebuild", EXPORT, "--truncate", "--max-reject-ratio", "1"]
    host["jobs"].succeed([*host.services["jobs"]["entrypoint"], *rebuild])
    return host


@pytest.fixture
def received() -> Iterator[list[dict[str, Any]]]:
    """The requests that a webhook receiver got."""
    messages: list[dict[str, Any]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield messages
        server.shutdown()


def _ask(path: str, key: str, content: object = None, method: str = "GET") -> Any:
    request = urllib.request.Request(
        f"{ADDRESS}{path}",
        None if content is None else json.dumps(content).encode(),
        {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or "null")


def _age_heartbeat(container: Container) -> None:
    """Set back the time of the heartbeat file of a worker or of beat."""
    if file := container.environment.get("NOTIFY_PULSE_FILE"):
        long_ago = time.time() - STALE_S
        os.utime(container.tmpfs["/tmp"] / Path(file).name, (long_ago, long_ago))


def test_mongodb_is_not_healthy_while_its_init_scripts_run(
    image: Image, tmp_path: Path, missing: Callable[[str], NoReturn]
) -> None:
    tmp_path.chmod(0o755)
    with composed(image, tmp_path, missing) as made:
        mongodb = made["mongodb"]
        run_init_scripts(mongodb)
        user = [mongodb.environment[f"MONGO_{what}"] for what in ("USER", "PASSWORD", "DATABASE")]
        login = f"mongodb://{user[0]}:{user[1]}@127.0.0.1/{user[2]}"
        mongodb.succeed(
            ["env", "HOME=/tmp", "mongosh", "--norc", "--quiet", login, "--eval", "1"]
        )  # the user is there already
        assert not mongodb.is_healthy()
        mongodb.stop()
        mongodb.start()
        mongodb.wait_until_healthy()


def test_an_export_is_rebuilt_into_the_store_and_read_over_the_api_with_a_key(rebuilt: Host, key: str) -> None:
    summaries = _ask("/api/transactions/summary?mode=monthly&type=count", key)
    assert sum(summary["value"] for summary in summaries) > 0
    with pytest.raises(urllib.error.HTTPError, match="401"):
        _ask("/api/transactions/summary?mode=monthly&type=count", "")
    jobs = rebuilt["jobs"]
    assert "generation 1" in jobs.succeed(jobs.command())


def test_the_dashboard_has_its_scripts(host: Host) -> None:
    host.up("web")
    with urllib.request.urlopen(f"{ADDRESS}/", timeout=60) as page:
        [name] = re.findall(r"/assets/(summariespage-\w+\.js)", page.read().decode())
    with urllib.request.urlopen(f"{ADDRESS}/assets/{name}", timeout=60) as script:
        assert b"class SeriesChart" in script.read()


def test_no_kernel_is_compiled_in_a_container(rebuilt: Host) -> None:
    jobs = rebuilt["jobs"]
    rebuild = [*rebuilt.services["jobs"]["entrypoint"], "rebuild", EXPORT, "--truncate", "--max-reject-ratio", "1"]
    output = jobs.succeed(["env", "NUMBA_DEBUG_CACHE=1", *rebuild])
    assert re.search(r"\[cache\] data loaded from '/opt/kernels", output)
    assert "data saved" not in output


def test_rejected_documents_are_quarantined_on_the_volume(rebuilt: Host) -> None:
    [file, *_] = list((rebuilt.folder / "volumes" / "quarantine").rglob("*.jsonl*"))
    assert file.stat().st_mode & 0o777 == 0o600


def test_worker_and_beat_deliver_a_notification_lost_by_the_queue(
    host: Host, key: str, received: list[dict[str, Any]]
) -> None:
    host.up("web", "beat")
    assert host["celery"].stop() == 0
    _ask("/api/users/sara/contacts", key, {"contacts": {"webhook": WEBHOOKS}}, "PUT")
    message = {"user_id": "sara", "title": "Sales", "body": "Ten today.", "channels": ["webhook"]}
    made = _ask("/api/notifications", key, message, "POST")
    host["redis"].succeed(["redis-cli", "flushall"])
    host.up("celery")
    wait_until(lambda: received, lambda: host["celery"].log + host["beat"].log)
    assert (received[0]["title"], received[0]["body"]) == ("Sales", "Ten today.")
    wait_until(lambda: _ask(f"/api/notifications/{made['id']}", key)["status"] == "sent", lambda: host["celery"].log)
    assert len(received) == 1


def test_prometheus_can_scrape_the_worker(host: Host) -> None:
    host.up("celery")
    port = host["celery"].environment["NOTIFY_METRICS_PORT"]
    assert host.services["celery"]["expose"] == [port]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert b"transaction_summary_notifier" in answer.read()


@pytest.mark.parametrize("name", ["beat", "celery", "web", "redis", "mongodb"])
def test_a_service_is_healthy_until_it_stops(host: Host, name: str) -> None:
    container = host[name]
    host.up(name)
    _age_heartbeat(container)
    wait_until(container.is_healthy)
    assert container.stop() == 0, container.log
    _age_heartbeat(container)
    assert not container.is_healthy()
    host.up(name)


def test_redis_persists_its_data_and_needs_a_password(host: Host) -> None:
    host.up("redis")
    redis = host["redis"]
    redis.succeed(["redis-cli", "set", "kept", "yes"])
    assert "NOAUTH" in redis.run(["env", "--unset=REDISCLI_AUTH", "redis-cli", "get", "kept"]).stdout
    assert redis.stop() == 0
    host.up("redis")
    assert redis.succeed(["redis-cli", "get", "kept"]) == "yes\n"
    assert redis.succeed(["redis-cli", "config", "get", "maxmemory-policy"]).split()[-1] == "noeviction"


def test_web_is_healthy_before_the_first_rebuild_if_the_store_is_up(host: Host) -> None:
    host.up("web")
    host["mongodb"].stop()
    assert _ask("/healthz", "") == {"status": "ok"}
    wait_until(lambda: not host["web"].is_healthy())
    host.up("mongodb")
    wait_until(host["web"].is_healthy, lambda: host["web"].log)


def test_no_password_is_in_a_command_line(host: Host) -> None:
    host.up("web", "beat")
    commands = list(_command_lines())
    running = " ".join(word for words in commands for word in words)
    assert [name for name in ("gunicorn", "celery", "redis-server", "with_users") if name not in running] == []
    assert [words for words in commands if any(password in " ".join(words) for password in SECRETS.values())] == []
    for container in host.containers.values():
        words = " ".join([*container.command(), *(container.service.get("healthcheck") or {}).get("test", [])])
        assert not [password for password in SECRETS.values() if password in words]


def _command_lines() -> Iterator[list[str]]:
    """Those of the processes on this network but for bubblewrap, whose arguments have the variables of containers."""
    network = Path("/proc/self/ns/net").readlink()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended, or cannot be read
            words = file.read_text(errors="replace").rstrip("\0").split("\0")
            if Path(words[0]).name != "bwrap" and (file.parent / "ns" / "net").readlink() == network:
                yield words

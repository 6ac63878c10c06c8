"""The examples of schedules, by the tools that would run them: systemd, cron, a shell, the schemas of Kubernetes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

import kubernetes_validate
import pytest
import yaml
from command_line import warm_server
from mongo_ways import with_option
from pages import ROOT, blocks
from parsing import require_parseable
from pymongo import MongoClient
from sandbox import make_environment
from unmeasured import unmeasured

from core.settings import Settings

PAGE: Final = "docs/scheduling.md"
TEXT: Final = (ROOT / PAGE).read_text()
VARIABLES, *UNITS = blocks(PAGE, "ini")
CRONTABS: Final = [block.text for block in blocks(PAGE, "cron")]
MANIFESTS: Final[list[dict[str, Any]]] = [yaml.safe_load(block.text) for block in blocks(PAGE, "yaml")]
(SCRIPT,) = blocks(PAGE, "bash")
UNIT_NAMES: Final = re.findall(r"`/etc/systemd/system/([\w-]+\.\w+)`", TEXT)
ENVIRONMENT_D: Final = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")
HELPERS: Final = Path(__file__).parent / "helpers"

Missing = Callable[[str], NoReturn]


def tool(name: str, missing: Missing) -> str:
    """The path of a program of the system."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed: it checks the examples of schedules")
    return found


def moved(text: str, folder: Path) -> str:
    """`text` with the places of the examples in `folder`."""
    for place in ("/opt/summaries", "/etc/summaries.env", "/var/log/summaries", "/var/lib/summaries"):
        text = text.replace(place, str(folder / place.rpartition("/")[2] if "/opt" in place else folder / place[1:]))
    return text


@pytest.fixture
def installed(tmp_path: Path, missing: Missing) -> Path:
    """A folder that has what the examples name: the environment, the script, the folders of logs and exports."""
    program = tmp_path / "summaries"
    make_environment(program / ".venv/bin", warm_server().fileno())
    for name in ("var/log/summaries", "var/lib/summaries", "etc"):
        (tmp_path / name).mkdir(parents=True)
    script = program / "nightly-export.sh"
    script.write_text(moved(SCRIPT.text, tmp_path))
    script.chmod(0o755)
    return tmp_path


def test_systemd_accepts_every_unit(installed: Path, missing: Missing) -> None:
    assert len(UNIT_NAMES) == len(UNITS) == 4
    analyze = tool("systemd-analyze", missing)
    for name, unit in zip(UNIT_NAMES, UNITS, strict=True):
        (installed / name).write_text(moved(unit.text, installed))
    said = subprocess.run(
        [analyze, "verify", *(installed / name for name in UNIT_NAMES)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")  # it ends well, too, after lines that it would ignore


@pytest.mark.parametrize("crontab", CRONTABS)
def test_cron_accepts_every_table(crontab: str, tmp_path: Path, missing: Missing) -> None:
    program = tool("crontab", missing)
    (tmp_path / "summaries.cron").write_text(crontab)
    said = subprocess.run(
        [program, "-n", tmp_path / "summaries.cron"], capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode == 0, said.stderr
    assert "%" not in crontab  # which cron takes for the end of the command


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: str(manifest["metadata"]["name"]))
@pytest.mark.parametrize("version", ["1.28", kubernetes_validate.latest_version()])
def test_kubernetes_accepts_every_manifest(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def _containers(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if manifest["kind"] == "CronJob":
        pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        yield from (*pod.get("initContainers", ()), *pod["containers"])


def test_files_named_in_manifests_exist() -> None:
    (secret,) = (one for one in MANIFESTS if one["kind"] == "Secret")
    assert {name.lower() for name in secret["stringData"]} <= Settings.model_fields.keys()
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    images = {service.get("image") for service in services.values()}
    for container in (one for manifest in MANIFESTS for one in _containers(manifest)):
        assert container["image"] in images
        for source in container.get("envFrom", ()):
            assert source["secretRef"]["name"] == secret["metadata"]["name"]
        for variable in container.get("env", ()):
            assert variable["valueFrom"]["secretKeyRef"]["key"] in secret["stringData"]
        if "command" in container:
            subprocess.run([*container["command"][:1], "-n", "-c", *container["args"]], timeout=60, check=True)


def test_every_documented_command_can_be_parsed() -> None:
    texts = [*CRONTABS, *(unit.text for unit in UNITS)]
    found = [call for text in texts for call in re.findall(r"python -m jobs[^\n>]*", text)]
    found += [shlex.join(one["args"]) for job in MANIFESTS for one in _containers(job) if "command" not in one]
    for call in found:
        require_parseable(call)
    assert len(found) == 5


URLS: Final = {
    "SOURCE_URL": "mongodb://reader:s3cret@db1.example,db2.example/shop?replicaSet=rs0&readPreference=secondaryPreferred",
    "STORE_URL": "mongodb://summaries:s3cret@db1.example,db2.example/summaries?replicaSet=rs0&retryWrites=true",
}


def test_urls_are_quoted_correctly_for_shell_systemd_and_kubernetes(tmp_path: Path, missing: Missing) -> None:
    folder = tmp_path / "environment.d"
    folder.mkdir()
    (folder / "summaries.conf").write_text(VARIABLES.text)
    by_shell = subprocess.run(
        ["sh", "-c", f"set -a && . {folder}/summaries.conf && exec env -0"],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = dict(line.split("=", 1) for line in by_shell.stdout.split("\0") if line)
    assert {name: said.get(name) for name in URLS} == URLS
    (secret,) = (one for one in MANIFESTS if one["kind"] == "Secret")
    assert secret["stringData"] == URLS
    # What reads environment.d takes quotes off as EnvironmentFile does, and needs no running systemd.
    if not ENVIRONMENT_D.exists():
        missing("systemd is not installed: it reads the file of variables")
    by_systemd = subprocess.run(
        [ENVIRONMENT_D], env={"XDG_CONFIG_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=True
    )
    read = dict(line.split("=", 1) for line in by_systemd.stdout.splitlines())
    assert {name: read[name].strip('"') for name in URLS} == URLS


@pytest.fixture
def shop(mongo_database_url: str) -> Iterator[str]:
    """The URL of a live collection with an ``&``: a transaction on each of the last 20 days."""
    url = with_option(with_option(mongo_database_url, "retryWrites=false"), "appName=schedule")
    assert "&" in url
    today = datetime.now(UTC)
    with MongoClient[dict[str, Any]](url) as client:
        client.get_default_database()["transaction"].insert_many(
            {"merchantId": "a", "amount": 1, "createdAt": today - timedelta(days=days)} for days in range(20)
        )
        yield url


def _write_variables(installed: Path, **variables: str) -> None:
    lines = [f"{name}='{value}'\n" for name, value in variables.items()]
    (installed / "etc/summaries.env").write_text("".join(lines))


def _call(command: str, installed: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as cron does: by ``sh``, in another folder, with few variables."""
    kept = {name: os.environ[name] for name in ("HOME", "NUMBA_CACHE_DIR") if name in os.environ}
    path = f"{installed}/bin:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", moved(command, installed)],
        cwd="/",
        env=unmeasured(kept) | {"PATH": path, "PYTHONPATH": f"{ROOT}:{ROOT}/tests/jobs/helpers"} | variables,
        pass_fds=[warm_server().fileno()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _commands(crontab: str) -> list[str]:
    return [re.split(r"\s+", line, maxsplit=5)[5] for line in crontab.splitlines()]


def _logged(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_the_commands_of_cron_work_unchanged(installed: Path, shop: str) -> None:
    refresh, verify = _commands(CRONTABS[0])
    _write_variables(installed, SOURCE_URL=shop, STORE_URL=f"sqlite:///{installed}/s.db")
    for _ in range(2):
        said = _call(refresh, installed)
        assert (said.returncode, said.stdout) == (0, ""), said.stderr
    logged = _logged(installed / "var/log/summaries/refresh.log")
    assert [one["run"]["status"] for one in logged] == ["published", "unchanged"]
    verified = _call(verify, installed)
    assert verified.returncode == 0
    assert verified.stdout.startswith("Recounted 20 documents and compared the days from the first day to ")


def test_a_nightly_export_replaces_the_last_days_or_all(installed: Path, shop: str) -> None:
    """`mongodump` is in no package registry: a script writes the archive that it would, of the same collection."""
    last_days, everything = _commands(CRONTABS[1])
    everything = everything.replace("s3://backups/shop", "/var/lib/summaries")
    (installed / "bin").mkdir()
    (installed / "bin/mongodump").write_text(
        '#!/bin/sh\n[ -z "$LOST" ] || { printf cut; exit 1; }\n[ -z "$HUNG" ] || { printf cut; sleep 60; }\n'
        f'exec {sys.executable} {HELPERS}/dump.py "$@"\n'
    )
    # A stop signal reaches the whole group of processes, and so perhaps also what removes the incomplete export.
    (installed / "bin/rm").write_text(f'#!/bin/sh\n[ -z "$HUNG" ] || kill -TERM 0\nexec {shutil.which("rm")} "$@"\n')
    for name in ("mongodump", "rm"):
        (installed / "bin" / name).chmod(0o755)
    _write_variables(installed, SOURCE_URL=shop, STORE_URL=f"sqlite:///{installed}/s.db")
    log = installed / "var/log/summaries/export.log"
    said = _call(everything, installed)
    assert said.returncode == 0, said.stderr
    assert _logged(log)[-1]["published"]["total_count"] == 20
    with MongoClient[dict[str, Any]](shop) as client:
        collection = client.get_default_database()["transaction"]
        days_ago = {days: datetime.now(UTC) - timedelta(days=days) for days in (3, 15)}
        collection.insert_many({"merchantId": "b", "amount": 1, "createdAt": at} for at in days_ago.values())
    said = _call(last_days, installed)
    assert said.returncode == 0, said.stderr
    ended = _logged(log)[-1]
    assert ended["published"]["total_count"] == 21, "the change 15 days ago is not among the last 7 days"
    assert ended["run"]["counts"]["out_of_range"] in (1, 2, 3)
    assert 10 <= ended["run"]["counts"]["read"] <= 11
    exports = list((installed / "var/lib/summaries").iterdir())
    assert all(export.name.endswith(".archive.gz") for export in exports)
    assert {export.stat().st_mode & 0o077 for export in exports} == {0}

    failed = _call(everything, installed, LOST="the connection")
    assert failed.returncode != 0
    assert len(_logged(log)) == 2, "a dump that fails is not rebuilt from"
    hung = _call(everything.replace(" 8h ", " 1 "), installed, HUNG="the connection")
    assert hung.returncode == 124
    assert sorted((installed / "var/lib/summaries").iterdir()) == sorted(exports), "nothing is left of either"

"""`docker-compose.yml`, as parsed by Compose itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from compose_config import ROOT, SECRETS, build, compose, services
from containers import seconds
from pydantic import SecretStr

from core.settings import Settings
from stack.programs import commands

OURS = ("web", "celery", "beat", "jobs")
OF_THE_IMAGE = {"API_BIND", "QUARANTINE_DIR"}
"""Settings that the image has set; tests/image runs with them."""
TEXT = (ROOT / "docker-compose.yml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
PAGE = (ROOT / "docs/docker.md").read_text()
DEFAULTS = Settings.model_fields


@pytest.fixture(scope="module")
def found(missing: Callable[[str], NoReturn]) -> dict[str, Any]:
    build(missing)
    return services()


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.usefixtures("found")
def test_nothing_starts_without_a_password(name: str) -> None:
    ended = compose({other: value for other, value in SECRETS.items() if other != name})
    assert ended.returncode == 1
    assert f"{name} is missing a value: set it in .env" in ended.stderr
    assert compose(SECRETS | {name: ""}).returncode == 1


def test_one_service_builds_the_image_that_the_others_use(found: dict[str, Any]) -> None:
    assert [name for name, service in found.items() if "build" in service] == ["web"]
    assert {found[name]["image"] for name in OURS} == {"transaction-summary:local"}
    assert {name for name in OURS if found[name].get("pull_policy") == "never"} == set(OURS) - {"web"}


@pytest.mark.parametrize(
    ("name", "program"), [("web", "web"), ("celery", "worker"), ("beat", "beat"), ("jobs", "jobs")]
)
def test_a_service_runs_the_command_of_the_procfile(found: dict[str, Any], name: str, program: str) -> None:
    service = found[name]
    command = service.get("entrypoint") or service.get("command") or command_of_image()
    assert command == commands()[program]


def command_of_image() -> list[str]:
    """The default command of the image."""
    [command] = re.findall(r"(?m)^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text())
    words: list[str] = json.loads(command)
    return words


@pytest.mark.usefixtures("found")
def test_the_stop_grace_period_covers_the_shutdown_time() -> None:
    settings = Settings(notify_lease_s=300.5, api_request_timeout_s=60)
    given = services(NOTIFY_LEASE_S="300.5", API_REQUEST_TIMEOUT_S="60", API_STOP_S="70")
    assert seconds(given["web"]["stop_grace_period"]) > settings.api_request_timeout_s + 5
    assert seconds(given["celery"]["stop_grace_period"]) >= settings.notify_lease_s


def test_every_setting_is_passed_to_a_service(found: dict[str, Any]) -> None:
    handed = OF_THE_IMAGE | {name for one in OURS for name in found[one]["environment"]}
    assert {name.upper() for name in DEFAULTS} - handed == set()


def test_only_settings_and_one_polars_variable_are_passed(found: dict[str, Any]) -> None:
    handed = {name for one in OURS for name in found[one]["environment"]}
    assert handed - {name.upper() for name in DEFAULTS} == {"POLARS_MAX_THREADS"}


def test_the_number_of_threads_equals_the_cpu_limit_of_the_worker(found: dict[str, Any]) -> None:
    allowed = float(found["celery"]["deploy"]["resources"]["limits"]["cpus"])
    for name in ("celery", "jobs"):
        environment = found[name]["environment"]
        assert float(environment["THREADS"]) == float(environment["POLARS_MAX_THREADS"]) == allowed


@pytest.mark.usefixtures("found")
def test_cpu_limits_fit_a_machine_with_one_cpu() -> None:
    limits = [service["deploy"]["resources"]["limits"] for service in services(CPUS="1").values()]
    assert {float(limit["cpus"]) for limit in limits if "cpus" in limit} == {1.0}


def test_only_the_services_that_need_secrets_get_them(found: dict[str, Any]) -> None:
    secrets = {name.upper() for name, setting in DEFAULTS.items() if isinstance(setting.default, SecretStr)}
    everywhere = {"CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"}
    assert set(found["web"]["environment"]) & secrets == everywhere
    assert set(found["beat"]["environment"]) & secrets == everywhere
    assert set(found["celery"]["environment"]) & secrets == secrets
    assert set(found["jobs"]["environment"]) & secrets == {"SOURCE_URL"}


@pytest.mark.usefixtures("found")
def test_variables_of_the_env_file_override_the_defaults_of_settings() -> None:
    given = services(TIME_ZONE="Asia/Kabul", SMTP_HOST="mail.example")
    assert {given[name]["environment"]["TIME_ZONE"] for name in OURS} == {"Asia/Kabul"}
    assert given["celery"]["environment"]["SMTP_HOST"] == "mail.example"
    assert given["celery"]["environment"]["SMTP_PORT"] is None


def test_env_example_has_every_variable_once_with_its_default(found: dict[str, Any]) -> None:
    named = re.findall(r"(?m)^(?:# )?([A-Z][A-Z_]+)=(.*)$", EXAMPLE)
    example = dict(named)
    assert len(example) == len(named)
    open_ones = {name for one in OURS for name, value in found[one]["environment"].items() if value is None}
    interpolated = dict(re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?", TEXT))
    assert set(example) == open_ones | set(interpolated)
    defaults = {name.upper(): _shown(setting.default) for name, setting in DEFAULTS.items()}
    effective = {name: default or defaults.get(name, "") for name, default in interpolated.items()}
    assert example == effective | {name: defaults[name] for name in open_ones}


def _shown(value: object) -> str:
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(plain, bool):
        return str(plain).lower()
    return f"{plain:.10g}" if isinstance(plain, float) else str(plain)


def test_the_documentation_uses_existing_services_and_programs(found: dict[str, Any]) -> None:
    called = re.findall(r"(?m)^docker compose (?:exec|run --rm) (\w+) (?:python -m (\w+))?", PAGE)
    assert {service for service, _ in called} >= {"web", "celery", "jobs"}
    assert {service for service, _ in called} <= found.keys()
    assert {module for _, module in called} <= {"", "api", "notifier"}

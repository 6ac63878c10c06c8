"""What `docker-compose.yml` promises, as Compose itself reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from compose_config import ROOT, SECRETS, build, compose, services
from containers import seconds
from image_parts import stages
from pydantic import SecretStr

from core.settings import Settings

OURS = ("web", "celery", "beat", "jobs")
TEXT = (ROOT / "docker-compose.yml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
README = (ROOT / "README.md").read_text()
DEFAULTS = Settings.model_fields


@pytest.fixture(scope="module")
def found(missing: Callable[[str], NoReturn]) -> dict[str, Any]:
    build(missing)
    return services()


def test_it_has_the_five_services_and_the_jobs_for_when_they_are_asked_for(found: dict[str, Any]) -> None:
    assert set(found) == {"web", "celery", "beat", "redis", "mongodb", "jobs"}
    assert [name for name, service in found.items() if service.get("profiles")] == ["jobs"]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.usefixtures("found")
def test_nothing_starts_without_a_password(name: str) -> None:
    ended = compose({other: value for other, value in SECRETS.items() if other != name})
    assert ended.returncode == 1
    assert f"{name} is missing a value: set it in .env" in ended.stderr
    assert compose(SECRETS | {name: ""}).returncode == 1


def test_passwords_are_in_variables_and_in_no_command(found: dict[str, Any]) -> None:
    for service in found.values():
        shown = str([service.get(key) for key in ("command", "entrypoint", "healthcheck", "labels", "build")])
        assert not [password for password in SECRETS.values() if password in shown]


def test_only_the_api_has_a_port_and_only_on_loopback(found: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in found.items() if service.get("ports")}
    assert list(ports) == ["web"]
    assert [(port["host_ip"], port["target"]) for port in ports["web"]] == [("127.0.0.1", 8000)]


def test_a_prometheus_inside_finds_the_numbers_of_the_worker(found: dict[str, Any]) -> None:
    celery = found["celery"]
    assert celery["environment"]["NOTIFY_METRICS_HOST"] == "0.0.0.0"
    assert [str(port) for port in celery["expose"]] == [celery["environment"]["NOTIFY_METRICS_PORT"]]
    assert "inside" in celery["networks"]


def test_the_stores_are_reached_from_inside_only(found: dict[str, Any]) -> None:
    assert [set(found[name]["networks"]) for name in ("redis", "mongodb")] == [{"inside"}, {"inside"}]
    assert re.search(r"inside:\n    internal: true", TEXT)


def test_each_waits_until_what_it_needs_is_healthy(found: dict[str, Any]) -> None:
    waits = {name: set(service.get("depends_on", {})) for name, service in found.items()}
    assert waits["web"] == waits["celery"] == {"mongodb", "redis"}
    assert waits["beat"] == {"redis", "celery"}
    assert waits["jobs"] == {"mongodb"}
    conditions = [need["condition"] for service in found.values() for need in service.get("depends_on", {}).values()]
    assert set(conditions) == {"service_healthy"}
    assert all("test" in found[name]["healthcheck"] for name in ("celery", "beat", "redis", "mongodb"))


def test_every_service_has_limits_and_logs_that_end(found: dict[str, Any]) -> None:
    for service in found.values():
        limits = service["deploy"]["resources"]["limits"]
        assert int(limits["memory"]) >= 2**28
        assert limits["pids"] > 0
        assert service["logging"]["options"]["max-size"] == "10m"


@pytest.mark.parametrize("name", OURS)
def test_ours_may_do_nothing_but_write_to_tmp(found: dict[str, Any], name: str) -> None:
    service = found[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert "user" not in service  # that of the image
    assert stages()[""].all("USER") == ["10001:10001"]


def test_data_is_on_named_volumes(found: dict[str, Any]) -> None:
    named = {
        (name, volume["source"], volume["target"])
        for name, service in found.items()
        for volume in service.get("volumes", [])
        if volume["type"] == "volume"
    }
    assert {("mongodb", "mongodb", "/data/db"), ("redis", "redis", "/data")} <= named
    assert ("jobs", "quarantine", "/quarantine") in named
    assert stages()[""].environment()["QUARANTINE_DIR"] == "/quarantine"


def test_files_of_the_repository_that_are_mounted_are_there(found: dict[str, Any]) -> None:
    mounted = [volume for service in found.values() for volume in service.get("volumes", [])]
    sources = {volume["source"] for volume in mounted if volume["type"] == "bind"} - {str(ROOT / "exports")}
    assert len(sources) == 3
    assert all((ROOT / source).is_file() for source in sources)


def test_redis_keeps_its_queue_in_an_append_only_file_and_never_throws_a_message_out() -> None:
    settings = (ROOT / "docker" / "redis.conf").read_text()
    assert "\nappendonly yes\n" in settings
    assert "\nmaxmemory-policy noeviction\n" in settings


def test_containers_are_given_the_time_that_their_programs_take_to_end(found: dict[str, Any]) -> None:
    settings = Settings()
    assert seconds(found["web"]["stop_grace_period"]) > settings.api_request_timeout_s + 5
    assert seconds(found["celery"]["stop_grace_period"]) >= settings.notify_lease_s
    longer = services(NOTIFY_LEASE_S="300.5", API_STOP_S="60")
    assert seconds(longer["celery"]["stop_grace_period"]) == 300.5
    assert seconds(longer["web"]["stop_grace_period"]) == 60


def test_every_setting_is_handed_to_a_service(found: dict[str, Any]) -> None:
    handed = set(stages()[""].environment()) | {name for one in OURS for name in found[one]["environment"]}
    assert {name.upper() for name in DEFAULTS} - handed == set()


def test_beside_settings_only_a_variable_of_polars_is_handed_to_ours(found: dict[str, Any]) -> None:
    handed = {name for one in OURS for name in found[one]["environment"]}
    assert handed - {name.upper() for name in DEFAULTS} == {"POLARS_MAX_THREADS"}


def test_threads_are_as_many_as_the_processors_that_the_worker_may_use(found: dict[str, Any]) -> None:
    allowed = float(found["celery"]["deploy"]["resources"]["limits"]["cpus"])
    for name in ("celery", "jobs"):
        environment = found[name]["environment"]
        assert float(environment["THREADS"]) == float(environment["POLARS_MAX_THREADS"]) == allowed


def test_on_one_processor_no_container_asks_for_more() -> None:
    limits = [service["deploy"]["resources"]["limits"] for service in services(CPUS="1").values()]
    assert {float(limit["cpus"]) for limit in limits if "cpus" in limit} == {1.0}


def test_the_secrets_of_gateways_and_the_source_are_not_everywhere(found: dict[str, Any]) -> None:
    secrets = {name.upper() for name, setting in DEFAULTS.items() if isinstance(setting.default, SecretStr)}
    everywhere = {"CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"}
    assert set(found["web"]["environment"]) & secrets == everywhere
    assert set(found["beat"]["environment"]) & secrets == everywhere
    assert set(found["celery"]["environment"]) & secrets == secrets
    assert set(found["jobs"]["environment"]) & secrets == {"SOURCE_URL"}


def test_a_variable_of_env_reaches_the_programs_and_the_rest_have_the_defaults_of_the_settings() -> None:
    given = services(TIME_ZONE="Asia/Kabul", SMTP_HOST="mail.example")
    assert {given[name]["environment"]["TIME_ZONE"] for name in OURS} == {"Asia/Kabul"}
    assert given["celery"]["environment"]["SMTP_HOST"] == "mail.example"
    assert given["celery"]["environment"]["SMTP_PORT"] is None


def test_the_example_names_every_variable_once_with_the_default_that_is_in_force(found: dict[str, Any]) -> None:
    named = re.findall(r"(?m)^(?:# )?([A-Z][A-Z_]+)=(.*)$", EXAMPLE)
    example = dict(named)
    assert len(example) == len(named)
    open_ones = {name for one in OURS for name, value in found[one]["environment"].items() if value is None}
    interpolated = dict(re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?", TEXT))
    assert set(example) == open_ones | set(interpolated)
    defaults = {name.upper(): _shown(setting.default) for name, setting in DEFAULTS.items()}
    in_force = {name: default or defaults.get(name, "") for name, default in interpolated.items()}
    assert example == in_force | {name: defaults[name] for name in open_ones}


def _shown(value: object) -> str:
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(plain, bool):
        return str(plain).lower()
    return f"{plain:.10g}" if isinstance(plain, float) else str(plain)


def test_the_readme_speaks_of_services_that_there_are(found: dict[str, Any]) -> None:
    called = re.findall(r"(?m)^docker compose (?:exec|run --rm) (\w+) (?:python -m (\w+))?", README)
    assert {service for service, _ in called} == {"web", "celery", "jobs"}
    assert {service for service, _ in called} <= found.keys()
    assert {module for _, module in called} <= {"", "api", "notifier"}

"""The manifests of `kubernetes/` and docs/kubernetes.md are valid, and run what `docker-compose.yml` runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import kubernetes_validate
import make_kubernetes
import pytest
import yaml
from compose_config import ROOT, build, services
from containers import seconds

from stack.programs import commands

FOLDER = ROOT / "kubernetes"
SERVICES = {"web": "web", "worker": "celery", "beat": "beat", "jobs": "jobs"}
"""The names of the programs here, and in the compose file."""
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
IN_DOCUMENTS = [
    manifest for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE) for manifest in yaml.safe_load_all(block)
]
VERSIONS = ("1.31", kubernetes_validate.latest_version())


def manifests() -> Iterator[dict[str, Any]]:
    for file in sorted(FOLDER.glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())


ALL = {(one["kind"], one["metadata"]["name"]): one for one in manifests() if one["kind"] != "Kustomization"}


@pytest.fixture(scope="module")
def compose(missing: Callable[[str], NoReturn]) -> dict[str, Any]:
    build(missing)
    return services()


def pod(program: str) -> dict[str, Any]:
    if program == "jobs":
        return dict(ALL["CronJob", "summaries-refresh"]["spec"]["jobTemplate"]["spec"]["template"]["spec"])
    return dict(ALL["Deployment", f"summaries-{program}"]["spec"]["template"]["spec"])


def container(program: str) -> dict[str, Any]:
    [only] = pod(program)["containers"]
    return dict(only)


def variables(program: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in container(program)["envFrom"]:
        [(kind, reference)] = source.items()
        values = ALL[{"configMapRef": "ConfigMap", "secretRef": "Secret"}[kind], reference["name"]]
        found |= values.get("data") or values["stringData"]
    for variable in container(program).get("env", []):
        reference = variable["valueFrom"]["configMapKeyRef"]
        found[variable["name"]] = ALL["ConfigMap", reference["name"]]["data"][reference["key"]]
    return found


def limits(container: dict[str, Any]) -> tuple[int, str | None]:
    """The bytes of memory and the processors that a container may use."""
    found = container["resources"]["limits"]
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", found["memory"]).groups()  # type: ignore[union-attr]
    return int(number) * {"Mi": 2**20, "Gi": 2**30}[unit], found.get("cpu")


def limits_in_compose(service: dict[str, Any]) -> tuple[int, str | None]:
    found = service["deploy"]["resources"]["limits"]
    return int(found["memory"]), str(int(found["cpus"])) if "cpus" in found else None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", [pytest.param(one, id="-".join(key)) for key, one in ALL.items()])
def test_a_manifest_is_valid(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_the_manifests_in_the_documentation_are_valid() -> None:
    assert [manifest["kind"] for manifest in IN_DOCUMENTS] == ["Service", "StatefulSet"] * 2
    for manifest in IN_DOCUMENTS:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("name", ["redis", "mongodb"])
def test_the_documented_stores_run_as_in_the_compose_file(compose: dict[str, Any], name: str) -> None:
    service = compose[name]
    [spec] = [one["spec"] for one in IN_DOCUMENTS if (one["kind"], one["metadata"]["name"]) == ("StatefulSet", name)]
    [store] = spec["template"]["spec"]["containers"]
    assert (store["image"], store.get("command")) == (service["image"], service.get("command"))
    [secret] = re.findall(rf"secret generic {name} ((?:.*\\\n)*.*)", PAGE)
    assert store["envFrom"] == [{"secretRef": {"name": name}}]
    assert set(re.findall(r"--from-literal=(\w+)=", secret)) == service["environment"].keys()
    mounted = {mount["mountPath"] for mount in store["volumeMounts"]}
    assert mounted == {volume["target"] for volume in service["volumes"]} | {*service.get("tmpfs", [])}
    shell, check = service["healthcheck"]["test"]
    # The name of the service is known here only when the pod is ready.
    assert (shell, store["readinessProbe"]["exec"]["command"][-1].replace('"$HOSTNAME"', name)) == ("CMD-SHELL", check)
    assert limits(store) == limits_in_compose(service)
    grace_s = spec["template"]["spec"].get("terminationGracePeriodSeconds", 30)
    assert grace_s >= seconds(service["stop_grace_period"])


def test_the_settings_are_those_of_the_compose_file() -> None:
    made = list(yaml.safe_load_all((FOLDER / "settings.yaml").read_text()))
    assert made == make_kubernetes.manifests(), "run `make docs`"


@pytest.mark.parametrize("program", SERVICES)
def test_a_program_has_the_command_of_the_procfile(program: str) -> None:
    assert container(program)["command"] == commands()[program]


@pytest.mark.parametrize("program", SERVICES)
def test_a_program_has_the_variables_of_its_service(compose: dict[str, Any], program: str) -> None:
    service, found = compose[SERVICES[program]], variables(program)
    assert found.keys() == service["environment"].keys()
    given = {name: value for name, value in service["environment"].items() if value is not None}
    hidden = make_kubernetes.secrets()
    assert {name: found[name] for name in given if name not in hidden} == {
        name: value for name, value in given.items() if name not in hidden
    }
    assert {name: value for name, value in found.items() if name not in given and name not in hidden} == {
        name: make_kubernetes.default(name) for name in found if name not in given and name not in hidden
    }


@pytest.mark.parametrize("program", SERVICES)
def test_a_program_has_the_limits_of_its_service(compose: dict[str, Any], program: str) -> None:
    assert limits(container(program)) == limits_in_compose(compose[SERVICES[program]])


@pytest.mark.parametrize("program", SERVICES)
def test_a_container_is_unprivileged_with_a_read_only_file_system(program: str) -> None:
    assert pod(program)["securityContext"]["runAsNonRoot"] is True
    assert pod(program)["securityContext"]["runAsUser"] == 10001
    assert container(program)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["mountPath"] for mount in container(program)["volumeMounts"]}
    assert mounted == {"/tmp", *(["/quarantine"] if program in ("worker", "jobs") else [])}


@pytest.mark.parametrize(
    ("program", "probe"), [("web", "readinessProbe"), ("worker", "livenessProbe"), ("beat", "livenessProbe")]
)
def test_a_probe_equals_the_health_check_of_the_service(compose: dict[str, Any], program: str, probe: str) -> None:
    assert ["CMD", *container(program)[probe]["exec"]["command"]] == compose[SERVICES[program]]["healthcheck"]["test"]


def test_the_termination_grace_period_covers_the_shutdown_time(compose: dict[str, Any]) -> None:
    for program, name in SERVICES.items():
        least = seconds(compose[name].get("stop_grace_period", "10s"))
        assert pod(program)["terminationGracePeriodSeconds"] >= least


def test_beat_never_runs_twice() -> None:
    spec = ALL["Deployment", "summaries-beat"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_all_manifests_but_the_secrets_are_applied_together() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert {*listed, "secrets.yaml", "kustomization.yaml"} == {file.name for file in FOLDER.glob("*.yaml")}

"""The contents of the image: size, permissions, packages."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import make_pins
import pytest
from composed import OURS, composed, mounted_image
from containers import Host, Image

MOST_OF_PACKAGES = 600 * 10**6
WRITABLE = ("/tmp", "/var/tmp", "/run/lock", "/quarantine")
"""For everyone, as in every Debian; on a read-only file system only what is mounted there, and the volume."""


@pytest.fixture(scope="module")
def image(missing: Callable[[str], NoReturn]) -> Iterator[Image]:
    with mounted_image(missing) as made:
        yield made


@pytest.fixture(scope="module")
def host(image: Image, tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    folder.chmod(0o755)
    with composed(image, folder, missing) as made:
        yield made


def _folder(image: Image) -> Path:
    assert image.folder is not None
    return image.folder


def _size(folder: Path) -> int:
    files = (path.lstat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum({(found.st_dev, found.st_ino): found.st_size for found in files}.values())


def test_the_packages_in_the_image_take_at_most_600_mb(image: Image) -> None:
    packages = _size(_folder(image) / "opt" / "venv")
    assert 300 * 10**6 < packages <= MOST_OF_PACKAGES, f"{packages / 10**6:.0f} MB"
    print(f"packages: {packages / 10**6:.0f} MB, image: {_size(_folder(image)) / 10**6:.0f} MB")


def test_the_image_has_only_the_pinned_runtime_packages(host: Host, image: Image) -> None:
    found = _installed(host)
    for_here = {_name(pin.partition(" ;")[0]) for pin in make_pins.pinned("requirements.txt") if " ;" not in pin}
    assert for_here <= found
    assert {pin.partition("==")[0] for pin in found}.isdisjoint({"pip", "setuptools", "pytest"})
    assert host["jobs"].run(["python", "-m", "pip", "--version"]).returncode != 0


def _installed(host: Host) -> set[str]:
    listing = "import importlib.metadata as m; print(*{f'{d.name}=={d.version}'.lower() for d in m.distributions()})"
    return {_name(pin) for pin in host["jobs"].succeed(["python", "-c", listing]).split()}


def _name(pin: str) -> str:
    name, _, version = pin.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name)}=={version}"


def test_the_image_lists_its_packages_with_versions_and_licences(host: Host, image: Image) -> None:
    listed = json.loads((_folder(image) / "opt" / "sbom.cdx.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    components = listed["components"]
    assert {_name(f"{one['name']}=={one['version']}".lower()) for one in components} == _installed(host)
    assert sum("licenses" in one for one in components) > 0.9 * len(components)  # a few declare none that is known


@pytest.mark.parametrize("module", ["jobs", "api", "notifier"])
def test_every_program_starts_in_the_image(host: Host, module: str) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", host["jobs"].succeed(["python", "-m", module, "--version"]))


def test_the_image_user_can_write_only_to_its_folders(image: Image) -> None:
    user, group = image.user
    assert user == group == 10001
    root = _folder(image)
    found = []
    for folder, folders, files in os.walk(root):
        place = Path("/", Path(folder).relative_to(root))
        if str(place) in WRITABLE:
            folders.clear()
            continue
        for path in (Path(folder, name) for name in (*folders, *files)):
            shown = path.lstat()
            own = shown.st_uid == user or shown.st_gid == group
            inside = str(place / path.name) in WRITABLE
            kept = stat.S_ISREG(shown.st_mode) or stat.S_ISDIR(shown.st_mode)  # not devices, nor links
            if kept and not inside and (own or shown.st_mode & stat.S_IWOTH):
                found.append(place / path.name)
    assert found == []


@pytest.mark.parametrize(("name", "user"), [*((name, "summaries") for name in OURS), ("redis", "redis")])
def test_a_service_writes_only_to_its_tmpfs_and_volumes(host: Host, name: str, user: str) -> None:
    container = host[name]
    volumes = [volume for volume in container.service.get("volumes") or [] if not volume.get("read_only")]
    allowed = {*container.tmpfs, "/dev/shm", *(volume["target"] for volume in volumes)}
    tried = "find / -path /proc -prune -o -type d -writable -print 2>/dev/null || true"
    assert set(container.succeed(["sh", "-c", tried]).split()) == allowed
    assert container.succeed(["id", "-un"]) == f"{user}\n"
    output = container.succeed(["cat", "/proc/self/status"])
    assert set(re.findall(r"(?m)^Cap\w+:\s+(\w+)$", output)) == {"0" * 16}
    assert re.search(r"(?m)^NoNewPrivs:\s+1$", output)


@pytest.mark.parametrize("name", OURS)
def test_a_service_leaves_no_zombie_process(host: Host, name: str) -> None:
    orphan = """
import os, time
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    if os.fork() == 0:
        os.write(writing, str(os.getpid()).encode())
    os._exit(0)
os.waitpid(child, 0)
grandchild = os.read(reading, 9).decode()
while os.path.exists(f"/proc/{grandchild}"):
    time.sleep(0.01)
print("ended")
time.sleep(1000)
"""
    container = host[name]
    container.start(["python", "-c", orphan])
    container.wait_until(lambda: container.log.endswith("ended\n"))
    container.end()

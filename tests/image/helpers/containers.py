"""Services of the compose file as containers: sandboxes of bubblewrap, as no engine is needed for these.

Each has the root file system, the user, the variables, the volumes, the rights and the first process that Docker would
give it, and sees its own processes only. All share a network that leads nowhere else; their names are addresses of
loopback there. Limits of processors and memory are not set.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

PATIENCE_S: Final = 120
"""How long a busy machine may take for anything that is waited for."""

_ANSWER_S: Final = 60
_SYSTEM: Final = ("/usr", "/etc/passwd", "/etc/group", "/etc/alternatives")
_LINKS: Final = ("bin", "sbin", "lib", "lib64")


@dataclass(frozen=True, slots=True)
class Image:
    """What a service runs in.

    :param root: options of bubblewrap that make its root file system.
    :param folder: that file system, where it can be written to before containers start.
    :param user: the number of its user, and that of the user's group.
    :param environment: variables that it sets.
    :param command: what it runs where the service does not say.
    :param working_folder: where that is run.
    :param health: the health check that it has of its own.
    """

    root: Sequence[str]
    folder: Path | None
    user: tuple[int, int]
    environment: Mapping[str, str]
    command: Sequence[str]
    working_folder: str = "/"
    health: Sequence[str] = ()


def image_of_buildah(inspected: Mapping[str, Any], folder: Path) -> Image:
    """An image as described by ``buildah inspect``, mounted at `folder`."""
    config = inspected["Docker"]["config"]
    return Image(
        ("--bind", str(folder), "/"),
        folder,
        _user_and_group(config["User"], folder),
        dict(variable.split("=", 1) for variable in config["Env"]),
        config["Cmd"],
        config["WorkingDir"],
        config["Healthcheck"]["Test"],
    )


def image_of_system(user: str, command: Sequence[str], *more: str) -> Image:
    """The programs of this machine, in place of an image that is not available.

    :param more: options of bubblewrap that add files.
    """
    links = [word for name in _LINKS for word in ("--symlink", f"usr/{name}", f"/{name}")]
    files = [word for path in _SYSTEM if Path(path).exists() for word in ("--ro-bind", path, path)]
    path = {"PATH": "/opt/bin:/usr/local/bin:/usr/bin:/bin"}
    # What it makes by itself only root may enter.
    folders = [word for path in ("/etc", "/opt", "/opt/bin", "/var") for word in ("--dir", path)]
    for_all = [word for path in ("/tmp", "/var/tmp") for word in ("--perms", "1777", "--dir", path)]
    return Image((*folders, *for_all, *files, *links, *more), None, _user_and_group(user, Path("/")), path, command)


def _user_and_group(named: str, root: Path) -> tuple[int, int]:
    """The numbers of a user, named as in a Dockerfile and in Compose.

    :param named: ``USER`` or ``USER:GROUP``, where the group is a number.
    :param root: the file system that has the user.
    """
    name, _, group = named.partition(":")
    for known, _, user, group_of_user, *_ in (
        line.split(":") for line in (root / "etc" / "passwd").read_text().splitlines()
    ):
        if name in (known, user):
            return int(user), int(group or group_of_user)
    return int(name), int(group or 0)


def _mount_point(image: Image, target: str) -> list[str]:
    """Options that make a folder to mount upon, where the image has none."""
    if image.folder is None:
        return [word for folder in Path(target).parents[-2::-1] for word in ("--dir", str(folder))]
    (image.folder / target.strip("/")).mkdir(exist_ok=True)
    return []


@dataclass
class Container:
    """A service, which may run or not; its file systems in memory are kept meanwhile: health checks read them.

    :param service: as Compose reads it.
    :param folder: where its file systems in memory and its log are.
    :param hosts: the file of names on the network.
    :param mounts: options of bubblewrap for its volumes.
    :param said: what the command wrote that was run last.
    """

    name: str
    service: Mapping[str, Any]
    image: Image
    folder: Path
    hosts: Path
    mounts: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    said: str = ""
    _main: int = 0
    tmpfs: dict[str, Path] = field(default_factory=dict, init=False)
    """Where its file systems in memory are here, by their paths in it."""

    def __post_init__(self) -> None:
        allowed = "no-new-privileges:true" in (self.service.get("security_opt") or [])
        assert allowed, f"bubblewrap lets no process gain rights, but docker-compose.yml lets those of {self.name}"
        for mount in self.service.get("tmpfs") or []:
            path, _, options = mount.partition(":")
            self.tmpfs[path] = self.folder / f"{self.name}{path.replace('/', '-')}"
            self.tmpfs[path].mkdir()
            all_options = ",".join(["mode=1777", "noexec", "nosuid", "nodev", *filter(None, [options])])
            subprocess.run(["mount", "-t", "tmpfs", "-o", all_options, "tmpfs", self.tmpfs[path]], check=True)

    @property
    def user(self) -> tuple[int, int]:
        """The number of its user, and that of the user's group."""
        named = self.service.get("user")
        return self.image.user if named is None else _user_and_group(named, self.image.folder or Path("/"))

    @property
    def log(self) -> str:
        """What it wrote, at most the end of it."""
        return self._log.read_text(errors="replace")[-6000:]

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def environment(self) -> dict[str, str]:
        """All its variables."""
        own = {name: value for name, value in self.service["environment"].items() if value is not None}
        return {**self.image.environment, "HOSTNAME": self.name, **own}

    def command(self) -> list[str]:
        """What it runs."""
        entrypoint, command = self.service.get("entrypoint") or [], self.service.get("command") or []
        return [*entrypoint, *command] or list(self.image.command)

    def start(self, command: Sequence[str] = ()) -> None:
        """Start it, by default with its own command.

        With ``init`` the first process is bubblewrap's, which like Docker's removes orphaned processes that have ended.
        """
        first = () if self._has_init else ("--as-pid-1",)
        reported, tell = os.pipe()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._sandboxed(command or self.command(), "--info-fd", str(tell), *first),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(tell,),
                start_new_session=True,
            )
        os.close(tell)
        with os.fdopen(reported) as info:
            self._main = json.load(info)["child-pid"]

    def run(self, command: Sequence[str], timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of the service."""
        ended = subprocess.run(
            self._sandboxed(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        self.said = ended.stdout
        return ended

    def succeed(self, command: Sequence[str]) -> str:
        """Run a command that must succeed; returns its output."""
        ended = self.run(command)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}"
        return ended.stdout

    def is_healthy(self) -> bool:
        """Whether the health check succeeds: that of the compose file, or else that of the image."""
        check = (self.service.get("healthcheck") or {}).get("test") or self.image.health
        kind, *words = check
        return self.run(["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words, _ANSWER_S).returncode == 0

    def wait_until_healthy(self) -> None:
        """Wait for it, or fail with what it wrote."""
        self.wait_until(self.is_healthy)

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds()` is true; fail with what the service wrote when that takes too long, or it has ended."""
        wait_until(lambda: holds() or self._has_ended(), lambda: f"{self.name}:\n{self.log}\n{self.said}")
        assert not self._has_ended(), f"{self.name} has ended:\n{self.log}"

    def stop(self) -> int:
        """Stop it as Docker does, and fail when it would have been killed; its exit code."""
        assert self.process is not None
        main = self._main
        if self._has_init:
            [main] = map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())
        os.kill(main, signal.SIGTERM)
        grace_s = seconds(self.service.get("stop_grace_period", "10s"))
        code = self.process.wait(timeout=max(grace_s, PATIENCE_S))
        self.process = None
        return code

    def end(self) -> None:
        """End it at once, with all that it has started."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._main, signal.SIGKILL)  # the first of its processes
            self.process.wait(timeout=PATIENCE_S)
            self.process = None

    @property
    def _has_init(self) -> bool:
        return bool(self.service.get("init"))

    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _sandboxed(self, command: Sequence[str], *options: str) -> list[str]:
        user, group = self.user
        variables = [word for name, value in self.environment.items() for word in ("--setenv", name, value)]
        none = ("--bounding-set=-all", "--inh-caps=-all") if "ALL" in (self.service.get("cap_drop") or []) else ()
        alone = ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", self.name, "--die-with-parent")
        devices = ("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm")
        in_memory = [
            word for path, folder in self.tmpfs.items()
            for word in (*_mount_point(self.image, path), "--bind", str(folder), path)
        ]  # fmt: skip
        read_only = ("--remount-ro", "/") if self.service.get("read_only") else ()
        return [
            *("bwrap", *alone, "--cap-add", "ALL", *options, *self.image.root, *devices),
            *("--ro-bind", str(self.hosts), "/etc/hosts", *in_memory),
            *(*self.mounts, *read_only, "--clearenv", *variables, "--chdir", self.image.working_folder, "--"),
            *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *none, "--"),
            *command,
        ]


@dataclass
class Host:
    """The containers of all services.

    :param services: as Compose reads them.
    :param images: what each runs in.
    """

    services: Mapping[str, Any]
    images: Mapping[str, Image]
    folder: Path
    containers: dict[str, Container] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hosts = self.folder / "hosts"
        names = [f"127.0.1.{number} {name}" for number, name in enumerate(self.services, 1)]
        hosts.write_text("\n".join(["127.0.0.1 localhost", *names, ""]))
        for name, service in self.services.items():
            image = self.images[name]
            container = Container(name, service, image, self.folder, hosts)
            container.mounts = [
                word for volume in service.get("volumes") or [] for word in self._mount(volume, container)
            ]
            self.containers[name] = container

    def __getitem__(self, name: str) -> Container:
        return self.containers[name]

    def up(self, *names: str) -> None:
        """Start services and their dependencies, each when those are healthy, like ``docker compose up --wait``."""
        for name in names:
            self.up(*self.services[name].get("depends_on") or {})
            container = self.containers[name]
            if container.process is None:
                container.start()
            container.wait_until_healthy()

    def _mount(self, volume: Mapping[str, Any], container: Container) -> list[str]:
        """Options for a volume; one with a name is a folder, which is at first as the image has it."""
        image, source, target = container.image, Path(volume["source"]), volume["target"]
        mount_point = _mount_point(image, target)
        if volume["type"] == "volume":
            source = self.folder / "volumes" / volume["source"]
            if not source.exists():
                source.mkdir(parents=True)
                there = None if image.folder is None else (image.folder / target.strip("/")).stat()
                os.chown(source, *(container.user if there is None else (there.st_uid, there.st_gid)))
                source.chmod(0o700 if there is None else stat.S_IMODE(there.st_mode))
        return [*mount_point, "--ro-bind" if volume.get("read_only") else "--bind", str(source), target]


def seconds(duration: str) -> float:
    """A duration as Compose prints it, such as ``1m30.5s``, in seconds."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?", duration)
    assert found is not None, duration
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + rest


def wait_until(holds: Callable[[], object], otherwise: Callable[[], str] = lambda: "not in time") -> None:
    """Wait until `holds()` is true; fail with what `otherwise()` says when that takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(otherwise())
        time.sleep(0.3)


def node_with_mongosh(packages: Path) -> list[str]:
    """Options that add the shell of MongoDB, as npm has installed it in `packages`, and the Node.js that runs it."""
    node = shutil.which("node")
    assert node is not None
    return [
        *("--ro-bind", str(Path(node).resolve()), "/opt/bin/node"),
        *("--ro-bind", str(packages), "/opt/node_modules"),
        *("--symlink", "../node_modules/.bin/mongosh", "/opt/bin/mongosh"),
    ]

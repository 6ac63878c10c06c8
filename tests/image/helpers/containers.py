"""Services of the compose file as containers: sandboxes of bubblewrap, as no engine is needed for these.

Each has the root file system, the user, the variables, the volumes and the rights that Docker would give it, and sees
its own processes only. All share a network that leads nowhere else; their names are addresses of loopback there. Limits
of processors and memory are not set.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
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
    """An image as ``buildah inspect`` tells of it, mounted at `folder`."""
    config = inspected["Docker"]["config"]
    user, group = map(int, config["User"].split(":"))
    return Image(
        ("--ro-bind", str(folder), "/"),
        folder,
        (user, group),
        dict(variable.split("=", 1) for variable in config["Env"]),
        config["Cmd"],
        config["WorkingDir"],
        config["Healthcheck"]["Test"],
    )


def image_of_system(user: str, command: Sequence[str], *more: str) -> Image:
    """The programs of this machine, to stand for an image that cannot be had.

    :param more: options of bubblewrap that add files.
    """
    links = [word for name in _LINKS for word in ("--symlink", f"usr/{name}", f"/{name}")]
    files = [word for path in _SYSTEM if Path(path).exists() for word in ("--ro-bind", path, path)]
    found = pwd.getpwnam(user)
    path = {"PATH": "/opt/bin:/usr/local/bin:/usr/bin:/bin"}
    # What it makes by itself only root may enter.
    folders = [word for path in ("/etc", "/opt", "/opt/bin") for word in ("--dir", path)]
    return Image((*folders, *files, *links, *more), None, (found.pw_uid, found.pw_gid), path, command)


@dataclass
class Container:
    """A service, which may run or not; its ``/tmp`` is kept meanwhile, so that health checks find what it left.

    :param service: as Compose reads it.
    :param folder: where its ``/tmp`` and its log are.
    :param mounts: options of bubblewrap for its volumes.
    :param hosts: the file of names on the network.
    :param said: what the command wrote that was run last.
    """

    name: str
    service: Mapping[str, Any]
    image: Image
    folder: Path
    mounts: Sequence[str]
    hosts: Path
    process: subprocess.Popen[bytes] | None = None
    said: str = ""
    _main: int = 0
    temporary: Path = field(init=False)

    def __post_init__(self) -> None:
        self.temporary = self.folder / f"{self.name}-tmp"
        self.temporary.mkdir()
        options = "mode=1777"
        for mount in self.service.get("tmpfs") or []:
            path, _, own = mount.partition(":")
            if path == "/tmp" and own:
                options += f",{own}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.temporary], check=True)

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
        """Start it, by default with its own command."""
        told, tell = os.pipe()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._sandboxed(command or self.command(), "--info-fd", str(tell)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(tell,),
                start_new_session=True,
            )
        os.close(tell)
        with os.fdopen(told) as info:
            self._main = json.load(info)["child-pid"]

    def run(self, command: Sequence[str], timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """Run a command as the service would be run, beside it."""
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
        """Run a command that must end well; what it wrote."""
        ended = self.run(command)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}"
        return ended.stdout

    def is_healthy(self) -> bool:
        """Whether its health check says so: that of the compose file, or else that of the image."""
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
        [main] = Path(f"/proc/{self._main}/task/{self._main}/children").read_text().split()
        os.kill(int(main), signal.SIGTERM)
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

    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _sandboxed(self, command: Sequence[str], *options: str) -> list[str]:
        user, group = self.image.user
        variables = [word for name, value in self.environment.items() for word in ("--setenv", name, value)]
        none = ("--bounding-set=-all", "--inh-caps=-all") if "ALL" in (self.service.get("cap_drop") or []) else ()
        alone = ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", self.name, "--die-with-parent")
        devices = ("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm")
        read_only = ("--remount-ro", "/") if self.image.folder is None else ()
        return [
            *("bwrap", *alone, "--cap-add", "ALL", *options, *self.image.root, *devices),
            *("--bind", str(self.temporary), "/tmp", "--ro-bind", str(self.hosts), "/etc/hosts"),
            *(*self.mounts, *read_only, "--clearenv", *variables, "--chdir", self.image.working_folder, "--"),
            *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *none, "--no-new-privs", "--"),
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
            mounts = [word for volume in service.get("volumes") or [] for word in self._mount(volume, image)]
            self.containers[name] = Container(name, service, image, self.folder, mounts, hosts)

    def __getitem__(self, name: str) -> Container:
        return self.containers[name]

    def up(self, *names: str) -> None:
        """Start these and what they wait for, each when what it needs is healthy: as ``docker compose up --wait``."""
        for name in names:
            self.up(*self.services[name].get("depends_on") or {})
            container = self.containers[name]
            if container.process is None:
                container.start()
            container.wait_until_healthy()

    def _mount(self, volume: Mapping[str, Any], image: Image) -> list[str]:
        """Options for a volume; one with a name is a folder, which is at first as the image has it."""
        source, target = Path(volume["source"]), volume["target"]
        if volume["type"] == "volume":
            source = self.folder / "volumes" / volume["source"]
            if not source.exists():
                source.mkdir(parents=True)
                os.chown(source, *image.user)
                source.chmod(0o700)
        parents: list[str] = []
        if image.folder is None:
            parents = [word for folder in Path(target).parents[-2::-1] for word in ("--dir", str(folder))]
        else:  # as Docker does: a folder to mount upon
            (image.folder / target.strip("/")).mkdir(exist_ok=True)
        return [*parents, "--ro-bind" if volume.get("read_only") else "--bind", str(source), target]


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

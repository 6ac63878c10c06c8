"""All services of `docker-compose.yml`, as containers on a network of this process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from build_image import TAG, buildah
from compose_config import ROOT, build, services
from containers import Container, Host, Image, image_of_buildah, image_of_system, node_with_mongosh

OURS: Final = ("web", "celery", "beat", "jobs")
MONGOSH: Final = ROOT / ".cache" / "mongosh" / "node_modules"
FERRETDB: Final = ROOT / ".cache" / "ferretdb" / "with_users"
_SHIM: Final = ROOT / "tests" / "image" / "without_roles.js"
_INSTALLED: Final = {
    "bwrap": "bubblewrap", "setpriv": "util-linux", "redis-server": "redis-server", "redis-cli": "redis-tools",
    "node": "nodejs",
}  # fmt: skip


@contextmanager
def mounted_image(missing: Callable[[str], NoReturn]) -> Iterator[Image]:
    """The image that `make test-image` has built, with its files at a folder."""
    if "IMAGE_STORAGE" not in os.environ:
        missing("the image is built and run by `make test-image`")
    command = buildah(Path(os.environ["IMAGE_STORAGE"]))

    def call(*words: str) -> str:
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=300, check=True).stdout

    container = call("from", "--pull-never", TAG).strip()
    try:
        folder = Path(call("mount", container).strip())
        yield image_of_buildah(json.loads(call("inspect", "--type", "image", TAG)), folder)
    finally:
        call("rm", container)


@contextmanager
def composed(image: Image, folder: Path, missing: Callable[[str], NoReturn], **variables: str) -> Iterator[Host]:
    """All services with `variables` in ``.env``, not yet started; they are stopped after the block.

    In place of the images of Redis and MongoDB there are Debian's Redis, and FerretDB with the shell of MongoDB.
    """
    build(missing)
    for program, package in _INSTALLED.items():
        if shutil.which(program) is None:
            missing(f"{program} is not installed (on Debian: apt-get install {package})")
    found = services(EXPORTS=str(ROOT / "tests" / "data" / "shop"), **variables)
    mongodb = image_of_system(
        "nobody",
        ["with_users", "0.0.0.0:27017", "/data/db"],
        *node_with_mongosh(MONGOSH),
        *("--ro-bind", str(FERRETDB), "/opt/bin/with_users", "--ro-bind", str(_SHIM), "/opt/without_roles.js"),
    )
    # Debian's Node.js 18 has the global `crypto`, which the shell logs in with, only then.
    mongodb = replace(mongodb, environment={**mongodb.environment, "NODE_OPTIONS": "--experimental-global-webcrypto"})
    images = {**dict.fromkeys(OURS, image), "redis": image_of_system("root", []), "mongodb": mongodb}
    images["redis"] = replace(images["redis"], working_folder="/data")
    host = Host(found, images, folder)
    try:
        yield host
    finally:
        for container in host.containers.values():
            container.end()
            for folder in container.tmpfs.values():
                subprocess.run(["umount", "--lazy", folder], check=True)


def run_init_scripts(mongodb: Container) -> None:
    """Run the init scripts as MongoDB's image does for an empty volume: create users on a loopback server.

    That server keeps running.
    """
    mongodb.start(["with_users", "127.0.0.1:27017", "/data/db"])
    root = [mongodb.environment[f"MONGO_INITDB_ROOT_{what}"] for what in ("USERNAME", "PASSWORD")]
    shell = ["env", "HOME=/tmp", "mongosh", "--norc", "--quiet", "--username", root[0], "--password", root[1]]
    login = [*shell, "--authenticationDatabase", "admin"]
    mongodb.wait_until(lambda: mongodb.run([*login, "--eval", "1"]).returncode == 0)
    mongodb.succeed([*login, "--file", "/opt/without_roles.js", "--file", "/docker-entrypoint-initdb.d/user.js"])

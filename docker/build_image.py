"""Builds the image with Docker if an engine runs, else with buildah; ``make image`` calls it.

pip in the build uses the pip settings of this machine: the index, its certificates, a proxy. They are passed as build
secrets, so that no layer contains them.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TAG: Final = "transaction-summary:local"
SUITE: Final = "bookworm"
_PACKAGES: Final = "ca-certificates,netbase,python3-distutils,python3.11-venv"
_CARRIED: Final = frozenset({"index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout"})


class NotBuiltError(Exception):
    """The image cannot be built on this machine; the text names what is missing."""


def build(storage: Path | None, *, debian_base: bool) -> None:
    """Build the image `TAG`.

    :param storage: folder in which buildah keeps images; by default its usual one. With one Docker is not asked.
    :param debian_base: make the base image from Debian's packages, for machines that reach no registry of images.
    :raises NotBuiltError: a program or a right is missing, or a step of the build failed.
    """
    with _pip_settings() as secrets:
        if storage is None and not debian_base and _docker_runs():
            _run(["docker", "build", *secrets, "--tag", TAG, str(ROOT)], env=os.environ | {"DOCKER_BUILDKIT": "1"})
            return
        command = buildah(storage)
        if debian_base:
            _make_base(command, (storage or ROOT / ".cache" / "image").parent / f"{SUITE}.tar")
        pulled = ["--pull-never"] if debian_base else []
        # The other format has no health checks; layers that have not changed are taken from the storage.
        options = ["--isolation", "chroot", "--format", "docker", "--layers", *pulled, *secrets]
        _run([*command, "build", *options, "--tag", TAG, str(ROOT)])


def buildah(storage: Path | None) -> list[str]:
    """The command of buildah, with its images in `storage`.

    :raises NotBuiltError: it is not installed.
    """
    if shutil.which("buildah") is None:
        raise NotBuiltError("neither a Docker engine nor buildah is here (on Debian: apt-get install buildah)")
    return ["buildah", *([] if storage is None else ["--root", str(storage), "--runroot", f"{storage}-run"])]


def base_tag() -> str:
    """The one base image that the Dockerfile names."""
    named = re.findall(r"(?m)^FROM (\S+:\S+)", (ROOT / "Dockerfile").read_text())
    (tag,) = set(named)
    return str(tag)


def _docker_runs() -> bool:
    """Whether a Docker engine answers; the client alone cannot build."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, timeout=60, check=False).returncode == 0


def _make_base(command: Sequence[str], kept: Path) -> None:
    """Create a replacement of the base image: Debian, with its CPython if the base image has one.

    :param kept: the archive of its files, which is made when it is missing.
    """
    if not kept.exists():
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            raise NotBuiltError("the base image is made by debootstrap (apt-get install debootstrap), as root")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            root = Path(folder) / "root"
            options = ["--variant=minbase", f"--include={_PACKAGES}"]
            _run(["debootstrap", *options, SUITE, str(root), *_mirror()], stdout=subprocess.DEVNULL)
            for name in ("python", "python3"):
                (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3.11")
            shutil.rmtree(root / "var/cache/apt/archives")
            archive = Path(folder) / "tar"
            _run(["tar", "--create", "--one-file-system", "--file", str(archive), "--directory", str(root), "."])
            archive.rename(kept)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        (Path(folder) / "Dockerfile").write_text(f"FROM scratch\nADD {kept.name} /\n")
        (Path(folder) / kept.name).hardlink_to(kept)
        _run([*command, "build", "--quiet", "--layers", "--tag", f"docker.io/library/{base_tag()}", folder])


def _mirror() -> list[str]:
    """Where this machine's apt finds the suite, if it does: debootstrap has a mirror of its own to fall back on."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {SUITE}", "Component: main"]
    found = subprocess.run(command, capture_output=True, text=True, check=False) if shutil.which("apt-get") else None
    return found.stdout.split()[:1] if found is not None and found.returncode == 0 else []


@contextmanager
def _pip_settings() -> Iterator[list[str]]:
    """The build options that pass the settings of pip."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    settings = {
        name.rpartition(".")[2]: ast.literal_eval(value)
        for name, _, value in (line.partition("=") for line in listed.splitlines())
    }
    carried = {name: value for name, value in settings.items() if name in _CARRIED}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pip.conf"
        secrets = ["--secret", f"id=pip,src={file}"]
        certificates = settings.get("cert")
        if certificates and Path(certificates).exists():
            carried["cert"] = "/run/secrets/certificates"
            secrets += ["--secret", f"id=certificates,src={certificates}"]
        lines = [f"{name} = {' '.join(str(value).split())}" for name, value in carried.items()]
        file.write_text("\n".join(["[global]", *lines, ""]))
        yield secrets


def _run(command: Sequence[str], env: dict[str, str] | None = None, stdout: int | None = None) -> None:
    ended = subprocess.run(command, env=env, stdout=stdout, stdin=subprocess.DEVNULL, check=False)
    if ended.returncode != 0:
        raise NotBuiltError(f"{' '.join(command[:4])}… ended with exit code {ended.returncode}: see what it wrote")


def main() -> str:
    """Build the image; returns an error, or an empty string."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--storage", type=Path, help="folder in which buildah keeps images; Docker is then not asked")
    parser.add_argument("--debian-base", action="store_true", help="make the base image from Debian's packages")
    given = parser.parse_args()
    try:
        build(given.storage and given.storage.absolute(), debian_base=given.debian_base)
    except NotBuiltError as error:
        return f"Error: {error}."
    return ""


if __name__ == "__main__":
    sys.exit(main() or 0)
